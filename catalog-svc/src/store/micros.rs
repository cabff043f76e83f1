//! Instants as stored results write them: microseconds since 1970, as the database counts.

use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};
use time::OffsetDateTime;

pub(super) fn serialize<S: Serializer>(at: &OffsetDateTime, out: S) -> Result<S::Ok, S::Error> {
    // Years that PostgreSQL can store and we accept (up to 9999) are far inside an i64.
    let micros = i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
    micros.serialize(out)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OffsetDateTime, D::Error> {
    let nanos = i128::from(i64::deserialize(from)?) * 1_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(D::Error::custom)
}

/// An instant that may be missing.
pub(super) mod option {
    use super::{Deserializer, OffsetDateTime, Serializer};
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Micros(#[serde(with = "super")] OffsetDateTime);

    pub(in super::super) fn serialize<S: Serializer>(
        at: &Option<OffsetDateTime>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(Micros).serialize(out)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<OffsetDateTime>, D::Error> {
        Ok(Option::<Micros>::deserialize(from)?.map(|Micros(at)| at))
    }
}
