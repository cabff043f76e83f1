//! The whole system: the real binaries on a real PostgreSQL.

mod actor;
mod auth;
mod binaries;
mod cancelled_shows;
mod connections;
mod contention;
mod crash;
mod equal;
mod expiry;
mod extremes;
mod feed;
mod hold_limits;
mod hung;
mod locked;
mod logs;
mod memory;
mod metrics;
mod payments;
mod postgres_tls;
mod rates;
mod secrets;
mod stale;
mod supervision;
mod tls;
