//! The server itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use service_kit::postgres::{SERVER_VERSION_MIN, first_value, server_version};
use tokio_postgres::{Client, Error};

use super::{Findings, setting};

const SUBJECT: &str = "server";
/// The newest major release that the tests have run on.
const SERVER_VERSION_TRIED: u32 = 17;
/// How far the server's clock may be off ours, the way included.
const CLOCK_MAX: Duration = Duration::from_secs(2);

pub(super) async fn check(client: &Client, findings: &mut Findings) -> Result<(), Error> {
    let version = server_version(client).await?;
    if version < SERVER_VERSION_MIN {
        findings.fail(
            SUBJECT,
            format!("PostgreSQL {version}; {SERVER_VERSION_MIN} is needed at least: upgrade"),
        );
    } else if version > SERVER_VERSION_TRIED {
        findings.ok(
            SUBJECT,
            format!("PostgreSQL {version}, which is newer than any that was tried"),
        );
    } else {
        findings.ok(SUBJECT, format!("PostgreSQL {version}"));
    }

    let in_recovery = first_value(client, "SELECT pg_is_in_recovery()").await?;
    if in_recovery.as_deref() == Some("t") {
        findings.fail(
            SUBJECT,
            "it is a standby, which takes no writes: connect to the primary, or name all hosts \
             with target_session_attrs=read-write",
        );
    } else if setting(client, "transaction_read_only").await? == "on" {
        findings.fail(
            SUBJECT,
            "default_transaction_read_only is on, for the server, the database or the role: \
             nothing can be written until it is off",
        );
    } else {
        findings.ok(SUBJECT, "it takes writes");
    }

    let encoding = setting(client, "server_encoding").await?;
    if encoding == "UTF8" {
        findings.ok(SUBJECT, "the database's encoding is UTF8");
    } else {
        findings.fail(
            SUBJECT,
            format!("the database's encoding is {encoding}: create it again with ENCODING 'UTF8'"),
        );
    }
    check_clock(client, findings).await
}

/// Holds end by the server's clock alone, but people compare it with theirs and with the logs.
async fn check_clock(client: &Client, findings: &mut Findings) -> Result<(), Error> {
    let before = SystemTime::now();
    let clock = "SELECT extract(epoch FROM clock_timestamp())";
    let clock = first_value(client, clock).await?;
    let clock = clock.and_then(|clock| clock.parse::<f64>().ok());
    let clock = clock.and_then(|clock| Duration::try_from_secs_f64(clock).ok());
    let after = SystemTime::now();
    let Some(clock) = clock.map(|since| UNIX_EPOCH + since) else {
        findings.skip(SUBJECT, "its clock could not be read");
        return Ok(());
    };
    if before - CLOCK_MAX < clock && clock < after + CLOCK_MAX {
        findings.ok(SUBJECT, "its clock agrees with the one here");
    } else {
        findings.warn(
            SUBJECT,
            format!(
                "its clock is more than {CLOCK_MAX:?} off the one here, and holds end by it: \
                 keep both in step by NTP"
            ),
        );
    }
    Ok(())
}
