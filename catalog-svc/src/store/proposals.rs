//! Proposals: made by one call, answered by the booking service in another.
//!
//! A show has at most one pending proposal. Its layout changes, or it is deleted, only by an answer
//! or while none is pending: so the checks at the proposal still hold when it is
//! accepted.

use model::{PriceDescription, ShowId};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use super::column::JsonColumn;
use super::error::StoreError;
use super::layouts;
use super::mutation::Mutation;
use super::outcome::WrittenShow;
use super::requests::Outcome as _;
use super::rows;
use super::write_show::{self, WriteShow};
use crate::domain::{
    Answer, Answered, Decided, LayoutId, ProposalState, Proposed, Rejection, ShowInfo, dropped,
};

/// The proposed change: another layout with its prices, or else the show's deletion.
#[derive(Debug, Default)]
pub(super) struct NewProposal<'a> {
    /// The layout and the prices under it.
    pub(super) layout: Option<(LayoutId, &'a PriceDescription)>,
    /// The id of the call that waits for the answer, if its result is to be replaced by it.
    pub(super) request_id: Option<Uuid>,
}

/// Makes a proposal under the show's next revision.
pub(super) async fn propose<T>(
    transaction: &mut PgConnection,
    show: ShowInfo,
    new: NewProposal<'_>,
    now: OffsetDateTime,
) -> Result<Decided<T>, StoreError> {
    let writing = WriteShow {
        proposes: true,
        ..WriteShow::of(show, now)
    };
    let show = writing.write(transaction).await?;
    let (layout, prices) = new.layout.unzip();
    sqlx::query!(
        "INSERT INTO catalog.proposals (show_id, revision, kind, state, layout_id, prices,
                                        booked_seats, request_id, made_at)
         VALUES ($1, $2, CASE WHEN $3::uuid IS NULL THEN 'DELETION' ELSE 'LAYOUT' END::catalog.proposal_kind,
                 'PENDING', $3, $4, '{}', $5, $6)",
        show.id.uuid(),
        show.revision,
        layout.map(|id| id.0),
        prices.map(Json) as _,
        new.request_id,
        now,
    )
    .execute(transaction)
    .await?;
    Ok(Decided::Later(Proposed {
        id: show.id,
        revision: show.revision,
    }))
}

/// Drops a layout change that is pending: its show was cancelled. Returns whether there was one.
pub(super) async fn drop_layout_change(
    transaction: &mut PgConnection,
    show: &ShowInfo,
    now: OffsetDateTime,
) -> Result<bool, StoreError> {
    let dropped = sqlx::query!(
        "UPDATE catalog.proposals SET state = 'DROPPED', answered_at = greatest(made_at, $2)
         WHERE show_id = $1 AND state = 'PENDING' AND kind = 'LAYOUT'",
        show.id.uuid(),
        now,
    );
    Ok(dropped.execute(transaction).await?.rows_affected() == 1)
}

/// The booking service's answer to a proposal.
#[derive(Debug)]
pub struct AnswerProposal {
    /// Which one.
    pub proposed: Proposed,
    /// The answer itself.
    pub answer: Answer,
}

impl Mutation for AnswerProposal {
    type Outcome = Option<WrittenShow>;

