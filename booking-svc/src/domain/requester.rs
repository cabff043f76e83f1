//! Who makes an order, and which bookings it may see and change.

use std::sync::{Arc, LazyLock};

use super::booking::Booking;
use super::buyer::Buyer;

/// Whose calls are counted together: a caller, as far as it can be told from others.
pub type Subject = Arc<str>;

/// What the log calls this service.
pub const SERVICE_ACTOR: &str = "booking-svc";

/// Who makes an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester {
    /// The customer that it acts for, itself, whose own a booking must be; none if it may see and
    /// change any.
    pub buyer: Option<Buyer>,
    /// Whose holds its holds are counted with; none if they are not counted.
    pub subject: Option<Subject>,
    /// What the log calls it: 1 to 128 characters.
    pub actor: Arc<str>,
}

impl Default for Requester {
    fn default() -> Self {
        Self {
            buyer: None,
            subject: None,
            actor: SERVICE_ACTOR.into(),
        }
    }
}

impl Requester {
    /// This service itself, and a caller that is nobody, as nobody is asked for a token.
    #[must_use]
    pub fn unnamed() -> Arc<Self> {
        static UNNAMED: LazyLock<Arc<Requester>> = LazyLock::new(Arc::default);
        Arc::clone(&UNNAMED)
    }

    /// This service, as it finishes what this one has begun: nothing is out of its sight, and the
    /// log still names who began it.
    #[must_use]
    pub fn finisher(&self) -> Arc<Self> {
        Arc::new(Self {
            buyer: None,
            subject: None,
            actor: Arc::clone(&self.actor),
        })
    }

    /// Whether it may see and change a booking.
    #[must_use]
    pub fn may_see(&self, booking: &Booking) -> bool {
        self.sees_all() || self.buyer.as_ref().is_some_and(|buyer| buyer.owns(booking))
    }

    /// Whether there is no booking that it may not see.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        self.buyer.is_none()
    }
}
