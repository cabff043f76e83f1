//! Whether there is a pooler before the server, and its effect on the services.

use service_kit::postgres::{Database, Pooling, pooling};

use super::Findings;

const SUBJECT: &str = "pooler";

pub(super) async fn check(database: &Database, findings: &mut Findings) {
    match pooling(database).await {
        Ok(Pooling::None) => findings.ok(
            SUBJECT,
            "none detected, or one that gives each connection a session",
        ),
        Ok(Pooling::ByTransaction) => match database.role() {
            "booking_svc" | "expiry_worker" => findings.ok(
                SUBJECT,
                "sessions are shared by transaction, and prepared statements are kept",
            ),
            "catalog_svc" => findings.fail(
                SUBJECT,
                "sessions are shared by transaction, and catalog-svc listens on one: connect it \
                 to PostgreSQL itself, or set pool_mode = session for its role",
            ),
            _ => findings.warn(
                SUBJECT,
                "sessions are shared by transaction. That will do for booking-svc and \
                 expiry-worker; catalog-svc and `migrate up` must connect to PostgreSQL itself, or \
                 with pool_mode = session for their roles",
            ),
        },
        Ok(Pooling::WithoutStatements) => findings.fail(
            SUBJECT,
            "prepared statements are forgotten between transactions, so no service can work: \
             PgBouncer must be 1.21 or newer, with max_prepared_statements above 0",
        ),
        Err(error) => findings.skip(SUBJECT, format!("could not be checked: {error}")),
    }
}
