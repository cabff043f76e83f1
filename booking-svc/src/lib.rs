//! booking-svc
