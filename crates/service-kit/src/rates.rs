//! How many calls a caller may make in a minute.
//!
//! A customer is told apart by its token's subject, a caller without a token by its address. What a
//! method's calls count as stands at the method in the contract (`ticketing.auth.v1.CallClass`).
//! Each process counts for itself.
//!
//! Invariants: what is counted of callers is bounded (`limiter.rs`); and no caller who made too many
//! calls is forgotten to make room for another.

mod limiter;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use governor::clock::DefaultClock;
use proto::auth::v1::{CallClass, Role};
use proto::errors::v1::ErrorReason;
use sha2::{Digest as _, Sha256};

use self::limiter::{Limiter, NotAllowed};
use crate::api_error::ApiError;
use crate::args::duration_of;
use crate::auth::Caller;
use crate::auth::access::{Roles, Rule, Rules};
use crate::metrics::{Counter, Page};
use crate::server::peer_of;
use crate::tally;

/// The most callers that are counted at once, for each class of calls: some 10 MB.
const CALLERS_MAX: usize = 100_000;

/// How many calls of each class a caller may make.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of a caller")]
pub struct RateArgs {
    /// The most reads a minute of one customer, or of one address without a token; further ones are
    /// refused with RESOURCE_EXHAUSTED. 0: no limit
    #[arg(long, env = "TICKETING_READS_PER_MINUTE", default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub reads_per_minute: u32,

    /// The same of calls that hold seats: reserve, swap, extend. 0: no limit
    #[arg(long, env = "TICKETING_HOLDS_PER_MINUTE", default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub holds_per_minute: u32,

    /// The same of other calls that change something. 0: no limit
    #[arg(long, env = "TICKETING_CHANGES_PER_MINUTE", default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub changes_per_minute: u32,

    /// A caller that has paused may make the calls of so long a time at once, and one in any case
    #[arg(long, env = "TICKETING_RATE_BURST", default_value = "1m", value_name = "DURATION", value_parser = duration_of::<1, 3600>)]
    pub rate_burst: Duration,
}

/// Whom a call is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    /// A token's subject, by its hash: there is one issuer. What is remembered names nobody.
    Token([u8; 16]),
    /// An address, or a network of IPv6.
    Address(IpAddr),
}

/// The limits of all classes of calls.
#[derive(Debug)]
pub(crate) struct RateLimits {
    rules: Rules,
    reads: Option<ClassLimit>,
    holds: Option<ClassLimit>,
    changes: Option<ClassLimit>,
}

#[derive(Debug)]
struct ClassLimit {
    name: &'static str,
    per_minute: NonZeroU32,
    limiter: Limiter<Subject, DefaultClock>,
    refused: &'static Counter,
}

static READS_REFUSED: Counter = Counter::new();
static HOLDS_REFUSED: Counter = Counter::new();
static CHANGES_REFUSED: Counter = Counter::new();

impl ClassLimit {
    fn new(
        name: &'static str,
        per_minute: u32,
        burst: Duration,
        refused: &'static Counter,
    ) -> Option<Self> {
        let per_minute = NonZeroU32::new(per_minute)?;
        Some(Self {
            name,
            per_minute,
            limiter: Limiter::new(per_minute, burst, CALLERS_MAX, DefaultClock::default()),
            refused,
        })
    }
}

impl RateLimits {
    /// The limits that the flags set; none if they set none.
    ///
    /// # Errors
    ///
    /// If a method of the contract has no class.
    pub(crate) fn new(args: &RateArgs) -> Result<Option<Self>, String> {
        let of =
            |name, per_minute, refused| ClassLimit::new(name, per_minute, args.rate_burst, refused);
        let limits = Self {
            rules: Rules::of_contract()?,
            reads: of("read", args.reads_per_minute, &READS_REFUSED),
            holds: of("hold", args.holds_per_minute, &HOLDS_REFUSED),
            changes: of("change", args.changes_per_minute, &CHANGES_REFUSED),
        };
        let is_any = limits.reads.is_some() || limits.holds.is_some() || limits.changes.is_some();
        Ok(is_any.then_some(limits))
    }

