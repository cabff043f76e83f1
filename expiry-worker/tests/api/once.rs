//! `expiry-worker --once`.

use test_harness::process;

use crate::hall::{Hall, Standing};

async fn once(hall: &Hall, more: &[&str]) -> (Option<i32>, String, String) {
    let url = hall.database.url("expiry_worker");
    let mut arguments = vec!["--once", "--database-url", &url];
    arguments.extend(more);
    let output = process::run("expiry-worker", &arguments).await;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn it_works_until_nothing_is_stale_and_prints_how_many_it_failed() {
    let hall = Hall::new(30).await;
    let ids = hall.stale(0, 25).await;
    hall.hold(&[25], 600.0).await;
    let (code, output, log) = once(&hall, &["--batch-max", "7"]).await;
    assert_eq!(
        (code, &*output),
        (Some(0), "25 stale bookings failed\n"),
        "{log}"
    );
    for id in ids {
        assert_eq!(hall.standing(id).await, Standing::expired());
    }
    let (code, output, log) = once(&hall, &[]).await;
    assert_eq!(
        (code, &*output),
        (Some(0), "0 stale bookings failed\n"),
        "{log}"
    );
    hall.assert_sound().await;
}

#[tokio::test]
async fn an_unusable_database_is_one_line_of_error() {
    let hall = Hall::new(5).await;
    hall.stale(0, 2).await;
    let before = hall.digest().await;
    hall.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'no'; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE ON booking.show_seats
         FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
    )
    .await;
    let (code, output, log) = once(&hall, &[]).await;
    assert_eq!((code, &*output), (Some(1), ""), "{log}");
    let errors: Vec<_> = log
        .lines()
        .filter(|line| line.starts_with("expiry-worker: "))
        .collect();
    assert_eq!(errors.len(), 1, "{log}");
    assert_eq!(hall.digest().await, before);
}
