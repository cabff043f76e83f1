//! How PostgreSQL is reached over tokio-postgres: one way to connect, whatever the host; a pool
//! that is bounded in size and in waiting; what is checked at the start; and readiness.

mod database;
mod driver;
mod failure;
mod host;
mod inspect;
mod metrics;
mod parameters;
mod place;
mod pool;
mod readiness;
mod route;
mod start;
mod tls;
mod url;

pub use database::Database;
pub use failure::{ConnectError, DbError};
pub use inspect::{
    FIND_VERSIONS, Pooling, SERVER_VERSION_MIN, first_value, is_read_only, pooling, schema_version,
    server_version,
};
pub(crate) use metrics::collect;
pub use metrics::{PoolMetrics, connected};
pub use place::Place;
pub use pool::{Lent, Pool, get};
pub use readiness::follow_readiness;
pub use route::Route;
pub use start::{Needs, check_at_start};
pub use tls::TlsMode;
pub use url::DatabaseUrl;

/// The schema version that this release of the services needs at least.
pub const SCHEMA_VERSION: i64 = 8;
