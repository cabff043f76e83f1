//! The hosts of a URL that names several: which of them takes writes, and which would be found
//! after a failover.

use service_kit::postgres::{Database, is_read_only};

use super::Findings;

const SUBJECT: &str = "hosts";

pub(super) async fn check(database: &Database) -> Findings {
    let mut findings = Findings::default();
    let hosts = database.hosts();
    if hosts.len() < 2 {
        return findings;
    }
    let mut primaries = 0;
    for host in hosts {
        let client = match host.connect().await {
            Ok(client) => client,
            Err(error) => {
                findings.warn(SUBJECT, error.to_string());
                continue;
            }
        };
        match is_read_only(&client).await {
            Ok(true) => findings.ok(SUBJECT, format!("{host}: takes no writes")),
            Ok(false) => {
                primaries += 1;
                findings.ok(SUBJECT, format!("{host}: takes writes"));
            }
            Err(error) => findings.unless_done(SUBJECT, Err(error)),
        }
    }
    if !database.wants_writes() {
        findings.warn(
            SUBJECT,
            "several are named, and the first that answers is taken though it may be a standby: \
             add target_session_attrs=read-write to the URL",
        );
    }
    if primaries > 1 {
        findings.warn(
            SUBJECT,
            "more than one takes writes. Unless they are poolers before one server, the old \
             primary of a failover was not fenced: stop it",
        );
    }
    findings
}
