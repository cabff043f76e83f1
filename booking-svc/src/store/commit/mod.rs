//! Group commit: the only way to change a booking.
//!
//! An order waits in the `queue`. A commit `worker` takes a `batch` of orders, locks their rows, lets
//! the domain decide, writes and commits, in one transaction (`tx`) whose steps are in `steps`.
//! If all orders seem grantable, it writes without locking first: `optimistic` makes a `plan`, `tx`
//! executes it. Orders whose locks are held elsewhere wait apart (`contention`); failed batches are
//! retried (`backlog`).

mod backlog;
mod batch;
mod contention;
mod lock_keys;
mod metrics;
mod optimistic;
mod plan;
mod queue;
mod rejection_budget;
mod steps;
mod tx;
mod worker;

pub use batch::{Answer, Fault, OrderError};
pub(super) use contention::{WAIT_MAX, give_up_at};
pub use rejection_budget::RejectionLimits;
pub use worker::{GroupCommit, GroupCommitConfig};
