//! The one statement that writes a batch: put together out of the parts that a batch needs, as each
//! part costs, even if it has nothing to do.

use tokio_postgres::{Client, Statement};

use super::OptimisticChecks;
use crate::domain::Writes;

macro_rules! part {
    ($name:literal) => {
        include_str!(concat!("../../sql/write/", $name, ".sql"))
    };
}

/// The parts of a statement besides locking sales and writing the log.
#[derive(Debug, Clone, Copy)]
struct Parts {
    new: bool,
    changed: bool,
    areas: Option<AreaCounting>,
    seats: bool,
}

/// When the places of areas are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AreaCounting {
    /// Where it is their turn in the order of locks.
    InOrder,
    /// When all else is written.
    Last,
}

/// The statements that batches are written by.
#[derive(Debug, Clone)]
pub(super) struct WriteStatements {
    all: Statement,
    /// For new bookings without seats.
    counted_last: Statement,
    without_areas: Statement,
    pub(super) only_new: Statement,
    only_changed: Statement,
}

impl WriteStatements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let all = Parts {
            new: true,
            changed: true,
            areas: Some(AreaCounting::InOrder),
            seats: true,
        };
        let whole = client.prepare(&statement(all)).await?;
        // All take the same parameters; without a part PostgreSQL cannot infer its parameters' types.
        let of = async |parts| {
            let text = statement(parts);
            client.prepare_typed(&text, whole.params()).await
        };
        let without_areas = Parts { areas: None, ..all };
        Ok(Self {
            counted_last: of(Parts {
                areas: Some(AreaCounting::Last),
                changed: false,
                seats: false,
                ..all
            })
            .await?,
            only_new: of(Parts {
                changed: false,
                ..without_areas
            })
            .await?,
            only_changed: of(Parts {
                new: false,
                seats: false,
                ..without_areas
            })
            .await?,
            without_areas: of(without_areas).await?,
            all: whole,
        })
    }

    pub(super) fn of(&self, writes: &Writes, unlocked: &OptimisticChecks) -> &Statement {
        if unlocked.counted_last {
            &self.counted_last
        } else if !unlocked.areas.is_empty() {
            &self.all
        } else if writes.updated.is_empty() {
            &self.only_new
        } else if writes.inserted.is_empty() && writes.seats.is_empty() {
            &self.only_changed
        } else {
            &self.without_areas
        }
    }
}

/// The text of a statement. PostgreSQL computes the columns of its last SELECT one after another, so
/// they are in the common order of locks. Any lock may have been waited for. Changed bookings have the
/// time at which all locks are held; so have new ones, except for locks on counters.
fn statement(parts: Parts) -> String {
    let counts_last = parts.areas == Some(AreaCounting::Last);
    let mut text = part!("begin").to_owned();
    let mut add = |name: &str, part: [&str; 2]| {
        text += &format!(", {name} AS (\n{}{})\n", part[0], part[1]);
    };
    // A part that must run before another must be counted there.
    let counted = "RETURNING 1\n";
    let before_last = if counts_last { counted } else { "" };
    if parts.new {
        add("inserted", [part!("new"), before_last]);
    }
    if parts.changed {
        add("changed", [part!("changed"), ""]);
    }
    match parts.areas {
        Some(AreaCounting::InOrder) => add("counted", [part!("areas"), counted]),
        Some(AreaCounting::Last) => add(
            "counted",
            [
                part!("areas"),
                concat!(part!("areas_counted_last"), "RETURNING 1\n"),
            ],
        ),
        None => {}
    }
    if parts.seats {
        add("given", [part!("seats"), counted]);
    }
    add("logged", [part!("log"), before_last]);

    text += "SELECT
    -- Locks the sales; their expectations are checked once all is locked.
    (SELECT count(*) FROM sold),
    -- A replay of a rejected call is not granted.
    booking.expect_no_rejection($9::uuid[], $10::uuid[]),\n";
    if parts.changed {
        text += "    booking.expect_rows(
        'bookings changed', (SELECT count(*) FROM changed WHERE in_time), cardinality($2)
    ),\n";
    }
    if counts_last {
        text += "    (SELECT count(*) FROM inserted),\n    (SELECT count(*) FROM logged),\n";
    }
    if parts.areas.is_some() {
        text += "    booking.expect_rows('areas counted', (SELECT count(*) FROM counted), \
            cardinality($6)),\n";
    }
    if parts.seats {
        text += "    booking.expect_rows('seats given', (SELECT count(*) FROM given), \
            cardinality($3)),\n";
    }
    text + part!("end")
}
