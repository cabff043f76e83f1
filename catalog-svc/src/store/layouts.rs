//! Layouts: created once, never changed. The row of a deleted one stays, for deleted shows and for
//! replays, but no look-up finds it.

use std::collections::HashMap;
use std::sync::Arc;

use model::{LayoutDescription, SeatLayout};
use sqlx::PgConnection;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use super::clock::clock;
use super::column::{JsonColumn, TimeColumn, number};
use super::error::StoreError;
use super::mutation::Mutation;
use super::unreadable::Unreadable;
use crate::domain::{Layout, LayoutId, LayoutInfo, LayoutList, ListPage, NewLayout, Rejection};

/// Creates a layout.
#[derive(Debug)]
pub struct CreateSeatLayout(pub NewLayout);

/// Deletes a layout that no show uses.
#[derive(Debug)]
pub struct DeleteSeatLayout(pub LayoutId);

/// A page of layouts, and the name and the id of the last one.
type LayoutPage = ListPage<LayoutInfo, (String, LayoutId)>;

/// A layout without its description.
struct InfoRow {
    layout_id: Uuid,
    name: String,
    derived_from: Option<Uuid>,
    seat_count: i32,
    place_count: i32,
    created_at: TimeColumn,
}

impl TryFrom<InfoRow> for LayoutInfo {
    type Error = StoreError;

    fn try_from(row: InfoRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: LayoutId(row.layout_id),
            name: row.name,
            derived_from: row.derived_from.map(LayoutId),
            seat_count: row.seat_count.try_into().map_err(StoreError::fault)?,
            place_count: row.place_count.try_into().map_err(StoreError::fault)?,
            created_at: row.created_at.read("created_at")?,
        })
    }
}

impl Mutation for CreateSeatLayout {
    type Outcome = Arc<Layout>;

    const VERB: &'static str = "create_seat_layout";

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Arc<Layout>, StoreError> {
        let now = clock(transaction).await?;
        insert(transaction, &self.0, true, now).await
    }
}

/// Inserts a layout, to be listed or not.
pub(super) async fn insert(
    transaction: &mut PgConnection,
    new: &NewLayout,
    is_listed: bool,
    now: OffsetDateTime,
) -> Result<Arc<Layout>, StoreError> {
    if let Some(origin) = new.derived_from {
        exists(transaction, origin, "layout.derived_from").await?;
    }
    let info = LayoutInfo {
        id: LayoutId::generate(),
        name: new.name.as_str().to_owned(),
        derived_from: new.derived_from,
        seat_count: new.layout.seat_count(),
        place_count: new.layout.place_count(),
        created_at: now,
    };
    let description = new.layout.description().clone();
    sqlx::query!(
        "INSERT INTO catalog.layouts (layout_id, name, derived_from, description, seat_count,
                                      place_count, listed, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        info.id.0,
        info.name,
        info.derived_from.map(|id| id.0),
        Json(&description) as _,
        number(info.seat_count)?,
        number(info.place_count)?,
        is_listed,
        now,
    )
    .execute(transaction)
    .await?;
    Ok(Arc::new(Layout { info, description }))
}

/// Sees that a layout is there, and stays there until the end of the transaction.
async fn exists(
    transaction: &mut PgConnection,
    id: LayoutId,
    path: &str,
) -> Result<(), StoreError> {
    let found = sqlx::query_scalar!(
        "SELECT layout_id FROM catalog.layouts
         WHERE layout_id = $1 AND deleted_at IS NULL FOR SHARE",
        id.0,
    );
    match found.fetch_optional(transaction).await? {
        Some(_) => Ok(()),
        None => Err(Rejection::invalid(path, "is not the id of a layout").into()),
    }
}

/// A layout that a show is to have: it stays there until the end of the transaction.
pub(super) async fn use_one(
    transaction: &mut PgConnection,
    id: LayoutId,
) -> Result<(Arc<Layout>, SeatLayout), StoreError> {
    exists(transaction, id, "layout_id").await?;
    let layout = one(transaction, id).await?;
    let indexed = index(&layout)?;
    Ok((layout, indexed))
}

/// A layout that exists, deleted or not.
pub(super) async fn one(
    connection: &mut PgConnection,
    id: LayoutId,
) -> Result<Arc<Layout>, StoreError> {
    let mut read = read(connection, vec![id.0]).await?;
    let layout = read.remove(&id.0);
    let layout = layout.ok_or_else(|| StoreError::fault("a layout is not there"))?;
    layout.map_err(StoreError::Fault)
}

/// The seat layout of a stored layout, ready for look-ups.
pub(super) fn index(layout: &Layout) -> Result<SeatLayout, StoreError> {
    SeatLayout::new(layout.description.clone())
        .map_err(|problems| StoreError::fault(format!("a stored layout: {problems:?}")))
}

/// Layouts by id; of each that cannot be read, why.
pub(super) type Layouts = HashMap<Uuid, Result<Arc<Layout>, String>>;

