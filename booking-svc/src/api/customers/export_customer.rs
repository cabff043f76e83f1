//! ExportCustomer.

use model::BookingId;
use prost::Message as _;
use proto::booking::v1 as pb;
use proto::booking::v1::export_customer_request::Customer as Named;
use service_kit::fingerprint::fingerprint;
use service_kit::paging::PAGE_BYTES_MAX;
use service_kit::{ApiError, FieldViolations, paging};

use super::Customers;
use crate::api::parse;
use crate::domain::Customer;
use crate::store::{BookingFilter, BookingRecord, CustomerKey, EventsOf};

/// The most bookings of a page: each is read with its events.
const PAGE_SIZE_MAX: u16 = 100;
/// The most events that come with a booking.
const EVENTS_MAX: u16 = 100;

impl Customers {
    pub(super) async fn handle_export_customer(
        &self,
        request: pb::ExportCustomerRequest,
    ) -> Result<pb::ExportCustomerResponse, ApiError> {
        let page_size = paging::page_size(request.page_size)?.min(PAGE_SIZE_MAX);
        let customer = parse_customer(request.customer)?;
        let query = fingerprint_of(&customer);
        let after: Option<BookingId> =
            paging::cursor(query, &request.page_token, |text| text.parse().ok())?;

        let store = &self.bookings.store;
        let record = match CustomerKey::of(&customer).filter(|_| after.is_none()) {
            Some(key) => store.customer(&key).await?,
            None => None,
        };
        let filter = BookingFilter {
            customer: Some(customer),
            ..BookingFilter::default()
        };
        let page = store.bookings(&filter, after, page_size).await?;

        let (mut bookings, mut bytes) = (Vec::with_capacity(page.items.len()), 0);
        let (mut last, mut next) = (None, page.next);
        for record in page.items {
            let id = record.booking.booking_id;
            let exported = self.export(record).await?;
            bytes += exported.encoded_len();
            if bytes > PAGE_BYTES_MAX && last.is_some() {
                next = last;
                break;
            }
            bookings.push(exported);
            last = Some(id);
        }
        let next_page_token = next.map(|id| paging::page_token(query, &id.to_string()));
        Ok(pb::ExportCustomerResponse {
            record: record.map(Into::into),
            bookings,
            next_page_token: next_page_token.unwrap_or_default(),
        })
    }

    async fn export(&self, record: BookingRecord) -> Result<pb::ExportedBooking, ApiError> {
        let of = EventsOf::Booking(record.booking.booking_id);
        let events = self.bookings.store.events(of, None, EVENTS_MAX).await?;
        Ok(pb::ExportedBooking {
            booking: Some(self.bookings.reply_record(record).await?),
            events: events.items.into_iter().map(Into::into).collect(),
            has_more_events: events.next.is_some(),
        })
    }
}

fn parse_customer(named: Option<Named>) -> Result<Customer, ApiError> {
    let mut violations = FieldViolations::default();
    let customer = match named {
        Some(Named::CustomerId(id)) => parse::customer_id(id, &mut violations),
        Some(Named::Email(email)) => parse::email(&email, &mut violations),
        None => {
            violations.add("customer", "must be set: customer_id or email");
            None
        }
    };
    customer.ok_or_else(|| violations.into_error())
}

fn fingerprint_of(customer: &Customer) -> i64 {
    let (kind, name) = match customer {
        Customer::Id(id) => ("id", id.as_str()),
        Customer::Email(email) => ("email", email.as_str()),
    };
    fingerprint("export_customer", [kind.as_bytes(), name.as_bytes()])
}