    const VERB: &'static str = "answer_proposal";
    // The follower that answers may be the one that it would wait for.
    const IS_AWAITED: bool = false;

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Self::Outcome, StoreError> {
        let Proposed { id, revision } = self.proposed;
        let (mut show, now) = match rows::lock(transaction, id).await {
            Ok(locked) => locked,
            // An earlier copy of the answer has deleted it.
            Err(StoreError::Rejected(Rejection::NotFound(_)))
                if was_there(transaction, id).await? =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if show.proposal != Some((revision, ProposalState::Pending)) {
            return Ok(None);
        }
        let (state, booked_seats) = match &self.answer {
            Answer::Accepted => ("ACCEPTED", [].as_slice()),
            Answer::Refused { booked_seats } => ("REFUSED", booked_seats.as_slice()),
        };
        let proposal = sqlx::query!(
            r#"UPDATE catalog.proposals
               SET state = $3::text::catalog.proposal_state, booked_seats = $4,
                   answered_at = greatest(made_at, $5)
               WHERE show_id = $1 AND revision = $2 AND state = 'PENDING'
               RETURNING layout_id, prices AS "prices: JsonColumn<PriceDescription>", request_id"#,
            id.uuid(),
            revision,
            state,
            booked_seats,
            now,
        );
        let proposal = proposal.fetch_one(&mut *transaction).await?;
        if let Answer::Refused { .. } = self.answer {
            show.proposal = Some((revision, ProposalState::Refused));
            let written = WriteShow::of(show, now).write(transaction).await?;
            return Ok(Some(written.into()));
        }
        show.proposal = None;
        let mut writing = WriteShow::of(show, now);
        let Some((layout_id, prices)) = proposal.layout_id.zip(proposal.prices) else {
            writing.deletes = true;
            let written = writing.write(transaction).await?;
            return Ok(Some(written.into()));
        };
        let prices = prices.read("prices")?;
        let layout = layouts::one(transaction, LayoutId(layout_id)).await?;
        writing.show.layout_id = layout.info.id;
        writing.show.seat_count = layout.info.seat_count;
        writing.show.place_count = layout.info.place_count;
        writing.prices = Some(&prices);
        let show = writing.write(transaction).await?;
        let written = show.clone().into();
        settle(transaction, proposal.request_id, show).await?;
        Ok(Some(written))
    }
}

/// Whether there is a show, deleted or not.
async fn was_there(transaction: &mut PgConnection, id: ShowId) -> Result<bool, StoreError> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM catalog.shows WHERE show_id = $1) AS "known!""#,
        id.uuid(),
    );
    Ok(known.fetch_one(transaction).await?)
}

/// Stores the result for the waiting call's replays. Its row may be swept by now.
async fn settle(
    transaction: &mut PgConnection,
    request_id: Option<Uuid>,
    show: ShowInfo,
) -> Result<(), StoreError> {
    let Some(request_id) = request_id else {
        return Ok(());
    };
    let result = Decided::Now(write_show::whole(transaction, show).await?).store()?;
    sqlx::query!(
        "UPDATE catalog.requests SET result = $2 WHERE request_id = $1",
        request_id,
        Json(result) as _,
    )
    .execute(transaction)
    .await?;
    Ok(())
}

impl Store {
    /// The outcome of a proposal; none if it is pending.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn answer_to(&self, proposed: Proposed) -> Result<Option<Answered>, StoreError> {
        self.with_connection("answer_to", move |connection| {
            Box::pin(read_answer(connection, proposed))
        })
        .await
    }

    /// A show from the primary database, past replicas and caches.
    ///
    /// # Errors
    ///
    /// If there is none, or it was deleted, or the database fails.
    pub async fn show_as_written(&self, id: ShowId) -> Result<crate::domain::Show, StoreError> {
        self.with_connection("show_as_written", move |connection| {
            Box::pin(super::get_show::get(connection, id))
        })
        .await
    }
}

async fn read_answer(
    connection: &mut PgConnection,
    Proposed { id, revision }: Proposed,
) -> Result<Option<Answered>, StoreError> {
    let proposal = sqlx::query!(
        r#"SELECT kind::text AS "kind!", state::text AS "state!", booked_seats
           FROM catalog.proposals WHERE show_id = $1 AND revision = $2"#,
        id.uuid(),
        revision,
    );
    let proposal = proposal.fetch_one(connection).await?;
    Ok(match (&*proposal.state, &*proposal.kind) {
        ("PENDING", _) => None,
        ("ACCEPTED", _) => Some(Answered::Accepted),
        ("REFUSED", "LAYOUT") => Some(Answered::Refused(Rejection::SeatsBooked {
            id,
            labels: proposal.booked_seats,
        })),
        ("REFUSED", _) => Some(Answered::Refused(Rejection::HasBookings(id))),
        _ => Some(Answered::Refused(dropped(id))),
    })
}
