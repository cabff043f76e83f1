//! `migrate doctor`, and migrations where the extension or `public` is not where it usually is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use migrations::{Passwords, SERVICE_ROLES};
use test_harness::postgres::{
    self, OWNER, OwnServer, TestDatabase, empty_database, with_parameter,
};

const WAIT: Duration = Duration::from_secs(10);
/// An ephemeral server has neither by default.
const DURABLE: [(&str, &str); 2] = [("fsync", "on"), ("full_page_writes", "on")];

/// The binary's report on a database: its exit code and its lines.
fn doctor(url: &str) -> (Option<i32>, Vec<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    let output = command.args(["doctor", "--database-url", url]).output();
    let output = output.expect("run migrate");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !(said.clone() + &errors).contains("a-secret"),
        "{said}{errors}"
    );
    (
        output.status.code(),
        said.lines().map(str::to_owned).collect(),
    )
}

/// The lines that are neither OK nor SKIP.
fn ills(lines: &[String]) -> Vec<&str> {
    let ills = lines.iter().map(String::as_str);
    ills.filter(|line| !line.starts_with("OK") && !line.starts_with("SKIP"))
        .collect()
}

fn assert_says(lines: &[String], verdict: &str, words: &str) {
    let is_said = |line: &String| line.starts_with(verdict) && line.contains(words);
    assert!(lines.iter().any(is_said), "{verdict} {words}: {lines:#?}");
}

async fn up(database: &TestDatabase) {
    let at = migrations::database(&database.url(OWNER)).expect("a URL");
    let applied = migrations::up(&at, &Passwords::unchanged(), WAIT).await;
    applied.expect("up");
}

async fn execute(database: &TestDatabase, statements: &str) {
    let done = database.owner().await.batch_execute(statements).await;
    done.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
}

#[tokio::test]
async fn a_good_database_has_no_findings_for_any_role() {
    let server = OwnServer::start_with(&DURABLE).await;
    let database = server.database().await;
    for role in SERVICE_ROLES.into_iter().chain([OWNER]) {
        let (code, lines) = doctor(&database.url(role));
        assert_eq!(
            (code, ills(&lines)),
            (Some(0), vec![]),
            "{role}: {lines:#?}"
        );
        assert_says(&lines, "OK", "takes writes");
        assert_says(&lines, "OK", "pg_trgm: it is in schema public");
        assert_says(&lines, "OK", "booking_svc has its settings and privileges");
    }

    execute(&database, "ALTER ROLE booking_svc RESET enable_seqscan").await;
    execute(&database, "REVOKE UPDATE ON catalog.shows FROM catalog_svc").await;
    execute(
        &database,
        "ALTER ROLE booking_svc SET synchronous_commit = off",
    )
    .await;
    let (code, lines) = doctor(&database.url(OWNER));
    assert_eq!(code, Some(1), "{lines:#?}");
    assert_says(
        &lines,
        "FAIL",
        "ALTER ROLE booking_svc SET enable_seqscan=off",
    );
    assert_says(
        &lines,
        "FAIL",
        "catalog_svc: it lacks privileges on catalog.shows",
    );
    assert_says(&lines, "FAIL", "synchronous_commit of booking_svc is off");
    assert_eq!(ills(&lines).len(), 3, "{lines:#?}");
}

