//! Converts the catalog's shows into snapshots.

use std::time::Duration;

use prost_types::Timestamp;
use proto::catalog::v1 as pb;
use proto::catalog::v1::proposal::Change;
use service_kit::proto_convert;
use time::OffsetDateTime;

use super::layout::{layout, prices};
use crate::domain::{OrphanRule, Proposal, ProposedChange, SaleState, Snapshot, Terms};

/// A show at one revision. The catalog has checked it; an invalid value is described in
/// words for the log.
pub(crate) fn snapshot(show: pb::Show) -> Result<Snapshot, String> {
    let id = show.show_id.clone();
    parse(show).map_err(|error| format!("show {id:?}: {error}"))
}

fn parse(show: pb::Show) -> Result<Snapshot, String> {
    let show_id = show.show_id.parse();
    let terms = terms(&show)?;
    let layout = layout(show.layout.ok_or("no layout")?)?;
    Ok(Snapshot {
        show_id: show_id.map_err(|error| format!("show_id {error}"))?,
        revision: show.revision,
        terms,
        prices: prices(show.price_tiers, &layout)?,
        layout,
        proposal: match show.proposal {
            Some(proposal) if proposal.state() == pb::ProposalState::Pending => {
                Some(self::proposal(proposal)?)
            }
            _ => None,
        },
    })
}

fn terms(show: &pb::Show) -> Result<Terms, String> {
    Ok(Terms {
        state: match show.state() {
            pb::ShowState::Draft => SaleState::Draft,
            pb::ShowState::OnSale => SaleState::OnSale,
            pb::ShowState::Paused => SaleState::Paused,
            pb::ShowState::Closed => SaleState::Closed,
            pb::ShowState::Cancelled => SaleState::Cancelled,
            pb::ShowState::Unspecified => return Err("no state".to_owned()),
        },
        start_at: instant(show.start_time.as_ref())?.ok_or("no start_time")?,
        sales_open_at: instant(show.sales_open_time.as_ref())?,
        sales_close_at: instant(show.sales_close_time.as_ref())?,
        hold: duration(show.hold_duration.as_ref())?,
        seats_per_booking_max: limit(show.seats_per_booking_max)?,
        places_per_customer_max: limit(show.places_per_customer_max)?,
        orphan_rule: match show.orphan_rule() {
            pb::OrphanRule::Unspecified | pb::OrphanRule::Off => OrphanRule::Off,
            pb::OrphanRule::Warn => OrphanRule::Warn,
            pb::OrphanRule::Strict => OrphanRule::Strict,
        },
    })
}

fn proposal(proposal: pb::Proposal) -> Result<Proposal, String> {
    let change = match proposal.change.ok_or("the proposal has no change")? {
        Change::LayoutChange(change) => {
            let proposed = change.layout.ok_or("the proposal has no layout")?;
            ProposedChange::Layout(layout(proposed)?)
        }
        Change::Deletion(pb::Deletion {}) => ProposedChange::Deletion,
    };
    Ok(Proposal {
        revision: proposal.revision,
        change,
    })
}

fn instant(time: Option<&Timestamp>) -> Result<Option<OffsetDateTime>, &'static str> {
    time.map(proto_convert::instant).transpose()
}

fn duration(length: Option<&prost_types::Duration>) -> Result<Option<Duration>, &'static str> {
    length.map(proto_convert::duration).transpose()
}

/// 0 means no limit.
fn limit(limit: i32) -> Result<Option<u16>, String> {
    let limit = u16::try_from(limit).map_err(|_| format!("{limit} is no limit"))?;
    Ok((limit > 0).then_some(limit))
}
