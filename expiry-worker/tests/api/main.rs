//! The expiry-worker on a real PostgreSQL database: as a library, through its RPC, and
//! as a process.

mod areas;
mod broken;
mod hall;
mod locked;
mod once;
mod plans;
mod run_once;
mod sweep;
mod work;
