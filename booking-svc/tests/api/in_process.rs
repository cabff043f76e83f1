//! The store and the commands in this process, on a separate database, without a catalog: the test
//! applies the catalog's snapshots itself.

use std::time::Duration;

use booking_svc::catalog::{Catalog, Freshness, StaleCatalog, StalenessTerms};
use booking_svc::commands::{
    BookingCommands, BookingView, Change, CommandError, HoldTerms, Paid, Paying, Reserve,
};
use booking_svc::config::Cli;
use booking_svc::customer_resolver::CustomerResolver;
use booking_svc::domain::{
    Booking, Customer, OrphanRule, Places, Proposal, ProposedChange, Rejection, Requester,
    SaleState, Snapshot, Terms,
};
use booking_svc::sales::Sales;
use booking_svc::store::{GroupCommit, GroupCommitConfig, RejectionLimits, Store};
use clap::Parser as _;
use model::{
    BookingId, LayoutDescription, PriceDescription, PriceList, RowBlock, SeatLayout, Section,
    Series, ShowId,
};
use service_kit::auth::Bearer;
use test_harness::postgres::{self, TestDatabase};
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

const CALL_MAX: Duration = Duration::from_secs(20);
/// The default duration of a hold.
pub(crate) const HOLD: Duration = Duration::from_secs(120);

/// One replica of the service, without its catalog.
pub(crate) struct InProcess {
    /// Its store.
    pub(crate) store: Store,
    commands: BookingCommands,
    /// Dropped last.
    pub(crate) database: TestDatabase,
}

impl InProcess {
    /// On a new database.
    pub(crate) async fn open() -> Self {
        Self::that_stores(RejectionLimits::default()).await
    }

    /// The same, with other limits on stored rejections.
    pub(crate) async fn that_stores(rejections: RejectionLimits) -> Self {
        let database = postgres::database().await;
        // As if the snapshots of tests had come from a catalog.
        let owner = database.owner().await;
        let ahead = owner.batch_execute("UPDATE catalog.feed SET revision = 1000");
        ahead.await.expect("the feed's row");
        let (store, commands) = replica(&database, rejections);
        Self {
            store,
            commands,
            database,
        }
    }

    /// Another replica on the same database: its store and its commands.
    pub(crate) fn another(&self) -> (Store, BookingCommands) {
        replica(&self.database, RejectionLimits::default())
    }

    /// Applies a snapshot.
    pub(crate) async fn apply(&self, snapshot: &Snapshot) {
        let applied = self.store.apply(snapshot, None, None).await;
        applied.unwrap_or_else(|error| panic!("{snapshot:?}: {error}"));
    }

    /// Reserves seats.
    pub(crate) async fn reserve(
        &self,
        show: ShowId,
        labels: &[&str],
    ) -> Result<BookingView, CommandError> {
        reserve(&self.commands, show, labels).await
    }

    /// Reserves places.
    pub(crate) async fn reserve_places(
        &self,
        show: ShowId,
        places: &[(&str, u32)],
    ) -> Result<BookingView, CommandError> {
        let places = places.iter().map(|&(area, quantity)| Places {
            area: area.into(),
            quantity,
        });
        let wanted = Reserve {
            places: places.collect(),
            ..wanted(show, &[])
        };
        self.commands
            .reserve(wanted, Instant::now() + CALL_MAX)
            .await
    }

    /// Reserves under a request id.
    pub(crate) async fn reserve_as(
        &self,
        show: ShowId,
        labels: &[&str],
        request_id: Uuid,
    ) -> Result<BookingView, CommandError> {
        let wanted = Reserve {
            request_id: Some(request_id),
            ..wanted(show, labels)
        };
        self.commands
            .reserve(wanted, Instant::now() + CALL_MAX)
            .await
    }

    /// Reserves available seats.
    pub(crate) async fn hold(&self, show: ShowId, labels: &[&str]) -> Booking {
        let held = self.reserve(show, labels).await;
        held.unwrap_or_else(|error| panic!("{labels:?}: {error}"))
            .booking
    }

    /// Confirms a hold.
    pub(crate) async fn confirm(&self, id: BookingId) -> Result<BookingView, CommandError> {
        self.commands
            .confirm(change(id), Paid::Elsewhere(None), Instant::now() + CALL_MAX)
            .await
    }

    /// Cancels a booking.
    pub(crate) async fn cancel(&self, id: BookingId) {
        let over = self
            .commands
            .cancel(
                change(id),
                (Vec::new(), Vec::new()),
                Instant::now() + CALL_MAX,
            )
            .await;
        over.unwrap_or_else(|error| panic!("{id}: {error}"));
    }
}

