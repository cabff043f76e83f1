//! Room for the connections of the services.

use tokio_postgres::{Client, Error};

use super::{Findings, rows, setting};

const SUBJECT: &str = "connections";
/// The connections that one instance of each service opens by default, twice for a rolling release:
/// booking-svc 8 for single statements, 2 commit workers, 1 for orders that wait for a lock, 1 for
/// readiness; catalog-svc 8 for calls, 4 for booking-svc, 3 for background work, 1 that listens, 1
/// for readiness; expiry-worker 8 and 1.
const WANTED_MIN: u32 = 2 * ((8 + 2 + 1 + 1) + (8 + 4 + 3 + 1 + 1) + (8 + 1));
/// The same for the service that opens most, for a limit of one role.
const WANTED_OF_ROLE_MIN: u32 = 2 * (8 + 4 + 3 + 1 + 1);

/// Limits of the database and of the services' roles; -1 is none.
const LIMITS: &str = "
    SELECT 'the database', datconnlimit FROM pg_database WHERE datname = current_database()
    UNION ALL
    SELECT rolname, rolconnlimit FROM pg_roles
    WHERE rolname IN ('catalog_svc', 'booking_svc', 'expiry_worker')";

pub(super) async fn check(client: &Client, findings: &mut Findings) -> Result<(), Error> {
    let most = number(&setting(client, "max_connections").await?);
    let reserved = number(&setting(client, "superuser_reserved_connections").await?);
    let free = most.saturating_sub(reserved);
    if free < WANTED_MIN {
        findings.warn(
            SUBJECT,
            format!(
                "max_connections leaves room for {free}; one instance of each service, and \
                 another while a release rolls, want {WANTED_MIN} unless a pooler is between: \
                 raise it"
            ),
        );
    } else {
        findings.ok(
            SUBJECT,
            format!(
                "there is room for {free}; one instance of each service wants {WANTED_MIN} \
                     while a release rolls"
            ),
        );
    }
    for [whose, limit] in rows(client, LIMITS).await? {
        let wanted = if whose == "the database" {
            WANTED_MIN
        } else {
            WANTED_OF_ROLE_MIN
        };
        match limit.parse::<u32>() {
            Ok(limit) if limit < wanted => findings.warn(
                SUBJECT,
                format!(
                    "{whose} is limited to {limit}, and may want {wanted}: raise CONNECTION \
                         LIMIT"
                ),
            ),
            // Minus one is no limit.
            _ => {}
        }
    }
    Ok(())
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_default()
}
