//! Sends the catalog the answers to its proposals. An answer stays in the database until the
//! catalog has it, even if the service that stored it is gone.

use std::time::Duration;

use model::ShowId;
use service_kit::Shutdown;
use service_kit::background::{self, Skipped, StepError};

use crate::catalog::{Catalog, CatalogError};
use crate::sales::Sales;
use crate::store::StoreError;

/// How often to look for answers that another replica stored and may not have sent.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StepError for SendError {
    fn is_outage(&self) -> bool {
        match self {
            Self::Catalog(error) => error.is_outage(),
            Self::Store(error) => error.is_outage(),
        }
    }
}

/// Sends answers until the shutdown.
pub async fn relay_answers(catalog: Catalog, sales: Sales, shutdown: Shutdown) {
    let stop = &shutdown.soft;
    let answered = || sales.answered();
    let refused = Skipped::default();
    background::run_woken("answers", stop, answered, async || {
        let sending = send_all(&catalog, &sales, &refused);
        stop.run_until_cancelled(sending).await.transpose()?;
        Ok::<_, SendError>(LOOK_INTERVAL)
    })
    .await;
}

/// An answer that cannot be sent does not hold up the others.
async fn send_all(
    catalog: &Catalog,
    sales: &Sales,
    refused: &Skipped<ShowId>,
) -> Result<(), SendError> {
    let mut after = None;
    loop {
        let page = sales.store().undelivered_answers(after).await?;
        for answer in page.items {
            let show_id = answer.show_id;
            if refused.contains(show_id) {
                continue;
            }
            match catalog.answer(&answer).await {
                Ok(()) => sales.store().answer_delivered(&answer).await?,
                Err(error) if error.is_outage() => return Err(error.into()),
                Err(error) => {
                    tracing::error!(%show_id, %error, "the catalog refuses an answer");
                    refused.add(show_id);
                }
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
