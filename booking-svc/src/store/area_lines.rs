//! Places of a booking as the database has them: JSON.

use serde::{Deserialize, Serialize};

use crate::domain::HeldPlaces;

/// One area of a booking.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AreaLine {
    area: String,
    quantity: u32,
    price: i64,
    tier: String,
}

/// Places as JSON; none if there are none.
pub(super) fn to_json(places: &[HeldPlaces]) -> Option<String> {
    let lines: Vec<AreaLine> = places.iter().map(AreaLine::from).collect();
    // Numbers and texts always have a JSON text.
    (!lines.is_empty()).then(|| serde_json::to_string(&lines).unwrap_or_default())
}

/// Reads what [`to_json`] wrote; none if it is not of that form.
pub(super) fn from_json(json: Option<&str>) -> Option<Vec<HeldPlaces>> {
    let Some(json) = json else {
        return Some(Vec::new());
    };
    let lines: Vec<AreaLine> = serde_json::from_str(json).ok()?;
    Some(lines.into_iter().map(Into::into).collect())
}

impl From<&HeldPlaces> for AreaLine {
    fn from(places: &HeldPlaces) -> Self {
        Self {
            area: places.area.to_string(),
            quantity: places.quantity,
            price: places.price,
            tier: places.tier.to_string(),
        }
    }
}

impl From<AreaLine> for HeldPlaces {
    fn from(line: AreaLine) -> Self {
        Self {
            area: line.area.into(),
            quantity: line.quantity,
            price: line.price,
            tier: line.tier.into(),
        }
    }
}
