//! ListBookings.

use prost::Message as _;
use proto::booking::v1 as pb;
use proto::booking::v1::list_bookings_request::Customer as PbCustomer;
use service_kit::fingerprint::fingerprint;
use service_kit::paging::PAGE_BYTES_MAX;
use service_kit::{ApiError, FieldViolations, paging};
use tonic::Request;

use super::{Bookings, convert, parse, requester};
use crate::domain::Customer;
use crate::store::{BookingFilter, BookingRecord};

impl Bookings {
    pub(super) async fn handle_list_bookings(
        &self,
        request: Request<pb::ListBookingsRequest>,
    ) -> Result<pb::ListBookingsResponse, ApiError> {
        let requester = requester::of(&request);
        let request = request.into_inner();
        let page_size = paging::page_size(request.page_size)?;
        let token = request.page_token.clone();
        let mut filter = parse_filter(request)?;
        if let Some(buyer) = &requester.buyer {
            let customer = filter.customer.take().or_else(|| buyer.customer());
            let customer = customer.ok_or_else(|| requester::other_customer("customer"))?;
            requester::check(&requester, &customer)?;
            filter.customer = Some(customer);
        }
        let query = fingerprint_of(&filter);
        let after = paging::cursor(query, &token, |text| text.parse().ok())?;

        let page = self.store.bookings(&filter, after, page_size).await?;

        let (mut bookings, mut bytes) = (Vec::with_capacity(page.items.len()), 0);
        let (mut last, mut next) = (None, page.next);
        // The filter finds a customer's bookings by whatever they were made, a token only its own.
        let is_own = |record: &BookingRecord| requester.may_see(&record.booking);
        for record in page.items.into_iter().filter(is_own) {
            let id = record.booking.booking_id;
            let booking = self.reply_record(record).await?;
            bytes += booking.encoded_len();
            if bytes > PAGE_BYTES_MAX && last.is_some() {
                next = last;
                break;
            }
            bookings.push(booking);
            last = Some(id);
        }
        let next_page_token = next.map(|id| paging::page_token(query, &id.to_string()));
        Ok(pb::ListBookingsResponse {
            bookings,
            next_page_token: next_page_token.unwrap_or_default(),
        })
    }
}

fn parse_filter(request: pb::ListBookingsRequest) -> Result<BookingFilter, ApiError> {
    let mut violations = FieldViolations::default();
    let state = violations
        .take("state", convert::booking_state(request.state))
        .flatten();
    let show_id = match request.show_id.as_str() {
        "" => None,
        id => parse::show_id(id, &mut violations),
    };
    let customer = match request.customer {
        None => None,
        Some(PbCustomer::CustomerId(id)) => parse::customer_id(id, &mut violations),
        Some(PbCustomer::Email(email)) => parse::email(&email, &mut violations),
    };
    violations.check()?;
    Ok(BookingFilter {
        show_id,
        customer,
        state,
    })
}

fn fingerprint_of(filter: &BookingFilter) -> i64 {
    let show_id = filter.show_id.map(|id| id.to_string()).unwrap_or_default();
    let (kind, customer) = match &filter.customer {
        None => ("", ""),
        Some(Customer::Id(id)) => ("id", id.as_str()),
        Some(Customer::Email(email)) => ("email", email.as_str()),
    };
    let state = filter.state.map(|state| state.as_str()).unwrap_or_default();
    fingerprint(
        "list_bookings",
        [&show_id, kind, customer, state].map(str::as_bytes),
    )
}
