//! What every service would otherwise copy: arguments, logs, metrics, health, the layer around each
//! call, who may make it, errors as the contract has them, the tasks beside the calls, stopping, and
//! how PostgreSQL is
//! reached.
//!
//! No domain logic: nothing here depends on shows or bookings.

pub mod api_error;
pub mod args;
pub mod auth;
pub mod background;
pub mod call;
pub mod cause;
pub mod connection;
#[cfg(debug_assertions)]
mod failpoint;
pub mod fingerprint;
pub mod health;
pub mod log_id;
mod log_limit;
pub mod metrics;
pub mod outcome;
pub mod paging;
pub mod postgres;
pub mod process;
pub mod proto_convert;
pub mod rates;
pub mod server;
pub mod shutdown;
pub mod sqlstate;
pub mod supervise;
pub mod tally;
pub mod telemetry;
pub mod tls;

pub use api_error::{ApiError, FieldViolations};
pub use connection::Connection;
pub use shutdown::Shutdown;
pub use supervise::Supervisor;
