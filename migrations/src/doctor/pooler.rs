//! What a pooler between us and the server would do to the services.

use service_kit::postgres::{Database, Pooling, pooling};

use super::Findings;

const SUBJECT: &str = "pooler";

pub(super) async fn check(database: &Database, findings: &mut Findings) {
    match pooling(database).await {
        Ok(Pooling::None) => findings.ok(
            SUBJECT,
            "none was noticed, or one that gives each connection a session",
        ),
        Ok(Pooling::ByTransaction) => findings.warn(
            SUBJECT,
            "sessions are shared by transaction. Prepared statements are kept, so booking-svc and \
             expiry-worker may use it; catalog-svc listens and must connect to PostgreSQL itself, \
             or with pool_mode = session for its role; so must `migrate up`",
        ),
        Ok(Pooling::WithoutStatements) => findings.fail(
            SUBJECT,
            "prepared statements are forgotten between transactions, so no service can work: \
             PgBouncer must be 1.21 or newer, with max_prepared_statements above 0",
        ),
        Err(error) => findings.skip(SUBJECT, format!("could not be checked: {error}")),
    }
}
