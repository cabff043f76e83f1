//! Reads from a streaming replica, which the tests start themselves.

use model::ShowId;
use proto::catalog::v1 as pb;
use service_kit::postgres::DatabaseUrl;
use test_harness::eventually;
use test_harness::postgres::{OwnServer, Standby, TestDatabase};

use crate::proxy::Proxy;
use crate::support::{
    Client, SOON, Service, create, execute, get, get_since, hamlet, rename_silently, renaming,
    update,
};

const ROUNDS: usize = 1_000;

/// A server, its standby, a database, and an instance that reads from the standby.
struct Stage {
    service: Service,
    standby: Standby,
    database: TestDatabase,
    _server: OwnServer,
}

impl Stage {
    async fn start() -> Self {
        let mut server = OwnServer::start().await;
        let database = server.database().await;
        let standby = server.standby().await;
        let replica = standby.url("catalog_svc", &database);
        let service = reading_from(&database, replica).await;
        Self {
            service,
            standby,
            database,
            _server: server,
        }
    }

    /// Waits until the standby has replayed all that was written.
    async fn eventually_replayed(&self) {
        let query = "SELECT revision FROM catalog.feed";
        let (owner, replica) = (self.database.owner().await, self.replica().await);
        eventually(SOON, "the standby has replayed", async || {
            let newest = owner.query_one(query, &[]).await.expect("a revision");
            let replayed = replica.query_one(query, &[]).await.expect("a revision");
            newest.get::<_, i64>(0) == replayed.get::<_, i64>(0)
        })
        .await;
    }

    /// From now on the standby stays as it is.
    async fn pause_replay(&self) {
        let replica = self.replica().await;
        let pause = "SELECT pg_wal_replay_pause()";
        replica.batch_execute(pause).await.expect("a standby");
        let query = "SELECT pg_get_wal_replay_pause_state() = 'paused'";
        eventually(SOON, "the replay pauses", async || {
            replica.query_one(query, &[]).await.expect("a state").get(0)
        })
        .await;
    }

    async fn replica(&self) -> tokio_postgres::Client {
        self.standby.owner(&self.database).await
    }

    /// How many sessions the service has at the standby.
    async fn sessions(&self) -> i64 {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'catalog_svc'";
        let row = self.replica().await.query_one(query, &[]).await;
        row.expect("a count").get(0)
    }
}

async fn reading_from(database: &TestDatabase, replica: String) -> Service {
    let configure = |config: &mut catalog_svc::config::Config| {
        config.read_database_url = Some(DatabaseUrl::parse(&replica).expect("a URL"));
    };
    Service::on(&database.url("catalog_svc"), configure).await
}

/// The shows at Hamlet's venue.
async fn listed(client: &Client) -> Vec<pb::Show> {
    let request = pb::ListShowsRequest {
        venue: hamlet().venue,
        page_size: 1_000,
        ..Default::default()
    };
    let page = client.clone().list_shows(request).await.expect("a page");
    page.into_inner().shows
}

/// Waits until the only show is read as the replica has it: a read goes elsewhere while that has
/// not answered in time.
async fn eventually_from_replica(client: &Client, show: &pb::Show) {
    eventually(SOON, "the replica is read", async || {
        listed(client).await[0].name == show.name
    })
    .await;
}

/// Creates a show like another one as another instance does, but for the notification; its id.
async fn copy_silently(database: &TestDatabase, id: &str) -> String {
    let copy = ShowId::generate().to_string();
    let statement = format!(
        "WITH next AS (UPDATE catalog.feed SET revision = revision + 1 RETURNING revision)
         INSERT INTO catalog.shows (show_id, revision, name, show_type, state, start_at, venue,
             layout_id, prices, seat_count, place_count, time_zone, orphan_rule, offered,
             created_at, updated_at)
         SELECT '{copy}', next.revision, name, show_type, state, start_at, venue, layout_id, prices,
             seat_count, place_count, time_zone, orphan_rule, offered, created_at, updated_at
         FROM catalog.shows, next WHERE show_id = '{id}'"
    );
    execute(database, &statement).await;
    copy
}

