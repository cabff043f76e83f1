//! Moves a show through its life.

use std::fmt;
use std::marker::PhantomData;

use model::ShowId;
use sqlx::PgConnection;

use super::error::StoreError;
use super::mutation::Mutation;
use super::proposals;
use super::rows;
use super::write_show::{self, WriteShow};
use crate::domain::{Show, Verb};

/// A verb that callers have for the life of a show.
pub trait LifeVerb: fmt::Debug + Send + Sync + 'static {
    /// The verb.
    const VERB: Verb;
    /// Its name in spans and fingerprints.
    const NAME: &'static str;
}

macro_rules! life_verbs {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $kind {}

        impl LifeVerb for $kind {
            const VERB: Verb = Verb::$kind;
            const NAME: &'static str = $name;
        }
    )*};
}

life_verbs! {
    /// Puts a draft on sale.
    Publish = "publish_show",
    /// Takes a show off sale for a while.
    Pause = "pause_show",
    /// Puts a paused show on sale again.
    Resume = "resume_show",
    /// Takes a show off sale for good.
    Close = "close_show",
    /// Cancels a show.
    Cancel = "cancel_show",
}

/// Moves a show by the verb `V`.
#[derive(Debug)]
pub struct ChangeState<V> {
    id: ShowId,
    etag: Option<String>,
    verb: PhantomData<fn() -> V>,
}

impl<V> ChangeState<V> {
    /// Of this show, which must have the etag if the caller cares.
    #[must_use]
    pub fn new(id: ShowId, etag: Option<String>) -> Self {
        Self {
            id,
            etag,
            verb: PhantomData,
        }
    }
}

impl<V: LifeVerb> Mutation for ChangeState<V> {
    type Outcome = Show;

    const VERB: &'static str = V::NAME;

    async fn apply(&self, transaction: &mut PgConnection) -> Result<Show, StoreError> {
        let (show, now) = rows::lock(transaction, self.id).await?;
        show.check_etag(self.etag.as_deref())?;
        let mut show = show.after(V::VERB, now)?;
        if V::VERB == Verb::Cancel && proposals::drop_layout_change(transaction, &show, now).await?
        {
            show.proposal = None;
        }
        let show = WriteShow::of(show, now).write(transaction).await?;
        write_show::whole(transaction, show).await
    }
}
