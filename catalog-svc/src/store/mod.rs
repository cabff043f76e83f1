//! Shows in PostgreSQL, in schema `catalog`. A verb is a file, with its SQL.
//!
//! Every write of a show takes the feed's next revision by updating the one row of
//! `catalog.feed`, in the statement that writes the show: whoever updates that row waits for
//! the transaction that did so before, so the order of revisions is the order of commits.
//! Locks are taken in one order: the request's row, the show's, the feed's.

mod cache;
mod cancel_show;
mod create_show;
mod delete_show;
mod error;
mod get_show;
mod list_shows;
mod mutation;
mod newest;
mod pool;
mod replica;
mod requests;
mod rows;
mod schema;
mod sqlstate;
mod update_show;
mod watch_shows;

pub use cancel_show::CancelShow;
pub use create_show::CreateShow;
pub use delete_show::DeleteShow;
pub use error::StoreError;
pub use list_shows::ListShows;
pub use mutation::Mutation;
pub use newest::Newest;
pub use pool::Store;
pub use requests::RequestKey;
pub use update_show::UpdateShow;