/// These layouts, deleted or not.
pub(super) async fn read(
    connection: &mut PgConnection,
    mut ids: Vec<Uuid>,
) -> Result<Layouts, StoreError> {
    ids.sort_unstable();
    ids.dedup();
    let rows = sqlx::query!(
        r#"SELECT layout_id, name, derived_from, seat_count, place_count,
                  created_at AS "created_at: TimeColumn",
                  description AS "description: JsonColumn<LayoutDescription>"
           FROM catalog.layouts WHERE layout_id = ANY ($1)"#,
        &ids,
    );
    let rows = rows.fetch_all(connection).await?;
    let layouts = rows.into_iter().map(|row| {
        let id = row.layout_id;
        let info = InfoRow {
            layout_id: row.layout_id,
            name: row.name,
            derived_from: row.derived_from,
            seat_count: row.seat_count,
            place_count: row.place_count,
            created_at: row.created_at,
        };
        let layout = LayoutInfo::try_from(info).and_then(|info| {
            let description = row.description.read("description")?;
            Ok(Arc::new(Layout { info, description }))
        });
        (id, layout.map_err(|error| format!("layout {id}: {error}")))
    });
    Ok(layouts.collect())
}

impl Mutation for DeleteSeatLayout {
    type Outcome = ();

    const VERB: &'static str = "delete_seat_layout";

    async fn apply(&self, transaction: &mut PgConnection) -> Result<(), StoreError> {
        let Self(id) = *self;
        let deleted = sqlx::query!(
            "UPDATE catalog.layouts SET deleted_at = greatest(created_at, clock_timestamp())
             WHERE layout_id = $1 AND deleted_at IS NULL",
            id.0,
        );
        if deleted.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Err(Rejection::LayoutNotFound(id).into());
        }
        // Transactions that were about to use it have committed: the update waited for them.
        let user = sqlx::query_scalar!(
            r#"SELECT show_id AS "show_id!" FROM (
                   SELECT show_id FROM catalog.shows
                   WHERE layout_id = $1 AND deleted_at IS NULL
                   UNION ALL
                   SELECT show_id FROM catalog.proposals
                   WHERE layout_id = $1 AND state = 'PENDING'
               ) AS users LIMIT 1"#,
            id.0,
        );
        match user.fetch_optional(transaction).await? {
            None => Ok(()),
            Some(show) => {
                let show = show.try_into().map_err(StoreError::fault)?;
                Err(Rejection::LayoutInUse { id, show }.into())
            }
        }
    }
}

impl Store {
    /// The layout with this id.
    ///
    /// # Errors
    ///
    /// If there is none, or it was deleted, or the database fails.
    pub async fn get_seat_layout(&self, id: LayoutId) -> Result<Arc<Layout>, StoreError> {
        self.with_connection("get_seat_layout", move |connection| {
            Box::pin(async move {
                let found = sqlx::query_scalar!(
                    "SELECT layout_id FROM catalog.layouts
                     WHERE layout_id = $1 AND deleted_at IS NULL",
                    id.0,
                );
                match found.fetch_optional(&mut *connection).await? {
                    Some(_) => one(connection, id).await,
                    None => Err(Rejection::LayoutNotFound(id).into()),
                }
            })
        })
        .await
    }

    /// A page of the layouts, by name and then by id. Those that cannot be read are left out.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn list_seat_layouts(&self, list: LayoutList) -> Result<LayoutPage, StoreError> {
        let unreadable = self.unreadable.clone();
        self.with_connection("list_seat_layouts", move |connection| {
            Box::pin(read_page(connection, list, unreadable))
        })
        .await
    }
}

async fn read_page(
    connection: &mut PgConnection,
    list: LayoutList,
    unreadable: Unreadable,
) -> Result<LayoutPage, StoreError> {
    let (name, id) = list.after.unzip();
    let id = id.map(|id| id.0);
    // One more than the page holds, to see whether there is more.
    let (size, rows_max) = (usize::from(list.size), i64::from(list.size) + 1);
    // Two statements, so that each uses its index even under a generic plan.
    let mut rows = match list.derived_from {
        None => {
            let rows = sqlx::query_as!(
                InfoRow,
                r#"SELECT layout_id, name, derived_from, seat_count, place_count,
                        created_at AS "created_at: TimeColumn"
                 FROM catalog.layouts
                 WHERE listed AND deleted_at IS NULL
                   AND (name, layout_id) >
                       (coalesce($1, ''), coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid))
                 ORDER BY name, layout_id LIMIT $3"#,
                name,
                id,
                rows_max,
            );
            rows.fetch_all(connection).await?
        }
        Some(origin) => {
            let rows = sqlx::query_as!(
                InfoRow,
                r#"SELECT layout_id, name, derived_from, seat_count, place_count,
                        created_at AS "created_at: TimeColumn"
                 FROM catalog.layouts
                 WHERE listed AND deleted_at IS NULL AND derived_from = $4
                   AND (name, layout_id) >
                       (coalesce($1, ''), coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid))
                 ORDER BY name, layout_id LIMIT $3"#,
                name,
                id,
                rows_max,
                origin.0,
            );
            rows.fetch_all(connection).await?
        }
    };
    let goes_on = rows.len() > size;
    rows.truncate(size);
    let place = |row: &InfoRow| (row.name.clone(), LayoutId(row.layout_id));
    let next = rows.last().map(place);
    let items = rows.into_iter().filter_map(|row| {
        let id = row.layout_id;
        unreadable.leave_out(id, row.try_into())
    });
    Ok(ListPage {
        items: items.collect(),
        next: next.filter(|_| goes_on),
    })
}
