//! The catalog's shows as sales.

use model::{Currency, SeatLayout, SeatRow, Seats, Section};
use proto::catalog::v1::{self as pb, ShowState};
use service_kit::wire;

use crate::domain::{Sale, SaleState};

/// A snapshot as a sale. The catalog has checked it; what does not fit is told in words for
/// the log.
pub(super) fn sale(show: pb::Show) -> Result<Sale, String> {
    let show_id = show
        .show_id
        .parse()
        .map_err(|error| format!("show_id {error}"))?;
    let state = match show.state() {
        ShowState::OnSale => SaleState::OnSale,
        ShowState::Cancelled => SaleState::Cancelled,
        ShowState::Unspecified => return Err(format!("{show_id} has no state")),
    };
    let start_at = show
        .start_time
        .as_ref()
        .ok_or("start_time is missing")
        .and_then(wire::instant)?;
    let currency: Currency = show
        .sections
        .first()
        .and_then(|section| section.price.as_ref())
        .ok_or_else(|| format!("{show_id} has no price"))?
        .currency_code
        .parse()
        .map_err(|error| format!("{show_id} currency {error}"))?;
    let sections = show.sections.into_iter().map(section).collect();
    let layout = SeatLayout::new(currency, sections)
        .map_err(|problems| format!("{show_id} has no valid layout: {problems:?}"))?;
    Ok(Sale {
        show_id,
        revision: show.revision,
        state,
        start_at,
        layout,
    })
}

fn section(section: pb::Section) -> Section {
    Section {
        name: section.name.into(),
        price: section.price.map_or(0, |price| price.minor_units),
        rows: section.rows.into_iter().map(row).collect(),
    }
}

fn row(row: pb::SeatRow) -> SeatRow {
    let seats = if row.seat_labels.is_empty() {
        Seats::Count(row.seat_count.try_into().unwrap_or_default())
    } else {
        Seats::Labels(row.seat_labels.into_iter().map(Into::into).collect())
    };
    SeatRow {
        name: row.name.into(),
        seats,
    }
}
