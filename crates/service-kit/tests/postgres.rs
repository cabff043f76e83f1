//! Reaching PostgreSQL: hosts that hang, that take no writes, and that come back.

use std::time::{Duration, Instant};

use clap::Parser;
use service_kit::args::DatabaseArgs;
use service_kit::postgres::{Database, DatabaseUrl, DbError, get};
use test_harness::postgres::{OwnServer, database, with_parameter};
use test_harness::proxy::Proxy;
use tokio::net::TcpListener;
use tokio::time::timeout;
use url::Url;

const ROLE: &str = "booking_svc";
/// One bounded attempt at a host that hangs, and a margin for a busy machine.
const ONE_HANG: Duration = Duration::from_secs(3 + 5);

/// How long a caller waits for an answer.
const CALL_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    database: DatabaseArgs,
}

fn at(url: &str) -> Database {
    Database::new(&DatabaseUrl::parse(url).expect("a URL"), "test")
}

/// "host:port" of a URL.
fn authority(url: &str) -> String {
    let url: Url = url.parse().expect("a URL");
    let host = url.host_str().expect("a host");
    format!("{host}:{}", url.port().expect("a port"))
}

/// A URL with these hosts in the place of its own.
fn with_hosts(url: &str, hosts: &[&str]) -> String {
    url.replacen(&authority(url), &hosts.join(","), 1)
}

/// Accepts connections like a stopped server, and never answers.
async fn hung_host() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

async fn port_of(database: &Database) -> i32 {
    let client = database.connect().await.expect("a connection");
    let row = client.query_one("SELECT inet_server_port()", &[]).await;
    row.expect("a port").get(0)
}

#[tokio::test]
async fn a_host_that_hangs_is_left_and_tried_last_from_then_on() {
    let there = database().await;
    let url = there.url(ROLE);
    let (_listener, hung) = hung_host().await;
    let database = at(&with_hosts(&url, &[&hung, &authority(&url)]));

    let began = Instant::now();
    database.connect().await.expect("the second host");
    let (first, again) = (began.elapsed(), Instant::now());
    database.connect().await.expect("the second host");
    assert!(first < ONE_HANG, "{first:?}");
    let again = again.elapsed();
    assert!(again < Duration::from_secs(3), "{again:?}");
}

#[tokio::test]
async fn the_host_that_takes_writes_is_found_before_and_after_a_promotion() {
    let mut primary = OwnServer::start().await;
    let there = primary.database().await;
    let standby = primary.standby().await;
    let (first, second) = (standby.url(ROLE, &there), there.url(ROLE));
    let hosts = [authority(&first), authority(&second)];
    let hosts = hosts.each_ref().map(String::as_str);
    let both = with_hosts(&first, &hosts);
    let database = at(&with_parameter(&both, "target_session_attrs=read-write"));
    let port = |url: &str| Url::parse(url).expect("a URL").port().map(i32::from);
    assert_eq!(Some(port_of(&database).await), port(&second));

    primary.crash().await;
    let refused = database.connect().await.expect_err("nobody takes writes");
    let message = refused.to_string();
    assert!(message.contains("does not allow writes"), "{message}");
    assert!(hosts.iter().all(|host| message.contains(host)), "{message}");
    assert!(refused.may_pass());
    standby.promote(&there).await;
    assert_eq!(Some(port_of(&database).await), port(&first));
}

#[tokio::test]
async fn an_error_names_host_database_role_and_the_servers_reason() {
    let there = database().await;
    let url = there
        .url("nobody")
        .replacen("nobody@", "nobody:a-secret@", 1);
    let error = at(&url).connect().await.expect_err("no such role");
    let name = there.name();
    let expected = format!(
        "cannot connect to {} database {name} as nobody: fatal 28000 role \"nobody\" does not exist",
        authority(&url)
    );
    assert_eq!(error.to_string(), expected);
    assert!(!error.may_pass());

    let (listener, gone) = hung_host().await;
    drop(listener);
    let connecting = at(&format!("postgres://a:a-secret@{gone}/b"))
        .connect()
        .await;
    let error = connecting.expect_err("nobody listens");
    let message = error.to_string();
    assert!(
        message.contains(&gone) && message.contains("Connection refused"),
        "{message}"
    );
    assert!(error.may_pass() && !message.contains("secret"), "{message}");
}

#[tokio::test]
async fn a_pool_error_distinguishes_a_busy_pool_from_a_database_outage() {
    let there = database().await;
    let line = ["test", "--database-url", &there.url(ROLE)].map(str::to_owned);
    let most = "--database-connections-max=1".to_owned();
    let wait = "--database-wait-max=300ms".to_owned();
    let line = line.into_iter().chain([most, wait]);
    let args = Arguments::try_parse_from(line).expect("arguments").database;
    let pool = args.database("test").expect("a URL").pool(&args);
    let only = get(&pool).await.expect("a connection");
    let error = get(&pool).await.expect_err("it is in use");
    assert!(matches!(error, DbError::PoolExhausted), "{error}");
    drop(only);

    // Each has it for longer than the last of them waits.
    let calls = (0..20).map(|_| async {
        let lent = get(&pool).await?;
        lent.batch_execute("SELECT pg_sleep(0.1)").await?;
        Ok(())
    });
    let ended: Vec<Result<(), DbError>> = futures_util::future::join_all(calls).await;
    assert!(ended[0].is_ok());
    let busy = |end: &&Result<(), DbError>| matches!(end, Err(DbError::PoolBusy));
    let others = ended.iter().filter(|end| end.is_err()).count();
    assert!(others > 5, "{ended:?}");
    assert_eq!(ended.iter().filter(busy).count(), others, "{ended:?}");
}

#[tokio::test]
async fn a_pool_recovers_from_connections_that_fell_silent() {
    let there = database().await;
    let url = there.url(ROLE);
    let proxy = Proxy::start(&url).await;
    let line = ["test", "--database-url", &proxy.url(&url)].map(str::to_owned);
    let args = Arguments::try_parse_from(line).expect("arguments").database;
    let most = args.database_connections_max;
    let pool = args.database("test").expect("a URL").pool(&args);
    let mut lent = Vec::new();
    for _ in 0..most {
        lent.push(get(&pool).await.expect("a connection"));
    }
    // Half of them are in use when it happens, half are idle.
    drop(lent.split_off(lent.len() / 2));
    proxy.fall_silent();
    let in_use = lent.into_iter().map(|lent| {
        tokio::spawn(async move { lent.simple_query("SELECT 1").await.map_err(DbError::from) })
    });
    let in_use: Vec<_> = in_use.collect();
    proxy.let_new_ones_pass();

    // Callers do not wait for ever; they retry.
    let began = Instant::now();
    let mut answered = 0;
    while answered < 2 * most {
        let calling = async {
            get(&pool)
                .await?
                .simple_query("SELECT 1")
                .await
                .map_err(DbError::from)
        };
        match timeout(CALL_MAX, calling).await {
            Ok(answer) => {
                answer.expect("an answer, as the server is there");
                answered += 1;
            }
            Err(_) => answered = 0,
        }
    }
    let idle_took = began.elapsed();
    for statement in in_use {
        let error = statement.await.expect("no panic").expect_err("no answer");
        assert_eq!(error.to_string(), "connection closed");
    }
    let in_use_took = began.elapsed();
    assert!(idle_took < Duration::from_secs(12), "{idle_took:?}");
    assert!(in_use_took < Duration::from_secs(12 + 5), "{in_use_took:?}");
}
