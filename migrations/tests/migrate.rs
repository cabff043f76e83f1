//! The library and the binary against real databases.

use std::process::{Command, Output};
use std::time::Duration;

use migrations::{Passwords, status, up};
use service_kit::postgres::Database;
use test_harness::postgres::{OWNER, TestDatabase, empty_database};
use tokio::task::JoinSet;

const WAIT: Duration = Duration::from_secs(10);

fn at(url: &str) -> Database {
    migrations::database(url).expect("a URL")
}

async fn versions(database: &TestDatabase) -> Vec<(i64, bool)> {
    let found = status(&at(&database.url(OWNER))).await.expect("a status");
    found.into_iter().map(|m| (m.version, m.applied)).collect()
}

/// The binary, with nothing of the caller's environment that it would listen to.
fn migrate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.args(arguments).env_remove("DATABASE_URL");
    command
}

fn text(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code();
    (code, text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn up_applies_missing_migrations_once() {
    let database = empty_database().await;
    let url = at(&database.url(OWNER));
    assert!(
        versions(&database)
            .await
            .iter()
            .all(|(_, applied)| !applied)
    );
    let first = up(&url, &Passwords::unchanged(), WAIT).await.expect("up");
    let again = up(&url, &Passwords::unchanged(), WAIT)
        .await
        .expect("up again");
    let all = versions(&database).await;
    assert!(all.iter().all(|(_, applied)| *applied), "{all:?}");
    assert_eq!((first.len(), again.len()), (all.len(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_at_once_do_not_meet_in_one_database_nor_across_several() {
    let mut databases = Vec::new();
    for _ in 0..6 {
        databases.push(empty_database().await);
    }
    let mut runs = JoinSet::new();
    for url in databases
        .iter()
        .chain(&databases)
        .map(|database| at(&database.url(OWNER)))
    {
        runs.spawn(async move { up(&url, &Passwords::all("the same"), WAIT).await });
    }
    for run in runs.join_all().await {
        run.expect("up");
    }
    for database in &databases {
        let all = versions(database).await;
        assert!(all.iter().all(|(_, applied)| *applied), "{all:?}");
    }
}

#[tokio::test]
async fn the_binary_sets_passwords_and_does_not_print_them() {
    let database = empty_database().await;
    let url = database.url(OWNER);
    let up = || {
        migrate(&["up", "--database-url", &url])
            .env("TICKETING_BOOKING_SVC_PASSWORD", "it's a secret")
            .output()
    };
    let (code, output, errors) = text(&up().expect("run migrate"));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(output.contains("applied 0001 catalog\n"), "{output}");
    assert!(
        output.contains("set the password of booking_svc\n"),
        "{output}"
    );
    assert!(!output.contains("secret"), "{output}");
    let query = "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = $1";
    let row = database
        .owner()
        .await
        .query_one(query, &[&"booking_svc"])
        .await;
    assert_eq!(row.expect("the role").get::<_, Option<bool>>(0), Some(true));

    let (code, output, _) = text(&up().expect("run migrate"));
    assert_eq!(code, Some(0));
    assert!(output.starts_with("the schema is up to date\n"), "{output}");
    let status = migrate(&["status"]).env("DATABASE_URL", &url).output();
    let (code, output, _) = text(&status.expect("run migrate"));
    assert_eq!(code, Some(0));
    assert!(output.starts_with("applied 0001 catalog\n"), "{output}");
}

#[test]
fn a_bad_value_is_one_line_of_error() {
    for (arguments, named) in [
        (vec!["up"], "--database-url"),
        (vec!["up", "--database-url", "nonsense"], "postgres://"),
        (
            vec![
                "up",
                "--database-url",
                "postgres://localhost/x",
                "--wait",
                "soon",
            ],
            "--wait",
        ),
        (vec!["down"], "no such command"),
    ] {
        let (code, output, errors) = text(&migrate(&arguments).output().expect("run migrate"));
        assert_eq!((code, output.as_str()), (Some(2), ""), "{arguments:?}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains(named), "{errors}");
    }
}

#[tokio::test]
async fn an_error_of_the_server_is_printed_in_its_own_words() {
    let url = empty_database().await.url(OWNER) + "_not";
    let (code, _, errors) = text(
        &migrate(&["up", "--database-url", &url])
            .output()
            .expect("run"),
    );
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(errors.matches("does not exist").count(), 1, "{errors}");
}

#[test]
fn a_missing_database_is_waited_for_and_reported_in_one_line() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let url = format!("postgres://postgres@127.0.0.1:{port}/none");
    let output = migrate(&["up", "--wait", "1s", "--database-url", &url]).output();
    let (code, _, errors) = text(&output.expect("run migrate"));
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("did not answer within 1s"), "{errors}");
}
