//! How PostgreSQL is reached over tokio-postgres: one way to connect, whatever the host; a pool
//! that is bounded in size and in waiting; what is checked at the start; and readiness.

mod database;
mod driver;
mod failure;
mod pool;
mod readiness;
mod start;

pub use database::{Database, DatabaseUrl, Place};
pub use failure::{ConnectError, DbError};
pub use pool::{Lent, Pool, get};
pub use readiness::follow_readiness;
pub use start::check_schema;

/// The schema version that this release of the services needs at least.
pub const SCHEMA_VERSION: i64 = 29;
