//! Two different bodies never have one fingerprint, and two spellings of one body always do: of
//! every request that a few values can make.

use std::collections::HashMap;
use std::fmt::Debug;

use super::customers::update_customer;
use super::{Limits, SEATS_PER_BOOKING_MAX, pb};
use super::{cancel_booking, confirm_booking, extend_hold, reserve_seats, swap_seats};

const BOOKING: &str = "0b5c1f6e-8a2d-8000-8000-000000000001";
const CUSTOMER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// The requests seen so far, by fingerprint.
#[derive(Default)]
struct Seen(HashMap<i64, String>);

impl Seen {
    #[track_caller]
    fn add(&mut self, fingerprint: i64, meaning: impl Debug) {
        let meaning = format!("{meaning:?}");
        let known = self.0.entry(fingerprint).or_insert_with(|| meaning.clone());
        assert_eq!(*known, meaning, "one fingerprint");
    }

    /// Asserts that every meaning had its own fingerprint.
    #[track_caller]
    fn check(self, at_least: usize) {
        let mut meanings: Vec<_> = self.0.into_values().collect();
        let fingerprints = meanings.len();
        meanings.sort_unstable();
        meanings.dedup();
        assert_eq!(
            meanings.len(),
            fingerprints,
            "one body, several fingerprints"
        );
        assert!(fingerprints >= at_least, "{fingerprints}");
    }
}

fn lists_of_labels() -> Vec<Vec<String>> {
    let lists: [&[&str]; 7] = [
        &[],
        &[""],
        &["a"],
        &["b"],
        &["a", "b"],
        &["b", "a"],
        &["", "a"],
    ];
    let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    lists.into_iter().map(owned).collect()
}

fn lists_of_places() -> Vec<Vec<pb::PlaceRequest>> {
    let of = |area: &str, quantity| pb::PlaceRequest {
        area: area.to_owned(),
        quantity,
    };
    vec![
        vec![],
        vec![of("a", 1)],
        vec![of("a", 2)],
        vec![of("b", 1)],
        vec![of("a", 1), of("b", 1)],
        vec![of("b", 1), of("a", 1)],
    ]
}

fn lists_of_choices() -> Vec<Vec<pb::SeatChoice>> {
    let one = pb::SeatChoice {
        count: 1,
        ..pb::SeatChoice::default()
    };
    let of = |section: &str, tiers: &[&str]| pb::SeatChoice {
        section: section.to_owned(),
        price_tiers: tiers.iter().map(ToString::to_string).collect(),
        ..one.clone()
    };
    vec![
        vec![],
        vec![one.clone()],
        vec![of("a", &[])],
        vec![of("", &["a"])],
        vec![of("", &["a", "b"])],
        vec![of("a", &["b"])],
        vec![of("a", &[]), of("b", &[])],
    ]
}

fn durations() -> [Option<prost_types::Duration>; 3] {
    let of = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    [None, of(10), of(11)]
}

fn sorted(mut labels: Vec<String>) -> Vec<String> {
    labels.sort_unstable();
    labels
}

#[test]
fn reserves() {
    use pb::reserve_seats_request::Customer;
    let limits = Limits {
        seats_per_booking_max: SEATS_PER_BOOKING_MAX,
    };
    let mut requests = Vec::new();
    for seat_labels in lists_of_labels() {
        for places in lists_of_places() {
            for choices in lists_of_choices() {
                requests.push(pb::ReserveSeatsRequest {
                    show_id: "0b5c1f6e-8a2d-8000-8000-000000000000".to_owned(),
                    seat_labels: seat_labels.clone(),
                    places: places.clone(),
                    choices: choices.clone(),
                    ..pb::ReserveSeatsRequest::default()
                });
            }
        }
    }
    requests.retain(|request| {
        !(request.seat_labels.is_empty() && request.places.is_empty() && request.choices.is_empty())
    });
    let email = |text: &str| Customer::Email(text.to_owned());
    let customers = [
        Customer::CustomerId("a@b".to_owned()),
        email("a@b"),
        email("A@B"),
    ];
    let paid = [(false, ""), (true, ""), (true, "a"), (true, "b")];
    let mut seen = Seen::default();
    for request in requests {
        for hold_duration in durations() {
            for customer in customers.clone() {
                for (confirm, payment_reference) in paid {
                    let request = pb::ReserveSeatsRequest {
                        customer: Some(customer.clone()),
                        hold_duration,
                        confirm,
                        payment_reference: payment_reference.to_owned(),
                        ..request.clone()
                    };
                    let mut wanted = reserve_seats::parse(request, limits).expect("a request");
                    let fingerprint = std::mem::take(&mut wanted.fingerprint);
                    wanted.labels.sort_unstable();
                    wanted.places.sort_unstable_by(|a, b| a.area.cmp(&b.area));
                    seen.add(fingerprint, wanted);
                }
            }
        }
    }
    seen.check(5_000);
}

