//! The record of one run: the calls with their replies, as the customers saw them, and the
//! log of changes from the database.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use proto::booking::v1::Booking as BookingReply;
use tokio_postgres::Client;
use uuid::Uuid;

use super::ask::Ask;
use super::hall::Instant;
use super::rejection::Rejection;
use super::show::{Lot, Terms};

/// Numbers the log's entries, and records when a sale is cancelled: the database's own order within a
/// transaction, and the one change that leaves no entry in the log.
const NOTE_ORDER: &str = "
    CREATE SEQUENCE public.log_order;
    GRANT USAGE ON SEQUENCE public.log_order TO booking_svc, expiry_worker;
    ALTER TABLE booking.transitions
        ADD COLUMN number bigint NOT NULL DEFAULT nextval('public.log_order');
    CREATE TABLE public.cancellations (show_id uuid, at timestamptz);
    CREATE FUNCTION public.note_cancellation() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO public.cancellations VALUES (NEW.show_id, clock_timestamp());
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_cancellation AFTER INSERT OR UPDATE ON booking.sales
        FOR EACH ROW WHEN (NEW.state = 'CANCELLED')
        EXECUTE FUNCTION public.note_cancellation()";

const LOG: &str = "
    SELECT booking_id::text, version, verb::text, from_state::text, to_state::text,
        (extract(epoch FROM made_at) * 1000000)::bigint, request_id
    FROM booking.transitions
    WHERE show_id = $1
    ORDER BY made_at, number";

const PAYMENTS: &str = "
    SELECT payment_key, booking_id::text, amount,
        (extract(epoch FROM started_at) * 1000000)::bigint,
        (extract(epoch FROM deadline_at) * 1000000)::bigint, decline_reason
    FROM booking.payments
    WHERE show_id = $1";

const CANCELLED: &str = "
    SELECT (extract(epoch FROM min(at)) * 1000000)::bigint
    FROM public.cancellations
    WHERE show_id = $1";

/// A call and its outcome.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) ask: Ask,
    pub(super) request_id: Option<Uuid>,
    /// Whether it was made where one pays.
    pub(super) pays: bool,
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) outcome: Result<BookingReply, Rejection>,
}

/// A read, and its result.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) seen: BookingReply,
}

/// A hold whose times were moved, which no customer can do.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) booking: String,
    pub(super) version: i32,
    pub(super) created: Instant,
    pub(super) expires: Instant,
    /// By the database's clock, with the row locked.
    pub(super) at: Instant,
    pub(super) ended: Instant,
}

/// An entry of the log.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) booking: String,
    pub(super) version: i32,
    pub(super) verb: String,
    pub(super) from: Option<String>,
    pub(super) to: String,
    pub(super) at: Instant,
    pub(super) request_id: Uuid,
}

/// An attempt to pay, as it is on record.
#[derive(Debug, Clone)]
pub(super) struct Paid {
    pub(super) key: Uuid,
    pub(super) booking: String,
    pub(super) amount: i64,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
    /// Why no money was taken; none if it was.
    pub(super) reason: Option<String>,
}

/// The entry's kind.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) terms: Arc<Terms>,
    pub(super) calls: Vec<Call>,
    pub(super) looks: Vec<Look>,
    pub(super) moves: Vec<Move>,
    /// In the order in which they were made.
    pub(super) log: Vec<Entry>,
    pub(super) payments: Vec<Paid>,
    /// How much the provider must have kept of each attempt, by its key, once all refunds are
    /// made.
    pub(super) money: Vec<(Uuid, i64)>,
    /// When the booking service took the show off sale for good.
    pub(super) cancelled_at: Option<Instant>,
}

/// Prepares a new database for [`History::read_log`].
pub(super) async fn note_order(owner: &Client) {
    let noted = owner.batch_execute(NOTE_ORDER).await;
    noted.expect("the owner may");
}

/// The time on this machine, which the database runs on too.
pub(super) fn now() -> Instant {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.expect("it is after 1970").as_micros();
    Instant::try_from(micros).expect("it is long before 294000")
}

impl History {
    /// Of a show of which nothing has happened yet.
    pub(super) fn of(terms: &Arc<Terms>) -> Self {
        Self {
            terms: Arc::clone(terms),
            calls: Vec::new(),
            looks: Vec::new(),
            moves: Vec::new(),
            log: Vec::new(),
            payments: Vec::new(),
            money: Vec::new(),
            cancelled_at: None,
        }
    }

    /// Reads the database's part.
    pub(super) async fn read_log(&mut self, owner: &Client) {
        let show_id: Uuid = self.terms.show_id.parse().expect("a show's id");
        let rows = owner.query(LOG, &[&show_id]).await.expect("the log");
        let entry = |row: &tokio_postgres::Row| Entry {
            booking: row.get(0),
            version: row.get(1),
            verb: row.get(2),
            from: row.get(3),
            to: row.get(4),
            at: row.get(5),
            request_id: row.get(6),
        };
        self.log = rows.iter().map(entry).collect();
        let rows = owner.query(PAYMENTS, &[&show_id]).await;
        let paid = |row: &tokio_postgres::Row| Paid {
            key: row.get(0),
            booking: row.get(1),
            amount: row.get(2),
            started: row.get(3),
            deadline: row.get(4),
            reason: row.get(5),
        };
        self.payments = rows.expect("the payments").iter().map(paid).collect();
        let row = owner.query_one(CANCELLED, &[&show_id]).await;
        self.cancelled_at = row.expect("a time or none").get(0);
    }
}

/// In the order of time, a line each.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<(Instant, String)> = Vec::new();
        let first = self.calls.iter().map(|call| call.began).min();
        let first = first.unwrap_or_default();
        let micros = |at: Instant| at - first;
        for call in &self.calls {
            let mut line = format!("call until {:>7}: {:?}", micros(call.ended), call.ask);
            let id = call
                .request_id
                .map_or("none".to_owned(), |id| id.to_string());
            let _ = write!(line, " under {id}: ");
            let _ = match &call.outcome {
                Ok(reply) => write!(line, "{}", brief(reply)),
                Err(rejection) => write!(line, "{rejection:?}"),
            };
            lines.push((call.began, line));
        }
        for look in &self.looks {
            let seen = brief(&look.seen);
            lines.push((
                look.began,
                format!("look until {:>7}: {seen}", micros(look.ended)),
            ));
        }
        lines.extend(
            self.moves
                .iter()
                .map(|moved| (moved.at, format!("moved: {moved:?}"))),
        );
        lines.extend(self.log.iter().map(|entry| {
            let Entry {
                booking,
                version,
                verb,
                to,
                request_id,
                ..
            } = entry;
            let line = format!("    LOG {verb} {booking} v{version} to {to} under {request_id}");
            (entry.at, line)
        }));
        lines.extend(
            self.cancelled_at
                .map(|at| (at, "    SHOW CANCELLED".to_owned())),
        );
        lines.sort();
        for (at, line) in lines {
            writeln!(f, "{:>9} {line}", micros(at))?;
        }
        Ok(())
    }
}

fn brief(reply: &BookingReply) -> String {
    let Lot { seats, places } = Lot::of(reply);
    let seats: Vec<_> = seats.into_iter().collect();
    let BookingReply {
        booking_id, etag, ..
    } = reply;
    let refund = reply.refund_due.as_ref().map(|money| money.minor_units);
    let state = reply
        .state()
        .as_str_name()
        .trim_start_matches("BOOKING_STATE_");
    format!(
        "{booking_id} {etag} {state} {} and {places} places, refund {refund:?}",
        seats.join(",")
    )
}
