//! Shows and layouts, their transitions and their limits. Pure values:
//! no I/O, no protobuf, no SQL.

mod feed;
mod fold;
mod layout;
mod lifecycle;
mod list;
mod new_show;
mod patch;
mod proposal;
mod rejection;
mod rules;
mod schedule;
mod show;
mod slots;

pub use feed::{Cursor, Entry, Feed, FeedPosition, Page};
pub use fold::folded;
pub use layout::{Layout, LayoutId, LayoutInfo, LayoutList, NewLayout, NoLayoutId, loses_room};
pub use lifecycle::{Verb, next_state, next_states};
pub use list::{After, ListPage, ShowFilter};
pub use new_show::{
    InvalidOrganiser, NAME_CHARS_MAX, NewSeats, NewShow, ORGANISER_CHARS_MAX, Organiser, ShowName,
    TextProblem, VENUE_CHARS_MAX, Venue,
};
pub use patch::ShowPatch;
pub use proposal::{Answer, Answered, Change, Decided, Proposal, Proposed, dropped};
pub use rejection::Rejection;
pub use rules::{
    HOLD_MS, HoldLength, InvalidHoldLength, InvalidLimit, InvalidTimeZone, Limit,
    PLACES_PER_CUSTOMER_MAX, SEATS_PER_BOOKING_MAX, SaleRules, TimeZone,
};
pub use schedule::{START_AHEAD_MAX, Schedule};
#[cfg(test)]
pub(crate) use show::tests::show as show_on_sale;
pub use show::{OrphanRule, ProposalState, Show, ShowInfo, ShowState, ShowType, UnknownName};
pub use slots::{check_slots, missing_slots};
