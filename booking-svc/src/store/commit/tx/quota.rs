//! Quota holders: their advisory locks, and their bookings.

use std::collections::{BTreeMap, HashMap};

use model::ShowId;
use service_kit::fingerprint::fingerprint;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{Statements, TxError};
use crate::domain::{Booking, Customer, QuotaHolder};
use crate::store::rows;

/// The quota holders that orders add places to, by the keys of their locks.
#[derive(Default)]
pub(super) struct Holders(BTreeMap<i64, Vec<(ShowId, QuotaHolder)>>);

impl Holders {
    pub(super) fn push(&mut self, show_id: ShowId, holder: QuotaHolder) {
        let key = lock_key(show_id, &holder);
        let same_key = self.0.entry(key).or_default();
        // Two holders with the same key wait for each other, which does no harm.
        if !same_key
            .iter()
            .any(|(show, other)| (*show, other) == (show_id, &holder))
        {
            same_key.push((show_id, holder));
        }
    }

    /// The keys of their locks, ascending.
    pub(super) fn keys(&self) -> Vec<i64> {
        self.0.keys().copied().collect()
    }

    fn iter(&self) -> impl Iterator<Item = &(ShowId, QuotaHolder)> {
        self.0.values().flatten()
    }

    /// Them as the columns that `quota_bookings.sql` takes.
    fn columns(&self) -> HolderColumns<'_> {
        let mut columns = HolderColumns::default();
        for (show_id, holder) in self.iter() {
            let (linked, id, email) = match holder {
                QuotaHolder::Linked(customer) => (Some(customer.uuid()), None, None),
                QuotaHolder::Own(Customer::Id(id)) => (None, Some(id.as_str()), None),
                QuotaHolder::Own(Customer::Email(email)) => (None, None, Some(email.as_str())),
            };
            columns.0.push(show_id.uuid());
            columns.1.push(linked);
            columns.2.push(id);
            columns.3.push(email);
        }
        columns
    }
}

/// Shows, customers of `CustomerService`, the caller's own ids, and addresses.
#[derive(Default)]
struct HolderColumns<'a>(
    Vec<Uuid>,
    Vec<Option<Uuid>>,
    Vec<Option<&'a str>>,
    Vec<Option<&'a str>>,
);

/// The same in every process, since processes wait for each other.
pub(super) fn lock_key(show_id: ShowId, holder: &QuotaHolder) -> i64 {
    let show_id = show_id.uuid();
    let show_id: &[u8] = show_id.as_bytes();
    match holder {
        QuotaHolder::Linked(customer) => {
            fingerprint("linked", [show_id, customer.uuid().as_bytes()])
        }
        QuotaHolder::Own(Customer::Id(id)) => fingerprint("own id", [show_id, id.as_bytes()]),
        QuotaHolder::Own(Customer::Email(email)) => {
            fingerprint("own email", [show_id, email.as_bytes()])
        }
    }
}

/// Locks the quota holders, so that no other transaction adds to their places.
pub(super) async fn lock(
    client: &Client,
    statements: &Statements,
    holders: &Holders,
) -> Result<(), tokio_postgres::Error> {
    let keys = holders.keys();
    if keys.is_empty() {
        return Ok(());
    }
    let locked = client.execute(&statements.lock_holders, &[&keys]).await;
    locked.map(drop)
}

/// The bookings of each holder: an entry for each, with PENDING and CONFIRMED bookings.
pub(super) async fn bookings(
    client: &Client,
    statements: &Statements,
    holders: &Holders,
) -> Result<HashMap<(ShowId, QuotaHolder), Vec<Booking>>, TxError> {
    let mut found: HashMap<_, _> = holders
        .iter()
        .map(|holder| (holder.clone(), Vec::new()))
        .collect();
    if found.is_empty() {
        return Ok(found);
    }
    let HolderColumns(shows, linked, ids, emails) = holders.columns();
    let rows = client
        .query(
            &statements.quota_bookings,
            &[&shows, &linked, &ids, &emails],
        )
        .await?;
    for row in rows {
        let booking = rows::booking(&row)?;
        let key = (booking.booking_id.show(), booking.holder());
        found.entry(key).or_default().push(booking);
    }
    Ok(found)
}
