//! Having booking-svc follow a catalog that it has refused: another one, or one that was restored
//! to an earlier revision.

use std::fmt;

use anyhow::{Result, bail};
use service_kit::postgres::Database;
use sqlx::types::Uuid;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::connect;

/// The catalog that booking-svc follows, and the one that it has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogState {
    /// The installation that is followed; none before the first was found.
    pub installation: Option<Uuid>,
    /// Up to which revision.
    pub revision: i64,
    /// Its timeline, if known.
    pub timeline: Option<Uuid>,
    /// The catalog that was found and refused, if one was.
    pub found: Option<RefusedCatalog>,
}

/// A catalog that booking-svc has found and does not follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCatalog {
    /// Its installation.
    pub installation: Uuid,
    /// Its newest revision when it was found.
    pub revision: i64,
    /// When that was, in words.
    pub at: String,
}

impl fmt::Display for CatalogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.installation {
            Some(id) => write!(
                f,
                "followed: installation {id}, up to revision {}",
                self.revision
            )?,
            None => write!(f, "followed: none yet")?,
        }
        if let Some(timeline) = self.timeline {
            write!(f, " of timeline {timeline}")?;
        }
        match &self.found {
            Some(found) => {
                let same = self.installation == Some(found.installation);
                let what = if same {
                    "the same, without the history that was followed"
                } else {
                    "another catalog"
                };
                write!(
                    f,
                    "\nfound: installation {}, newest revision {}, at {} ({what})",
                    found.installation, found.revision, found.at
                )
            }
            None => write!(f, "\nfound: nothing else"),
        }
    }
}

/// Reads the catalog that booking-svc follows, and the one that it has found.
///
/// # Errors
///
/// If the database cannot be asked.
pub async fn catalog_state(database: &Database) -> Result<CatalogState> {
    let mut connection = connect::once(database).await?;
    let state = state(&mut connection).await?;
    connection.close().await?;
    Ok(state)
}

/// Makes booking-svc follow the catalog that it found, from its start; that catalog's data replaces
/// everything that was copied before. Returns the state before.
///
/// # Errors
///
/// If it has found none, or the database fails; then nothing was changed.
pub async fn accept_catalog(database: &Database) -> Result<CatalogState> {
    let mut connection = connect::once(database).await?;
    let mut transaction = connection.begin().await?;
    // As the feed consumer locks it: before anything else.
    sqlx::query("SELECT FROM booking.feed_cursor FOR UPDATE")
        .execute(&mut *transaction)
        .await?;
    let before = state(&mut transaction).await?;
    let Some(found) = &before.found else {
        bail!("there is nothing to accept: booking-svc has found no other catalog");
    };
    sqlx::query(
        "UPDATE booking.feed_cursor SET installation_id = $1, timeline_id = NULL, revision = 0,
             epoch = epoch + 1, found_installation_id = NULL, found_revision = NULL, found_at = NULL",
    )
    .bind(found.installation)
    .execute(&mut *transaction)
    .await?;
    // Proposals are identified by their revisions, which may belong to others from now on. Those that
    // the accepted catalog still has are answered again.
    sqlx::query("DELETE FROM booking.answers")
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        "UPDATE booking.sales SET proposal = NULL, withdrawn = '{}', off_sale = false
         WHERE proposal IS NOT NULL",
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    connection.close().await?;
    Ok(before)
}

async fn state(connection: &mut PgConnection) -> Result<CatalogState> {
    let row = sqlx::query(
        "SELECT installation_id, revision, timeline_id, found_installation_id, found_revision,
             date_trunc('second', found_at)::text
         FROM booking.feed_cursor",
    )
    .fetch_one(connection)
    .await?;
    let found: (Option<Uuid>, Option<i64>, Option<String>) =
        (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
    Ok(CatalogState {
        installation: row.try_get(0)?,
        revision: row.try_get(1)?,
        timeline: row.try_get(2)?,
        found: match found {
            (Some(installation), Some(revision), Some(at)) => Some(RefusedCatalog {
                installation,
                revision,
                at,
            }),
            _ => None,
        },
    })
}
