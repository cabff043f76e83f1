//! Telling the catalog the answers to its proposals, until it has heard them: an answer stays in
//! the database until then, whatever becomes of the service that gave it.

use std::time::Duration;

use service_kit::Shutdown;
use tokio::time::sleep;

use super::{Catalog, CatalogError};
use crate::sales::Sales;
use crate::store::StoreError;

/// How often to look for answers that another replica has given and may not have told.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum TellError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tells answers until the shutdown.
pub async fn tell_answers(catalog: Catalog, sales: Sales, shutdown: Shutdown) {
    let mut retry = RETRY_MIN;
    loop {
        let wait = match tell_all(&catalog, &sales).await {
            Ok(()) => {
                retry = RETRY_MIN;
                LOOK_INTERVAL
            }
            Err(error) => {
                // Told once when it begins; a long outage must not fill the log.
                if retry == RETRY_MIN {
                    tracing::warn!(%error, "an answer to the catalog could not be told");
                }
                let wait = retry;
                retry = (retry * 2).min(RETRY_MAX);
                wait
            }
        };
        tokio::select! {
            () = shutdown.soft.cancelled() => return,
            () = sales.answered() => {}
            () = sleep(wait) => {}
        }
    }
}

/// One that cannot be told stands in no other's way.
async fn tell_all(catalog: &Catalog, sales: &Sales) -> Result<(), TellError> {
    let mut told = Ok(());
    for answer in sales.store().unheard_answers().await? {
        match catalog.answer(&answer).await {
            Ok(()) => sales.store().answer_heard(&answer).await?,
            Err(error) if error.is_outage() => return Err(error.into()),
            Err(error) => told = Err(error.into()),
        }
    }
    told
}
