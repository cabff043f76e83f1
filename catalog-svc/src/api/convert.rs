//! Shows as protobuf messages: the same for reads, mutations and the feed.

use proto::catalog::v1 as pb;
use service_kit::proto_convert::timestamp;

use super::layout::write_number;
use super::{layout, prices};
use crate::domain::{
    Change, HoldLength, OrphanRule, Proposal, ProposalState, Show, ShowInfo, ShowState, ShowType,
};

/// A show with its layout and prices.
pub(super) fn show(show: &Show) -> pb::Show {
    pb::Show {
        layout: Some(layout::write(&show.layout)),
        price_tiers: prices::write(&show.prices),
        proposal: show.proposal.as_ref().map(proposal),
        ..info(&show.info)
    }
}

/// A show without its layout and prices.
pub(super) fn info(info: &ShowInfo) -> pb::Show {
    let rules = info.rules;
    pb::Show {
        show_id: info.id.to_string(),
        name: info.name.clone(),
        show_type: show_type(info.show_type).into(),
        state: show_state(info.state).into(),
        start_time: Some(timestamp(info.start_at)),
        end_time: info.end_at.map(timestamp),
        venue: info.venue.clone(),
        seat_count: write_number(info.seat_count),
        revision: info.revision,
        etag: info.etag(),
        create_time: Some(timestamp(info.created_at)),
        update_time: Some(timestamp(info.updated_at)),
        cancel_time: info.cancelled_at.map(timestamp),
        layout_id: info.layout_id.to_string(),
        layout: None,
        price_tiers: Vec::new(),
        time_zone: info.time_zone.as_str().to_owned(),
        sales_open_time: info.sales_open_at.map(timestamp),
        sales_close_time: info.sales_close_at.map(timestamp),
        hold_duration: rules.hold.map(hold),
        seats_per_booking_max: rules
            .seats_per_booking
            .map_or(0, |max| write_number(max.get())),
        places_per_customer_max: rules
            .places_per_customer
            .map_or(0, |max| write_number(max.get())),
        orphan_rule: orphan_rule(rules.orphan_rule).into(),
        proposal: None,
        place_count: write_number(info.place_count),
        organiser: info.organiser.as_str().to_owned(),
    }
}

fn proposal(proposal: &Proposal) -> pb::Proposal {
    let state = match proposal.state {
        ProposalState::Pending => pb::ProposalState::Pending,
        ProposalState::Refused => pb::ProposalState::Refused,
    };
    let change = match &proposal.change {
        Change::Layout { id, under } => pb::proposal::Change::LayoutChange(pb::LayoutChange {
            layout_id: id.to_string(),
            layout: under.as_ref().map(|(it, _)| layout::write(it)),
            price_tiers: under
                .as_ref()
                .map(|(_, it)| prices::write(it))
                .unwrap_or_default(),
        }),
        Change::Deletion => pb::proposal::Change::Deletion(pb::Deletion {}),
    };
    pb::Proposal {
        revision: proposal.revision,
        state: state.into(),
        change: Some(change),
        booked_seats: proposal.booked_seats.clone(),
    }
}

fn hold(length: HoldLength) -> prost_types::Duration {
    let millis = write_number(length.as_millis());
    prost_types::Duration {
        seconds: (millis / 1_000).into(),
        nanos: millis % 1_000 * 1_000_000,
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
        ShowState::Draft => pb::ShowState::Draft,
        ShowState::OnSale => pb::ShowState::OnSale,
        ShowState::Paused => pb::ShowState::Paused,
        ShowState::Closed => pb::ShowState::Closed,
        ShowState::Cancelled => pb::ShowState::Cancelled,
    }
}

fn orphan_rule(rule: OrphanRule) -> pb::OrphanRule {
    match rule {
        OrphanRule::Off => pb::OrphanRule::Off,
        OrphanRule::Warn => pb::OrphanRule::Warn,
        OrphanRule::Strict => pb::OrphanRule::Strict,
    }
}
