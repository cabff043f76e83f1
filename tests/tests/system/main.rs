//! The whole system: the real binaries on a real PostgreSQL.

mod binaries;
mod contention;
mod crash;
mod expiry;
mod feed;
