//! Group commit: the only way to change a booking.
//!
//! An order waits in the `queue`. A commit `worker` takes a `batch` of them, locks what they touch,
//! has the domain decide, writes and commits, in one transaction (`tx`) whose steps are in `steps`.
//! If nothing speaks against it, it writes without having locked: `optimistic` makes a `plan`, `tx`
//! carries it out. What cannot have its locks waits apart (`contention`); what failed comes again
//! (`backlog`).

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
