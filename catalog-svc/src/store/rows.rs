//! Rows of `catalog.shows` and of tables joined to it, read and written; shared by several
//! commands.

use std::collections::HashMap;
use std::sync::Arc;

use model::{PriceDescription, ShowId};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::clock::clock;
use super::column::{JsonColumn, TimeColumn, number};
use super::error::StoreError;
use super::layouts::{self, Layouts};
use crate::domain::{
    After, Change, HoldLength, Layout, LayoutId, Limit, Proposal, ProposalState, Rejection,
    SaleRules, Show, ShowInfo, TimeZone,
};

/// Reads rows of shows. The first literal selects the prices, the others are the rest of the
/// query.
macro_rules! select_shows {
    ($prices:tt, $start:tt $(+ $rest:tt)* $(, $argument:expr)*) => {
        sqlx::query_as!(
            $crate::store::rows::ShowRow,
            r#"SELECT show_id, revision, name, show_type::text AS "show_type!",
                      state::text AS "state!", venue, organiser, layout_id, seat_count,
                      place_count,
                      time_zone, hold_ms, seats_per_booking_max, places_per_customer_max,
                      orphan_rule::text AS "orphan_rule!", offered, proposal_revision,
                      proposal_state::text,
                      start_at AS "start_at!: crate::store::column::TimeColumn",
                      end_at AS "end_at?: crate::store::column::TimeColumn",
                      sales_open_at AS "sales_open_at?: crate::store::column::TimeColumn",
                      sales_close_at AS "sales_close_at?: crate::store::column::TimeColumn",
                      created_at AS "created_at!: crate::store::column::TimeColumn",
                      updated_at AS "updated_at!: crate::store::column::TimeColumn",
                      cancelled_at AS "cancelled_at?: crate::store::column::TimeColumn", "#
                + $prices + r#" AS "prices?: crate::store::rows::Prices"
               FROM catalog.shows "# + $start $(+ $rest)*
            $(, $argument)*
        )
    };
}
pub(super) use select_shows;

/// The prices of a show.
pub(super) type Prices = JsonColumn<PriceDescription>;

/// A show without its layout: as the table has it, and as the result of a call is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ShowRow {
    pub(super) show_id: Uuid,
    pub(super) revision: i64,
    pub(super) name: String,
    pub(super) show_type: String,
    pub(super) state: String,
    #[serde(rename = "start_micros")]
    pub(super) start_at: TimeColumn,
    #[serde(default, rename = "end_micros")]
    pub(super) end_at: Option<TimeColumn>,
    pub(super) venue: String,
    #[serde(default)]
    pub(super) organiser: String,
    pub(super) layout_id: Uuid,
    pub(super) seat_count: i32,
    #[serde(default)]
    pub(super) place_count: i32,
    #[serde(default = "utc")]
    pub(super) time_zone: String,
    #[serde(default, rename = "sales_open_micros")]
    pub(super) sales_open_at: Option<TimeColumn>,
    #[serde(default, rename = "sales_close_micros")]
    pub(super) sales_close_at: Option<TimeColumn>,
    #[serde(default)]
    pub(super) hold_ms: Option<i32>,
    #[serde(default)]
    pub(super) seats_per_booking_max: Option<i32>,
    #[serde(default)]
    pub(super) places_per_customer_max: Option<i32>,
    #[serde(default = "off")]
    pub(super) orphan_rule: String,
    #[serde(default)]
    pub(super) offered: bool,
    #[serde(default)]
    pub(super) proposal_revision: Option<i64>,
    #[serde(default)]
    pub(super) proposal_state: Option<String>,
    #[serde(rename = "created_micros")]
    pub(super) created_at: TimeColumn,
    #[serde(rename = "updated_micros")]
    pub(super) updated_at: TimeColumn,
    #[serde(default, rename = "cancelled_micros")]
    pub(super) cancelled_at: Option<TimeColumn>,
    /// `None` if they were not selected.
    pub(super) prices: Option<Prices>,
}

/// The time zone of a show that an earlier release knew.
fn utc() -> String {
    TimeZone::default().as_str().to_owned()
}

/// Its rule for orphans.
fn off() -> String {
    "OFF".to_owned()
}

impl TryFrom<ShowRow> for ShowInfo {
    type Error = StoreError;