fn replica(database: &TestDatabase, rejections: RejectionLimits) -> (Store, BookingCommands) {
    let url = database.url("booking_svc");
    let cli = Cli::try_parse_from(["booking-svc", "--database-url", &url]).expect("a command line");
    let database = cli.config.database.database("test").expect("a URL");
    let store = Store::new(database.pool(&cli.config.database));
    // Nothing listens there.
    let catalog = Catalog::new(
        "http://127.0.0.1:1".parse().expect("a URL"),
        Bearer::default(),
    );
    let freshness = Freshness::new(StalenessTerms {
        beyond: StaleCatalog::Sell,
        ..cli.config.staleness_terms()
    });
    let terms_of_lanes = GroupCommitConfig {
        count: 1,
        rejections,
        ..cli.config.group_commit_config()
    };
    let (group_commit, tasks) = GroupCommit::new(terms_of_lanes, &database);
    for (_, worker) in tasks {
        tokio::spawn(worker);
    }
    let terms = HoldTerms {
        default: HOLD,
        lifetime_max: HOLD,
    };
    let (sales, customers) = (
        Sales::new(store.clone(), catalog, freshness),
        CustomerResolver::new(store.clone()),
    );
    let commands = BookingCommands::new(sales, customers, group_commit, terms, Paying::default());
    (store, commands)
}

/// Reserves seats for "ann".
pub(crate) async fn reserve(
    commands: &BookingCommands,
    show: ShowId,
    labels: &[&str],
) -> Result<BookingView, CommandError> {
    commands
        .reserve(wanted(show, labels), Instant::now() + CALL_MAX)
        .await
}

fn wanted(show_id: ShowId, labels: &[&str]) -> Reserve {
    Reserve {
        show_id,
        labels: labels.iter().map(ToString::to_string).collect(),
        places: Vec::new(),
        choices: Vec::new(),
        customer: Customer::Id("ann".to_owned()),
        hold: None,
        sell: false,
        payment_reference: None,
        request_id: None,
        fingerprint: 7,
        requester: Requester::unnamed(),
    }
}

fn change(booking_id: BookingId) -> Change {
    Change {
        booking_id,
        version: None,
        request_id: None,
        fingerprint: 7,
        requester: Requester::unnamed(),
    }
}

/// Why a verb was refused.
pub(crate) fn rejection(outcome: Result<BookingView, CommandError>) -> Rejection {
    match outcome {
        Err(CommandError::Rejected(rejection)) => rejection,
        other => panic!("not refused: {other:?}"),
    }
}

/// The labels of a booking's seats.
pub(crate) fn labels(booked: &BookingView) -> Vec<String> {
    let names = booked
        .booking
        .seats
        .iter()
        .map(|seat| booked.sale.named(seat.ordinal));
    names
        .map(|seat| seat.expect("every seat has a name").label.into_owned())
        .collect()
}

/// The catalog's first snapshot of a show of one row with these labels at a price, on sale.
pub(crate) fn a_show(seats: &[&str], price: i64) -> Snapshot {
    let layout = row_of(seats);
    Snapshot {
        show_id: ShowId::generate(),
        revision: 1,
        terms: Terms {
            state: SaleState::OnSale,
            start_at: OffsetDateTime::now_utc() + Duration::from_secs(86_400),
            sales_open_at: None,
            sales_close_at: None,
            hold: None,
            seats_per_booking_max: None,
            places_per_customer_max: None,
            orphan_rule: OrphanRule::Off,
        },
        prices: prices_of(price, &layout),
        layout,
        proposal: None,
    }
}

/// The catalog's next snapshot of a show.
pub(crate) fn next(snapshot: &Snapshot) -> Snapshot {
    Snapshot {
        revision: snapshot.revision + 1,
        proposal: None,
        ..snapshot.clone()
    }
}

/// The same, with a change that waits for an answer.
pub(crate) fn proposing(snapshot: &Snapshot, change: ProposedChange) -> Snapshot {
    let mut next = next(snapshot);
    next.proposal = Some(Proposal {
        revision: next.revision,
        change,
    });
    next
}

/// The same under another layout.
pub(crate) fn with_layout(snapshot: &Snapshot, seats: &[&str]) -> Snapshot {
    let mut next = next(snapshot);
    next.layout = row_of(seats);
    let prices = snapshot.prices.description().clone();
    next.prices = PriceList::new(prices, &next.layout).expect("one price for everything");
    next
}

/// One price for everything.
pub(crate) fn prices_of(price: i64, layout: &SeatLayout) -> PriceList {
    let description = PriceDescription::single("EUR".parse().expect("a currency"), price);
    PriceList::new(description, layout).expect("one price for everything")
}

/// A layout of one row of seats with these labels.
pub(crate) fn row_of(seats: &[&str]) -> SeatLayout {
    let rows = RowBlock {
        names: None,
        runs: vec![Series::List(
            seats.iter().map(|label| (*label).into()).collect(),
        )],
        label_format: None,
    };
    let section = Section {
        name: "Stalls".into(),
        deck: "".into(),
        origin: None,
        rows: vec![rows],
    };
    let description = LayoutDescription {
        sections: vec![section],
        ..LayoutDescription::default()
    };
    SeatLayout::new(description).expect("a layout")
}
