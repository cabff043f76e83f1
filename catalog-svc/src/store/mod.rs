//! Shows in PostgreSQL, in schema `catalog`. A verb is a file, with its SQL.
//!
//! Every write of a show takes the feed's next revision by updating the one row of
//! `catalog.feed`, in the statement that writes the show: whoever updates that row waits for
//! the transaction that did so before, so the order of revisions is the order of commits.
//! Locks are taken in one order: the request's row, the show's, its layout's, the feed's.

mod batch_get_shows;
mod cache;
mod change_seat_layout;
mod change_state;
mod column;
mod create_show;
mod delete_show;
mod error;
mod feed;
mod followers;
mod get_show;
mod layouts;
mod list_shows;
mod mutation;
mod outcome;
mod pool;
mod proposals;
mod replica;
mod requests;
mod revision_tracker;
mod rows;
mod schedule_worker;
mod set_prices;
mod sqlstate;
mod unreadable;
mod update_show;
mod write_show;

pub use change_seat_layout::ChangeSeatLayout;
pub use change_state::{Cancel, ChangeState, Close, LifeVerb, Pause, Publish, Resume};
pub use create_show::CreateShow;
pub use delete_show::DeleteShow;
pub use error::StoreError;
pub use followers::Follower;
pub use layouts::{CreateSeatLayout, DeleteSeatLayout};
pub use list_shows::ListShows;
pub use mutation::Mutation;
pub use pool::{Reader, Store};
pub use proposals::AnswerProposal;
pub use requests::{Outcome, RequestKey};
pub use revision_tracker::RevisionTracker;
pub use set_prices::SetPrices;
pub use update_show::UpdateShow;