    fn try_from(row: ShowRow) -> Result<Self, StoreError> {
        let state = row.proposal_state.as_deref().map(str::parse).transpose();
        let state: Option<ProposalState> = state.map_err(StoreError::fault)?;
        Ok(Self {
            rules: SaleRules {
                hold: row.hold_ms.map(hold).transpose()?,
                seats_per_booking: limit(row.seats_per_booking_max)?,
                places_per_customer: limit(row.places_per_customer_max)?,
                orphan_rule: row.orphan_rule.parse().map_err(StoreError::fault)?,
            },
            id: row.show_id.try_into().map_err(StoreError::fault)?,
            revision: row.revision,
            name: row.name,
            show_type: row.show_type.parse().map_err(StoreError::fault)?,
            state: row.state.parse().map_err(StoreError::fault)?,
            start_at: row.start_at.read("start_at")?,
            end_at: time(row.end_at, "end_at")?,
            time_zone: TimeZone::known_before(row.time_zone),
            sales_open_at: time(row.sales_open_at, "sales_open_at")?,
            sales_close_at: time(row.sales_close_at, "sales_close_at")?,
            venue: row.venue,
            organiser: row.organiser.try_into().map_err(StoreError::fault)?,
            layout_id: LayoutId(row.layout_id),
            seat_count: row.seat_count.try_into().map_err(StoreError::fault)?,
            place_count: row.place_count.try_into().map_err(StoreError::fault)?,
            offered: row.offered,
            proposal: row.proposal_revision.zip(state),
            created_at: row.created_at.read("created_at")?,
            updated_at: row.updated_at.read("updated_at")?,
            cancelled_at: time(row.cancelled_at, "cancelled_at")?,
        })
    }
}

impl TryFrom<&ShowInfo> for ShowRow {
    type Error = StoreError;

    fn try_from(show: &ShowInfo) -> Result<Self, StoreError> {
        Ok(Self {
            show_id: show.id.uuid(),
            revision: show.revision,
            name: show.name.clone(),
            show_type: show.show_type.to_string(),
            state: show.state.to_string(),
            start_at: TimeColumn::of(show.start_at),
            end_at: show.end_at.map(TimeColumn::of),
            venue: show.venue.clone(),
            organiser: show.organiser.as_str().to_owned(),
            layout_id: show.layout_id.0,
            seat_count: number(show.seat_count)?,
            place_count: number(show.place_count)?,
            time_zone: show.time_zone.as_str().to_owned(),
            sales_open_at: show.sales_open_at.map(TimeColumn::of),
            sales_close_at: show.sales_close_at.map(TimeColumn::of),
            hold_ms: optional(show.rules.hold.map(HoldLength::as_millis))?,
            seats_per_booking_max: optional(show.rules.seats_per_booking.map(Limit::get))?,
            places_per_customer_max: optional(show.rules.places_per_customer.map(Limit::get))?,
            orphan_rule: show.rules.orphan_rule.to_string(),
            offered: show.offered,
            proposal_revision: show.proposal.map(|(revision, _)| revision),
            proposal_state: show.proposal.map(|(_, state)| state.to_string()),
            created_at: TimeColumn::of(show.created_at),
            updated_at: TimeColumn::of(show.updated_at),
            cancelled_at: show.cancelled_at.map(TimeColumn::of),
            prices: None,
        })
    }
}

impl ShowRow {
    /// The show, and the prices that were asked for.
    pub(super) fn with_prices(mut self) -> Result<(ShowInfo, PriceDescription), StoreError> {
        let prices = self.prices.take();
        let prices = prices.ok_or_else(|| StoreError::fault("a show without prices"))?;
        Ok((self.try_into()?, prices.read("prices")?))
    }

    /// Its position in a list; none if its start cannot be represented.
    pub(super) fn place(&self) -> Option<After> {
        Some(After {
            start_at: self.start_at.read("start_at").ok()?,
            id: self.show_id.try_into().ok()?,
        })
    }
}

fn time(column: Option<TimeColumn>, name: &str) -> Result<Option<OffsetDateTime>, StoreError> {
    column.map(|column| column.read(name)).transpose()
}

fn hold(millis: i32) -> Result<HoldLength, StoreError> {
    let millis = u32::try_from(millis).map_err(StoreError::fault)?;
    millis.try_into().map_err(StoreError::fault)
}

fn limit<const MAX: u32>(number: Option<i32>) -> Result<Option<Limit<MAX>>, StoreError> {
    Limit::of(number.unwrap_or_default()).map_err(StoreError::fault)
}

fn optional(it: Option<u32>) -> Result<Option<i32>, StoreError> {
    it.map(number).transpose()
}