#[tokio::test]
async fn a_read_only_host_is_reported_with_the_host_that_takes_writes() {
    let mut server = OwnServer::start_with(&DURABLE).await;
    let database = server.database().await;
    let standby = server.standby().await;
    let (primary, copy) = (database.url(OWNER), standby.url(OWNER, &database));
    let (code, lines) = doctor(&copy);
    assert_eq!(code, Some(1), "{lines:#?}");
    assert_says(&lines, "FAIL", "server: it is a standby");
    let (code, lines) = doctor(&primary);
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_says(
        &lines,
        "WARN",
        "replication: standbys connected: 1, and none is waited for",
    );

    let host = |url: &str| {
        let authority = url
            .split("://")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        authority
            .and_then(|it| it.rsplit('@').next())
            .expect("a host")
            .to_owned()
    };
    let both = primary.replacen(
        &host(&primary),
        &format!("{},{}", host(&copy), host(&primary)),
        1,
    );
    let (code, lines) = doctor(&with_parameter(&both, "target_session_attrs=read-write"));
    assert_eq!(code, Some(0), "{lines:#?}");
    assert_says(&lines, "OK", &format!("{} database", host(&copy)));
    assert_says(&lines, "OK", "takes no writes");
    let (code, lines) = doctor(&both);
    assert_eq!(code, Some(1), "{lines:#?}");
    assert_says(&lines, "WARN", "add target_session_attrs=read-write");

    execute(
        &database,
        &format!(
            "ALTER DATABASE {} SET default_transaction_read_only = on",
            database.name()
        ),
    )
    .await;
    let (code, lines) = doctor(&primary);
    assert_eq!(code, Some(1), "{lines:#?}");
    assert_says(&lines, "FAIL", "default_transaction_read_only is on");
}

#[tokio::test]
async fn a_wrong_password_is_an_error_with_the_servers_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    // The server may run under another account.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let hba = folder.path().join("pg_hba.conf");
    let rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    fs::write(&hba, rules).expect("ours");
    let server = OwnServer::start_with(&[("hba_file", hba.to_str().expect("a path"))]).await;
    let database = server.database().await;
    execute(&database, "ALTER ROLE booking_svc PASSWORD 'the-right-one'").await;

    let url = database.url("booking_svc");
    let with =
        |password: &str| url.replacen("booking_svc@", &format!("booking_svc:{password}@"), 1);
    let (code, lines) = doctor(&with("a-secret"));
    assert_eq!((code, lines.len()), (Some(1), 1), "{lines:#?}");
    assert_says(
        &lines,
        "FAIL",
        "as booking_svc: fatal 28P01 password authentication failed",
    );
    let (_, lines) = doctor(&with("the-right-one"));
    assert_says(&lines, "OK", "as booking_svc");
}

#[tokio::test]
async fn pg_trgm_is_used_wherever_it_is() {
    let database = empty_database().await;
    let made = "CREATE SCHEMA \"Extra\"; CREATE EXTENSION pg_trgm SCHEMA \"Extra\"";
    execute(&database, made).await;
    up(&database).await;
    up(&database).await;
    let (_, lines) = doctor(&database.url(OWNER));
    assert_says(&lines, "OK", "pg_trgm: it is in schema Extra");
    assert_says(&lines, "OK", "schema: version");

    execute(&database, "DROP EXTENSION pg_trgm CASCADE").await;
    let (code, lines) = doctor(&database.url(OWNER));
    assert_eq!(code, Some(1), "{lines:#?}");
    assert_says(&lines, "FAIL", "pg_trgm: it was dropped");
}

#[tokio::test]
async fn a_database_without_public_is_migrated() {
    let database = empty_database().await;
    execute(&database, "DROP SCHEMA public").await;
    let (_, lines) = doctor(&database.url(OWNER));
    assert_says(&lines, "FAIL", "schema: version 0");
    up(&database).await;
    up(&database).await;
    let (_, lines) = doctor(&database.url("booking_svc"));
    assert_says(&lines, "OK", "schema: version");
    assert_says(&lines, "OK", "pg_trgm: it is in schema ticketing");
}

#[tokio::test]
async fn what_an_older_schema_lacks_is_left_to_up() {
    let database = postgres::database().await;
    let older = "DELETE FROM public._sqlx_migrations WHERE version > 6;
        REVOKE UPDATE ON catalog.shows FROM catalog_svc";
    execute(&database, older).await;
    let (code, lines) = doctor(&database.url(OWNER));
    assert_eq!(code, Some(1), "{lines:#?}");
    assert_says(&lines, "FAIL", "schema: version 6");
    assert_says(&lines, "SKIP", "roles: their settings and privileges");
    let roles = lines.iter().filter(|line| line.starts_with("FAIL  roles"));
    assert_eq!(roles.count(), 0, "{lines:#?}");
}
