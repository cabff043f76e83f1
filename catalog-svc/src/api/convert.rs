//! Shows as the contract writes them.

use model::{SeatLayout, Seats};
use proto::catalog::v1 as pb;
use proto::money::v1::Money;
use service_kit::wire::timestamp;

use crate::domain::{Entry, Show, ShowInfo, ShowState, ShowType};

/// A show with its layout.
pub(super) fn show(show: &Show) -> pb::Show {
    pb::Show {
        sections: sections(&show.layout),
        ..info(&show.info)
    }
}

/// A show without its layout.
pub(super) fn info(info: &ShowInfo) -> pb::Show {
    pb::Show {
        show_id: info.id.to_string(),
        name: info.name.clone(),
        show_type: show_type(info.show_type).into(),
        state: show_state(info.state).into(),
        start_time: Some(timestamp(info.start_at)),
        end_time: info.end_at.map(timestamp),
        venue: info.venue.clone(),
        sections: Vec::new(),
        // At most 100,000.
        seat_count: i32::try_from(info.seat_count).unwrap_or(i32::MAX),
        revision: info.revision,
        etag: info.etag(),
        create_time: Some(timestamp(info.created_at)),
        update_time: Some(timestamp(info.updated_at)),
        cancel_time: info.cancelled_at.map(timestamp),
    }
}

/// An entry of the feed.
pub(super) fn entry(entry: &Entry) -> pb::WatchShowsResponse {
    use pb::watch_shows_response::Change;
    let change = match entry {
        Entry::Show(it) => Change::Show(show(it)),
        Entry::Deleted { id, .. } => Change::DeletedShowId(id.to_string()),
    };
    pb::WatchShowsResponse {
        revision: entry.revision(),
        change: Some(change),
    }
}

/// Word that the reader has everything up to `revision`.
pub(super) fn bookmark(revision: i64) -> pb::WatchShowsResponse {
    pb::WatchShowsResponse {
        revision,
        change: None,
    }
}

fn sections(layout: &SeatLayout) -> Vec<pb::Section> {
    let currency_code = layout.currency().to_string();
    let section = |section: &model::Section| pb::Section {
        name: section.name.to_string(),
        price: Some(Money {
            minor_units: section.price,
            currency_code: currency_code.clone(),
        }),
        rows: section.rows.iter().map(row).collect(),
    };
    layout.sections().iter().map(section).collect()
}

fn row(row: &model::SeatRow) -> pb::SeatRow {
    let (seat_count, seat_labels) = match &row.seats {
        Seats::Count(count) => (i32::try_from(*count).unwrap_or(i32::MAX), Vec::new()),
        Seats::Labels(labels) => (0, labels.iter().map(ToString::to_string).collect()),
    };
    pb::SeatRow {
        name: row.name.to_string(),
        seat_count,
        seat_labels,
    }
}

fn show_type(kind: ShowType) -> pb::ShowType {
    match kind {
        ShowType::Movie => pb::ShowType::Movie,
        ShowType::Concert => pb::ShowType::Concert,
        ShowType::Bus => pb::ShowType::Bus,
        ShowType::Appointment => pb::ShowType::Appointment,
        ShowType::Other => pb::ShowType::Other,
    }
}

fn show_state(state: ShowState) -> pb::ShowState {
    match state {
        ShowState::OnSale => pb::ShowState::OnSale,
        ShowState::Cancelled => pb::ShowState::Cancelled,
    }
}
