//! expiry-worker