#[tokio::test]
async fn a_new_write_is_never_missed() {
    let stage = Stage::start().await;
    let client = &stage.service.client;
    let first = create(client, hamlet()).await;
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            stage.pause_replay().await;
        }
        let created = create(client, hamlet()).await;
        assert_eq!(get(client, &created.show_id).await, created);
        let renaming = renaming(&first.show_id, &format!("round {round}"));
        let updated = update(client, renaming).await;
        assert_eq!(get(client, &first.show_id).await, updated);
        if round % 100 == 0 {
            assert_eq!(listed(client).await.len(), round + 2);
        }
    }
    assert!(stage.sessions().await > 0);
}

#[tokio::test]
async fn reads_use_the_replica_and_continue_without_it() {
    let mut stage = Stage::start().await;
    let client = stage.service.client.clone();
    let show = create(&client, hamlet()).await;
    stage.eventually_replayed().await;
    stage.pause_replay().await;
    // Without a revision the replica's data still counts as new enough.
    let unnoticed = "UPDATE catalog.shows SET name = 'on the primary'";
    execute(&stage.database, unnoticed).await;
    eventually_from_replica(&client, &show).await;
    let replica = stage.standby.url("catalog_svc", &stage.database);
    let newcomer = reading_from(&stage.database, replica).await;
    eventually_from_replica(&newcomer.client, &show).await;
    assert_eq!(get(&newcomer.client, &show.show_id).await, show);
    assert!(stage.sessions().await > 0);

    // A revision that it has not replayed: it is asked no more until it has.
    create(&client, hamlet()).await;
    let names: Vec<_> = listed(&client)
        .await
        .into_iter()
        .map(|show| show.name)
        .collect();
    assert_eq!(names, ["on the primary", "Hamlet"]);

    stage.standby.crash().await;
    for _ in 0..ROUNDS / 10 {
        assert_eq!(listed(&client).await.len(), 2);
        let created = create(&newcomer.client, hamlet()).await;
        assert_eq!(get(&newcomer.client, &created.show_id).await, created);
        execute(
            &stage.database,
            "DELETE FROM catalog.shows WHERE name = 'Hamlet' AND revision > 2",
        )
        .await;
    }

    stage.standby.restart().await;
    eventually(SOON, "the replica is read again", async || {
        listed(&client).await;
        stage.sessions().await > 0
    })
    .await;
}

#[tokio::test]
async fn a_write_of_another_instance_is_found_by_min_revision() {
    let stage = Stage::start().await;
    let client = &stage.service.client;
    let show = create(client, hamlet()).await;
    stage.eventually_replayed().await;
    stage.pause_replay().await;
    for round in 0..ROUNDS / 10 {
        // A show that the replica lacks is always looked up on the primary.
        let copy = copy_silently(&stage.database, &show.show_id).await;
        assert_eq!(get(client, &copy).await.name, show.name);
        let name = format!("round {round}");
        let revision = rename_silently(&stage.database, &show.show_id, &name).await;
        let seen = get_since(client, &show.show_id, revision).await;
        assert_eq!((&seen.name, seen.revision), (&name, revision));
        rename_silently(&stage.database, &show.show_id, &show.name).await;
    }
}

#[tokio::test]
async fn a_hanging_replica_holds_up_no_read_for_long() {
    let mut server = OwnServer::start().await;
    let database = server.database().await;
    let standby = server.standby().await;
    let replica = standby.url("catalog_svc", &database);
    let proxy = Proxy::start(&replica).await;
    let service = reading_from(&database, proxy.url(&replica)).await;
    let show = create(&service.client, hamlet()).await;
    assert_eq!(listed(&service.client).await.len(), 1);
    proxy.hold();
    let reads = async {
        for _ in 0..ROUNDS / 10 {
            let listed = listed(&service.client).await;
            assert_eq!(listed[0].show_id, show.show_id);
        }
    };
    // A hundred reads that each waited for the replica would take 50 s.
    tokio::time::timeout(SOON, reads)
        .await
        .expect("the primary answers");
}