#[test]
fn changes_of_a_booking() {
    let mut seen = Seen::default();
    for etag in ["", "v1", "v2"] {
        let (booking_id, etag) = (BOOKING.to_owned(), etag.to_owned());
        for (payment_token, payment_reference) in [("", ""), ("a", ""), ("", "a"), ("", "b")] {
            let request = pb::ConfirmBookingRequest {
                booking_id: booking_id.clone(),
                etag: etag.clone(),
                payment_token: payment_token.to_owned(),
                payment_reference: payment_reference.to_owned(),
                // A payment needs one; it is no part of the body.
                request_id: CUSTOMER.to_owned(),
            };
            let (change, paid) = confirm_booking::parse(request).expect("a request");
            seen.add(change.fingerprint, ("confirm", change.version, paid));
        }
        for seat_labels in lists_of_labels() {
            for places in lists_of_places() {
                let request = pb::CancelBookingRequest {
                    booking_id: booking_id.clone(),
                    etag: etag.clone(),
                    seat_labels: seat_labels.clone(),
                    places,
                    request_id: String::new(),
                };
                let (change, (labels, mut places)) =
                    cancel_booking::parse(request).expect("a request");
                places.sort_unstable_by(|a, b| a.area.cmp(&b.area));
                let meaning = ("cancel", change.version, sorted(labels), places);
                seen.add(change.fingerprint, meaning);
            }
            for to_seat_labels in lists_of_labels() {
                let request = pb::SwapSeatsRequest {
                    booking_id: booking_id.clone(),
                    etag: etag.clone(),
                    from_seat_labels: seat_labels.clone(),
                    to_seat_labels,
                    request_id: String::new(),
                };
                if let Ok(swap) = swap_seats::parse(request) {
                    let meaning = (swap.change.version, sorted(swap.from), sorted(swap.to));
                    seen.add(swap.change.fingerprint, ("swap", meaning));
                }
            }
        }
        for hold_duration in durations().into_iter().flatten() {
            let request = pb::ExtendHoldRequest {
                booking_id: booking_id.to_uppercase(),
                etag: etag.clone(),
                hold_duration: Some(hold_duration),
                request_id: String::new(),
            };
            let (change, hold) = extend_hold::parse(&request).expect("a request");
            seen.add(change.fingerprint, ("extend", change.version, hold));
        }
    }
    seen.check(100);
}

#[test]
fn updates_of_a_customer() {
    let fields = ["display_name", "external_reference", "display_name"];
    let masks: [&[&str]; 6] = [
        &fields[..1],
        &fields[1..2],
        &fields[..2],
        &fields[1..],
        &["phone"],
        &["email"],
    ];
    let mut seen = Seen::default();
    for etag in ["", "v1"] {
        for display_name in ["", "phone", "112"] {
            for external_reference in ["", "phone", "112"] {
                for mask in masks {
                    let customer = pb::Customer {
                        customer_id: CUSTOMER.to_owned(),
                        email: "a@b".to_owned(),
                        display_name: display_name.to_owned(),
                        external_reference: external_reference.to_owned(),
                        phone: "112".to_owned(),
                        etag: etag.to_owned(),
                        ..pb::Customer::default()
                    };
                    let paths = mask.iter().map(ToString::to_string).collect();
                    let request = pb::UpdateCustomerRequest {
                        customer: Some(customer),
                        update_mask: Some(prost_types::FieldMask { paths }),
                        request_id: CUSTOMER.to_owned(),
                    };
                    let (update, key) = update_customer::parse(request).expect("a request");
                    seen.add(key.expect("an id").fingerprint, update);
                }
            }
        }
    }
    seen.check(30);
}
