//! Copying the catalog: what its feed brings becomes sales, and what it proposes is answered.

mod answers;
mod follow;

pub use answers::relay_answers;
pub use follow::follow;