/// Locks a show until the end of the transaction, so that decisions over it stay true.
/// Returns it in the state that its times have made due, with the time at which the lock was granted.
pub(super) async fn lock(
    transaction: &mut PgConnection,
    id: ShowId,
) -> Result<(ShowInfo, OffsetDateTime), StoreError> {
    let row = select_shows!(
        "NULL::jsonb",
        "WHERE show_id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE",
        id.uuid()
    );
    let row = row.fetch_optional(&mut *transaction).await?;
    let show: ShowInfo = row.ok_or(Rejection::NotFound(vec![id]))?.try_into()?;
    let now = clock(transaction).await?;
    Ok((show.at(now), now))
}

/// The prices of a show that exists, deleted or not.
pub(super) async fn prices(
    connection: &mut PgConnection,
    id: ShowId,
) -> Result<PriceDescription, StoreError> {
    let prices = sqlx::query_scalar!(
        r#"SELECT prices AS "prices: Prices"
           FROM catalog.shows WHERE show_id = $1"#,
        id.uuid(),
    );
    prices.fetch_one(connection).await?.read("prices")
}

/// Shows with their layouts and proposals, in the order of their rows; for an unreadable one the
/// error.
pub(super) async fn all_whole(
    connection: &mut PgConnection,
    shows: Vec<(ShowInfo, PriceDescription)>,
) -> Result<Vec<Result<Show, StoreError>>, StoreError> {
    let infos = shows.iter().map(|(info, _)| info);
    let mut proposals = proposals(connection, infos.clone()).await?;
    let proposed = proposals.values().filter_map(|proposal| proposal.layout_id);
    let wanted = infos.map(|info| info.layout_id.0).chain(proposed).collect();
    let layouts = layouts::read(connection, wanted).await?;
    let whole = shows.into_iter().map(|(info, prices)| {
        let proposal = info.proposal.map(|(_, state)| {
            let row = proposals.remove(&info.id.uuid());
            let row = row.ok_or_else(|| StoreError::fault("a proposal is not there"))?;
            row.proposal(state, &layouts)
        });
        Ok(Show {
            layout: found(&layouts, info.layout_id.0)?,
            prices,
            proposal: proposal.transpose()?,
            info,
        })
    });
    Ok(whole.collect())
}

/// A show with its layout and its proposal.
pub(super) async fn whole(
    connection: &mut PgConnection,
    show: (ShowInfo, PriceDescription),
) -> Result<Show, StoreError> {
    let mut shows = all_whole(connection, vec![show]).await?;
    let show = shows.pop();
    show.unwrap_or_else(|| Err(StoreError::fault("a show is not there")))
}

fn found(layouts: &Layouts, id: Uuid) -> Result<Arc<Layout>, StoreError> {
    let layout = layouts.get(&id);
    let layout = layout.ok_or_else(|| StoreError::fault("a layout is not there"))?;
    layout.clone().map_err(StoreError::Fault)
}

/// A proposal as far as it never changes, and the seats for which it was refused.
struct ProposalRow {
    show_id: Uuid,
    revision: i64,
    layout_id: Option<Uuid>,
    prices: Option<Prices>,
    booked_seats: Vec<String>,
}

/// The proposals of these shows, by show.
async fn proposals(
    connection: &mut PgConnection,
    shows: impl Iterator<Item = &ShowInfo>,
) -> Result<HashMap<Uuid, ProposalRow>, StoreError> {
    let keys = shows.filter_map(|show| Some((show.id.uuid(), show.proposal?.0)));
    let (ids, revisions): (Vec<_>, Vec<_>) = keys.unzip();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query_as!(
        ProposalRow,
        r#"SELECT show_id, revision, layout_id, prices AS "prices: Prices",
                  booked_seats
           FROM catalog.proposals
           JOIN unnest($1::uuid[], $2::bigint[]) AS wanted (show_id, revision)
               USING (show_id, revision)"#,
        &ids,
        &revisions,
    );
    let rows = rows.fetch_all(connection).await?.into_iter();
    Ok(rows.map(|row| (row.show_id, row)).collect())
}

impl ProposalRow {
    fn proposal(self, state: ProposalState, layouts: &Layouts) -> Result<Proposal, StoreError> {
        let is_pending = state == ProposalState::Pending;
        let change = match (self.layout_id, self.prices) {
            (Some(id), Some(prices)) => {
                let under = if is_pending {
                    Some((found(layouts, id)?, prices.read("prices")?))
                } else {
                    None
                };
                Change::Layout {
                    id: LayoutId(id),
                    under,
                }
            }
            _ => Change::Deletion,
        };
        Ok(Proposal {
            revision: self.revision,
            state,
            change,
            booked_seats: if is_pending {
                Vec::new()
            } else {
                self.booked_seats
            },
        })
    }
}
