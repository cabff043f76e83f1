//! Each RPC of booking-svc, and what its store does, on the real service with a real catalog
//! and a real PostgreSQL database of each test's own: the wrong calls as well as the right ones.

mod areas;
mod cancel_booking;
mod cancelled_show;
mod caps;
mod choices;
mod confirm_booking;
mod conversion;
mod customers;
mod desk;
mod extend_hold;
mod feed;
mod get_booking;
mod idempotency;
mod labels;
mod lapsed;
mod linked;
mod list_booking_events;
mod list_bookings;
mod list_seats;
mod lost_commit;
mod malformed;
mod model;
mod organiser;
mod outages;
mod payments;
mod plans;
mod poison;
mod proposals;
mod races;
mod refusals;
mod reserve_seats;
mod roles;
mod schema;
mod stage;
mod swap_seats;
