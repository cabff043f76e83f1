//! What a show is, what it may become, and the limits it keeps. Pure values: no I/O, no
//! protobuf, no SQL.

mod feed;
mod list;
mod new_show;
mod patch;
mod refusal;
mod show;

pub use feed::{Entry, Page};
pub use list::{After, ShowFilter};
pub use new_show::{
    NAME_CHARS_MAX, NewShow, START_AHEAD_MAX, Schedule, ScheduleProblem, ShowName, TextProblem,
    VENUE_CHARS_MAX, Venue,
};
pub use patch::{Changes, ShowPatch};
pub use refusal::{Refusal, ScheduleField};
pub use show::{Show, ShowInfo, ShowState, ShowType, UnknownName};
