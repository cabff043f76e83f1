//! Columns whose values may be unreadable: written by another release, or by hand. Such a value fails
//! when it is read, not the whole statement that fetched it, so
//! that it holds up no other row.

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::types::Json;
use sqlx::{Decode, Postgres, Type};
use time::OffsetDateTime;

use super::error::StoreError;

/// 2000, from which PostgreSQL counts, in microseconds since 1970.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A value of type jsonb, or why it is unreadable.
#[derive(Debug, Clone)]
pub(super) struct JsonColumn<T>(Result<T, String>);

impl<T> JsonColumn<T> {
    pub(super) fn of(value: T) -> Self {
        Self(Ok(value))
    }

    /// The value of the column `name`.
    pub(super) fn read(self, name: &str) -> Result<T, StoreError> {
        self.0.map_err(|why| unreadable(name, &why))
    }
}

impl<T> Type<Postgres> for JsonColumn<T> {
    fn type_info() -> PgTypeInfo {
        Json::<T>::type_info()
    }

    fn compatible(is: &PgTypeInfo) -> bool {
        Json::<T>::compatible(is)
    }
}

impl<'r, T: Deserialize<'r> + 'r> Decode<'r, Postgres> for JsonColumn<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let read = Json::decode(value).map_err(|error| error.to_string());
        Ok(Self(read.map(|Json(value)| value)))
    }
}

impl<T: Serialize> Serialize for JsonColumn<T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(value) => value.serialize(out),
            Err(why) => Err(S::Error::custom(why)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonColumn<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(from).map(Self::of)
    }
}

/// A value of type timestamptz, in microseconds since 1970. PostgreSQL has infinite ones, and
/// years beyond those of a calendar.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct TimeColumn(i64);

impl TimeColumn {
    pub(super) fn of(at: OffsetDateTime) -> Self {
        // Years up to 9999 are far inside of an i64.
        Self(i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
    }

    /// The value of the column `name`.
    pub(super) fn read(self, name: &str) -> Result<OffsetDateTime, StoreError> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .map_err(|error| unreadable(name, &error.to_string()))
    }
}

impl Type<Postgres> for TimeColumn {
    fn type_info() -> PgTypeInfo {
        OffsetDateTime::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for TimeColumn {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let micros: i64 = Decode::<Postgres>::decode(value)?;
        Ok(Self(micros.saturating_add(POSTGRES_EPOCH_MICROS)))
    }
}

fn unreadable(name: &str, why: &str) -> StoreError {
    StoreError::fault(format!("{name} cannot be read: {why}"))
}

/// A number as the database counts.
pub(super) fn number(number: u32) -> Result<i32, StoreError> {
    number.try_into().map_err(StoreError::fault)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn instants_are_stored_as_microseconds_since_1970() {
        let at = datetime!(2030-01-01 20:00:00.000001 UTC);
        let column = TimeColumn::of(at);
        let text = serde_json::to_string(&column).expect("a number");
        assert_eq!(text, "1893528000000001");
        let column: TimeColumn = serde_json::from_str(&text).expect("the number");
        assert_eq!(column.read("start_at").expect("a time"), at);
        let error = TimeColumn(i64::MAX).read("start_at").expect_err("no time");
        assert!(error.to_string().starts_with("start_at cannot be read"));
    }
}
