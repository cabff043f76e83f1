//! What the expiry-worker does to a real PostgreSQL database, as a library, by its RPC, and
//! as the process it is.

mod areas;
mod broken;
mod hall;
mod locked;
mod once;
mod plans;
mod run_once;
mod sweep;
mod work;
