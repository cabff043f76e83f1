//! A streaming replica, made for one test.

use std::env;

use dev_postgres::Cluster;
use tokio_postgres::Client;
use url::Url;
use uuid::Uuid;

use super::{Address, OWNER, OwnServer, TestDatabase, connect, or_panic};

/// A hot standby of an [`OwnServer`]: it replays the server's writes, and can be read.
#[derive(Debug)]
pub struct Standby {
    cluster: Cluster,
    address: Address,
}

impl OwnServer {
    /// Starts a streaming standby of it. Connections are cut off, since the server is
    /// stopped while its folder is copied.
    ///
    /// # Panics
    ///
    /// If either does not come up.
    pub async fn standby(&mut self) -> Standby {
        let folder = format!("ticketing-standby-{}", Uuid::new_v4().simple());
        let cluster = self.cluster.start_standby(env::temp_dir().join(folder));
        let cluster = or_panic(cluster.await);
        let owner: Result<Url, _> = cluster.url(OWNER, "postgres").parse();
        let mut owner = owner.expect("a cluster's address is a URL");
        // As its primary's: it is a copy.
        owner.set_query(self.server.address.owner.query());
        let address = Address {
            owner,
            service_password: None,
        };
        Standby { cluster, address }
    }
}

impl Standby {
    /// The URL of a database for a role, as [`TestDatabase::url`].
    #[must_use]
    pub fn url(&self, role: &str, database: &TestDatabase) -> String {
        self.address.url(role, &database.name)
    }

    /// A connection to a database as its owner.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    pub async fn owner(&self, database: &TestDatabase) -> Client {
        or_panic(connect(&self.url(OWNER, database)).await)
    }

    /// Makes it a primary, and waits until it is one.
    ///
    /// # Panics
    ///
    /// If it does not become one.
    pub async fn promote(&self, database: &TestDatabase) {
        let promoted = self.owner(database).await;
        let promoted = promoted.query_one("SELECT pg_promote()", &[]).await;
        let is_done = promoted.map(|row| row.get(0));
        assert_eq!(is_done.ok(), Some(true), "the standby is promoted");
    }

    /// Kills its first process as `kill -9` does.
    ///
    /// # Panics
    ///
    /// If the process does not go.
    pub async fn crash(&mut self) {
        or_panic(self.cluster.crash().await);
    }

    /// Starts it again on the same port; it continues to replay.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub async fn restart(&mut self) {
        or_panic(self.cluster.restart().await);
    }
}
