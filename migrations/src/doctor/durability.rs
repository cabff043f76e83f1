//! Whether acknowledged data survives a crash of the server, and a failover.

use service_kit::postgres::first_value;
use tokio_postgres::{Client, Error};

use super::{Findings, rows, setting};

const SUBJECT: &str = "durability";
const STANDBYS: &str = "replication";

/// Where `synchronous_commit` is set for a role or a database, beside the server's own setting.
const COMMIT_SETTINGS: &str = "
    SELECT coalesce(nullif(setrole, 0)::regrole::text, 'the database'), setting
    FROM pg_db_role_setting, unnest(setconfig) AS setting
    WHERE setting LIKE 'synchronous_commit=%'
      AND (setdatabase = 0
           OR setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND (setrole = 0
           OR setrole IN (SELECT oid FROM pg_roles
                          WHERE rolname IN ('catalog_svc', 'booking_svc', 'expiry_worker')))";

pub(super) async fn check(client: &Client, findings: &mut Findings) -> Result<(), Error> {
    for (name, words) in [
        ("fsync", "a crash of the machine loses or corrupts data"),
        (
            "full_page_writes",
            "a crash in the midst of a write corrupts the data",
        ),
    ] {
        match setting(client, name).await?.as_str() {
            "on" => findings.ok(SUBJECT, format!("{name} is on")),
            value => findings.fail(SUBJECT, format!("{name} is {value}: {words}. Set it on")),
        }
    }
    let mut commits = vec![(
        "the session".to_owned(),
        setting(client, "synchronous_commit").await?,
    )];
    for [whose, setting] in rows(client, COMMIT_SETTINGS).await? {
        let value = setting.rsplit('=').next().unwrap_or_default();
        commits.push((whose, value.to_owned()));
    }
    for (whose, value) in commits {
        let words = format!("synchronous_commit of {whose} is {value}");
        match value.as_str() {
            "off" => findings.fail(
                SUBJECT,
                format!("{words}: a crash loses bookings that were acknowledged. Set it on"),
            ),
            "local" => findings.warn(
                SUBJECT,
                format!(
                    "{words}: no standby is waited for, so a failover loses bookings that were \
                         acknowledged. Set it on"
                ),
            ),
            _ => findings.ok(SUBJECT, words),
        }
    }
    check_standbys(client, findings).await
}

async fn check_standbys(client: &Client, findings: &mut Findings) -> Result<(), Error> {
    if first_value(client, "SELECT pg_is_in_recovery()")
        .await?
        .as_deref()
        == Some("t")
    {
        findings.skip(
            STANDBYS,
            "only the primary knows its standbys, and this is not the primary",
        );
        return Ok(());
    }
    let names = setting(client, "synchronous_standby_names").await?;
    // A role that may not read the other columns still sees that there is a standby.
    let count = "SELECT count(*), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')),
                        count(sync_state)
                 FROM pg_stat_replication";
    let found = rows(client, count).await?;
    let Some([all, in_step, readable]) = found.first().map(|row: &[String; 3]| {
        row.each_ref()
            .map(|count| count.parse::<u32>().unwrap_or_default())
    }) else {
        return Ok(());
    };
    if names.is_empty() {
        match all {
            0 => findings.ok(
                STANDBYS,
                "no standby is connected: what is lost with this machine's \
                                        disk is lost",
            ),
            _ => findings.warn(
                STANDBYS,
                format!(
                    "standbys connected: {all}, and none is waited for: a failover loses \
                         bookings that were acknowledged, and sells their seats again. Set \
                         synchronous_standby_names, with two standbys at least"
                ),
            ),
        }
    } else if readable < all {
        findings.skip(
            STANDBYS,
            format!(
                "synchronous_standby_names is set to {names}, and standbys connected: {all}; \
                     which of them are in step is shown to a superuser or a member of pg_monitor \
                     alone"
            ),
        );
    } else if in_step == 0 {
        findings.fail(
            STANDBYS,
            format!(
                "synchronous_standby_names is set to {names}, and no such standby is connected: \
                     each COMMIT waits for one. Start it, or clear the setting after a failover"
            ),
        );
    } else if all < 2 {
        findings.warn(
            STANDBYS,
            "one standby is waited for, and there is no other: if it goes, each COMMIT waits. Have \
             two",
        );
    } else {
        findings.ok(STANDBYS, format!("{all} standbys, {in_step} in step"));
    }
    Ok(())
}
