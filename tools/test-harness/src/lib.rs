//! The test harness of every crate: a real PostgreSQL database for each test, the real
//! binaries, and ways to wait and to assert with helpful messages.
//!
//! What must always hold: nothing here replaces a part of the system, nothing sleeps and
//! hopes, and nothing outlives the test process, however it ends.

pub mod certificates;
pub mod errors;
pub mod invariants;
pub mod issuer;
pub mod lifeline;
pub mod load;
pub mod machine;
pub mod metered;
pub mod postgres;
pub mod process;
pub mod promql;
pub mod proxy;
pub mod raw;
pub mod scrape;
pub mod secrets;
pub mod system;
mod target;
mod wait;

pub use wait::{eventually, eventually_some};
