mod locks;

use model::BookingId;
use service_kit::postgres::DatabaseUrl;
use test_harness::postgres;
use time::OffsetDateTime;

use super::*;
use crate::domain::{BookingState, SERVICE_ACTOR, Transition, Verb, Writes};

/// A statement with as many parameters as another, all of type text, so that other types cannot be encoded.
fn as_text(other: &Statement) -> String {
    let numbers = 1..=other.params().len();
    let parameters: Vec<_> = numbers.map(|n| format!("${n}::text")).collect();
    format!("SELECT num_nulls({})", parameters.join(", "))
}

fn a_transition() -> Transition {
    Transition {
        booking_id: BookingId::generate(ShowId::generate()),
        version: 1,
        verb: Verb::Reserve,
        from: None,
        to: BookingState::Pending,
        request_id: Uuid::new_v4(),
        fingerprint: 0,
        prior: None,
        actor: SERVICE_ACTOR.into(),
    }
}

#[tokio::test]
async fn an_unencodable_value_is_not_followed_by_a_commit() {
    let database = postgres::database().await;
    let owner = database.owner().await;
    let table = "CREATE TABLE trace (); GRANT INSERT ON trace TO booking_svc";
    owner.batch_execute(table).await.expect("an owner");
    let url = DatabaseUrl::parse(&database.url("booking_svc")).expect("a URL");
    let opening = Connection::open(&Database::new(&url, "test")).await;
    let mut connection = opening.expect("a server");
    let leave = "INSERT INTO trace DEFAULT VALUES";

    for encoded in [true, false] {
        if !encoded {
            let as_text = as_text(&connection.statements.write.only_new);
            let other = connection.client.prepare(&as_text).await;
            connection.statements.write.only_new = other.expect("a statement");
        }
        let begin = format!("BEGIN; {leave}");
        connection.client.batch_execute(&begin).await.expect("ours");
        let writes = Writes {
            transitions: vec![a_transition()],
            ..Writes::default()
        };
        let now = OffsetDateTime::now_utc();
        let unlocked = OptimisticChecks::default();
        let Connection { client, statements } = &connection;
        let how = (now, Duration::from_secs(3));
        let written = write(client, statements, &writes, &unlocked, how).await;
        assert_eq!(written.is_ok(), encoded);
        if let Ok((commit, _)) = written {
            CommitHandle(Some(commit), Changes::default())
                .acknowledged()
                .await
                .expect("it commits");
        }
        connection
            .roll_back()
            .await
            .expect("at the worst, a warning");
        let count = "SELECT count(*) FROM trace";
        let traces: i64 = owner.query_one(count, &[]).await.expect("a count").get(0);
        assert_eq!(traces, 1, "encoded: {encoded}");
    }
}