    /// Counts a call, if it is one that is limited.
    ///
    /// # Errors
    ///
    /// If its caller has made too many.
    pub(crate) fn check(
        &self,
        path: &str,
        caller: Option<&Caller>,
        peer: IpAddr,
    ) -> Result<(), ApiError> {
        if caller.is_some_and(|caller| !caller.is_customer_alone()) {
            return Ok(());
        }
        let Some(limit) = self.of_method(path) else {
            return Ok(());
        };
        let subject = match caller {
            Some(caller) => Subject::of_token(&caller.identity().subject),
            None => Subject::Address(peer_of(peer)),
        };
        limit.limiter.check(&subject).map_err(|why| match why {
            NotAllowed::Until(after) => limit.refusal(subject, after),
            NotAllowed::NoRoom => {
                tally::count("CALLERS_UNCOUNTED");
                let full = "there are too many callers to count the calls of another one";
                ApiError::overloaded(full).as_callers_doing()
            }
        })
    }

    fn of_method(&self, path: &str) -> Option<&ClassLimit> {
        // Other programs of the installation are not limited, whether or not they have tokens.
        let people = [Role::Customer, Role::Staff, Role::Door];
        let people = people.into_iter().fold(Roles::NONE, Roles::with);
        match self.rules.of(path)? {
            Rule::OneOf(roles) if roles.common(people) == Roles::NONE => None,
            _ => match self.rules.class_of(path)? {
                CallClass::Read => self.reads.as_ref(),
                CallClass::Hold => self.holds.as_ref(),
                CallClass::Change => self.changes.as_ref(),
                CallClass::Unspecified => None,
            },
        }
    }
}

impl Subject {
    fn of_token(subject: &str) -> Self {
        let mut head = [0; 16];
        head.copy_from_slice(&Sha256::digest(subject)[..16]);
        Self::Token(head)
    }
}

impl ClassLimit {
    fn refusal(&self, subject: Subject, after: Duration) -> ApiError {
        self.refused.increment();
        let Self {
            name, per_minute, ..
        } = self;
        let (counted_by, whose) = match subject {
            Subject::Token(_) => ("token", "the customer"),
            Subject::Address(_) => ("address", "the address"),
        };
        let message =
            format!("{whose} may make {per_minute} calls of the class {name} a minute; wait");
        ApiError::quota_until(ErrorReason::RateLimited, name, message, after)
            .with("class", name)
            .with("calls_per_minute", per_minute)
            .with("counted_by", counted_by)
            .as_callers_doing()
    }
}

/// Writes the counts.
pub(crate) fn collect(page: &mut Page) {
    for (class, refused) in [
        ("read", &READS_REFUSED),
        ("hold", &HOLDS_REFUSED),
        ("change", &CHANGES_REFUSED),
    ] {
        page.counter(
            "ticketing_rate_limited_total",
            "Calls that were refused because their callers had made too many, by class",
            &[("class", class)],
            refused,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST_SEATS: &str = "/ticketing.booking.v1.BookingService/ListSeats";
    const RESERVE: &str = "/ticketing.booking.v1.BookingService/ReserveSeats";
    const CONFIRM: &str = "/ticketing.booking.v1.BookingService/ConfirmBooking";
    const CAPTURE: &str = "/ticketing.payment.v1.PaymentService/Capture";

    fn limits(reads: u32, holds: u32, changes: u32) -> Option<RateLimits> {
        let args = RateArgs {
            reads_per_minute: reads,
            holds_per_minute: holds,
            changes_per_minute: changes,
            rate_burst: Duration::from_secs(60),
        };
        RateLimits::new(&args).expect("a contract with classes")
    }

    #[test]
    fn without_a_limit_there_is_nothing_to_ask() {
        assert!(limits(0, 0, 0).is_none());
        assert!(limits(0, 1, 0).is_some());
    }

    #[test]
    fn each_class_has_its_own_limit_and_programs_have_none() {
        let limits = limits(3, 1, 2).expect("limits");
        let peer = IpAddr::from([127, 0, 0, 1]);
        for (path, allowed) in [(LIST_SEATS, 3), (RESERVE, 1), (CONFIRM, 2), (CAPTURE, 50)] {
            let passed = (0..50).take_while(|_| limits.check(path, None, peer).is_ok());
            assert_eq!(passed.count(), allowed, "{path}");
        }
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_caller() {
        let limits = limits(0, 1, 0).expect("limits");
        let check = |peer: &str| {
            let peer = peer.parse().expect("an address");
            limits.check(RESERVE, None, peer).is_ok()
        };
        assert!(check("2001:db8::1"));
        assert!(!check("2001:db8::2"));
        assert!(check("2001:db8:0:1::1"));
    }
}
