//! Copies the catalog: turns the feed's shows into sales, and answers proposals.

mod answers;
mod follow;

pub use answers::relay_answers;
pub use follow::follow;
