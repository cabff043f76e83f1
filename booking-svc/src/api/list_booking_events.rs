//! ListBookingEvents.

use proto::booking::v1 as pb;
use proto::booking::v1::list_booking_events_request::Of;
use service_kit::fingerprint::fingerprint;
use service_kit::{ApiError, FieldViolations, paging, proto_convert};
use tonic::Request;

use super::{Bookings, convert, parse, requester};
use crate::domain::{Event, Rejection, Requester, Verb};
use crate::store::{EventPlace, EventsOf};

impl Bookings {
    pub(super) async fn handle_list_booking_events(
        &self,
        request: Request<pb::ListBookingEventsRequest>,
    ) -> Result<pb::ListBookingEventsResponse, ApiError> {
        let requester = requester::of(&request);
        let request = request.into_inner();
        let page_size = paging::page_size(request.page_size)?;
        let of = parse_of(request.of)?;
        let query = fingerprint_of(of);
        let after = paging::cursor(query, &request.page_token, parse_place)?;

        if !requester.sees_all() {
            self.check_own(&requester, of).await?;
        }
        if let EventsOf::Show(show_id) = of {
            self.sales.get(show_id).await?;
        }
        let page = self.store.events(of, after, page_size).await?;
        if let EventsOf::Booking(id) = of
            && page.items.is_empty()
        {
            // Each booking has the event that made it.
            return Err(Rejection::BookingNotFound(id).into());
        }

        let next_page_token = page.next.map(
            |EventPlace {
                 booking_id,
                 version,
             }| { paging::page_token(query, &format!("{booking_id}:{version}")) },
        );
        Ok(pb::ListBookingEventsResponse {
            events: page.items.into_iter().map(Into::into).collect(),
            next_page_token: next_page_token.unwrap_or_default(),
        })
    }

    /// Whether what happened is the customer's own to see: to one of its bookings, not to a show.
    async fn check_own(&self, requester: &Requester, of: EventsOf) -> Result<(), ApiError> {
        let EventsOf::Booking(id) = of else {
            return Err(requester::other_customer("show_id"));
        };
        match self.store.booking(id).await? {
            Some(found) if requester.may_see(&found.booking) => Ok(()),
            _ => Err(Rejection::BookingNotFound(id).into()),
        }
    }
}

fn parse_of(of: Option<Of>) -> Result<EventsOf, ApiError> {
    let mut violations = FieldViolations::default();
    let of = match of {
        Some(Of::BookingId(id)) => parse::booking_id(&id, &mut violations).map(EventsOf::Booking),
        Some(Of::ShowId(id)) => parse::show_id(&id, &mut violations).map(EventsOf::Show),
        None => {
            violations.add("of", "must be set: booking_id or show_id");
            None
        }
    };
    of.ok_or_else(|| violations.into_error())
}

fn parse_place(text: &str) -> Option<EventPlace> {
    let (booking_id, version) = text.split_once(':')?;
    Some(EventPlace {
        booking_id: booking_id.parse().ok()?,
        version: version.parse().ok()?,
    })
}

fn fingerprint_of(of: EventsOf) -> i64 {
    // A show's id is no booking's.
    let id = match of {
        EventsOf::Booking(id) => id.uuid(),
        EventsOf::Show(id) => id.uuid(),
    };
    fingerprint("list_booking_events", [id.as_bytes().as_slice()])
}

impl From<Event> for pb::BookingEvent {
    fn from(event: Event) -> Self {
        let verb = match event.verb {
            Verb::Reserve => pb::BookingVerb::Reserve,
            Verb::Confirm => pb::BookingVerb::Confirm,
            Verb::Cancel => pb::BookingVerb::Cancel,
            Verb::Expire => pb::BookingVerb::Expire,
            Verb::Void => pb::BookingVerb::Void,
            Verb::Sell => pb::BookingVerb::Sell,
            Verb::Extend => pb::BookingVerb::Extend,
            Verb::Swap => pb::BookingVerb::Swap,
            Verb::Release => pb::BookingVerb::Release,
            Verb::Pay => pb::BookingVerb::Pay,
            Verb::Decline => pb::BookingVerb::Decline,
            Verb::Reinstate => pb::BookingVerb::Reinstate,
            Verb::Repay => pb::BookingVerb::Repay,
        };
        let from = event
            .from
            .map_or(pb::BookingState::Unspecified, convert::state);
        Self {
            booking_id: event.booking_id.to_string(),
            version: event.version,
            verb: verb.into(),
            from_state: from.into(),
            to_state: convert::state(event.to).into(),
            event_time: Some(proto_convert::timestamp(event.made_at)),
            actor: event.actor,
            request_id: event.request_id.to_string(),
        }
    }
}
