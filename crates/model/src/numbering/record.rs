//! A numbering as it is written: runs of ordinals that follow each other, since most rows move
//! as one.

use serde::{Deserialize, Serialize};

use super::{Changed, Numbering, ORDINALS_MAX, RetiredSeat};
use crate::layout::SEATS_MAX;

#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    /// The ordinals by position: the first of a run, and how many there are.
    ordinals: Vec<(u32, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retired: Vec<RetiredSeat>,
}

impl From<Numbering> for Option<Record> {
    fn from(numbering: Numbering) -> Self {
        let changed = numbering.0?;
        let runs = changed.ordinals.chunk_by(|a, b| a + 1 == *b);
        let run = |run: &[u32]| Some((*run.first()?, u32::try_from(run.len()).ok()?));
        Some(Record {
            ordinals: runs.filter_map(run).collect(),
            retired: changed.retired.into(),
        })
    }
}

impl TryFrom<Option<Record>> for Numbering {
    type Error = &'static str;

    /// Every ordinal must occur once: for a seat, or for a retired one.
    fn try_from(record: Option<Record>) -> Result<Self, Self::Error> {
        let Some(record) = record else {
            return Ok(Self::default());
        };
        let seats: u64 = record
            .ordinals
            .iter()
            .map(|(_, length)| u64::from(*length))
            .sum();
        if seats > u64::from(SEATS_MAX) {
            return Err("the numbering has too many seats");
        }
        let total = seats + record.retired.len() as u64;
        let Some(count) = u32::try_from(total)
            .ok()
            .filter(|count| *count <= ORDINALS_MAX)
        else {
            return Err("the numbering has too many ordinals");
        };
        let mut given = vec![false; count as usize];
        let mut give = |ordinal: u32| match given.get_mut(ordinal as usize) {
            Some(given) if !*given => {
                *given = true;
                Ok(ordinal)
            }
            _ => Err("the numbering has an ordinal twice, or one out of range"),
        };
        let mut ordinals = Vec::with_capacity(seats.try_into().unwrap_or_default());
        for (first, length) in record.ordinals {
            for away in 0..length {
                ordinals.push(give(first.saturating_add(away))?);
            }
        }
        let mut before = None;
        for seat in &record.retired {
            give(seat.ordinal)?;
            if before.replace(seat.ordinal) > Some(seat.ordinal) {
                return Err("the numbering's retired seats are not in order");
            }
        }
        Ok(Self(Some(Box::new(Changed {
            positions: Changed::positions(&ordinals, count),
            ordinals: ordinals.into(),
            retired: record.retired.into(),
        }))))
    }
}
