//! The database of `up`: a private cluster, or the server that DATABASE_URL names.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use dev_postgres::{Binaries, Cluster, ClusterOptions, Source, external_url, find_binaries};
use migrations::{Passwords, SERVICE_ROLES};
use tokio_postgres::NoTls;
use url::Url;
use uuid::Uuid;

use crate::say::say;
use crate::target;

const OWNER: &str = "postgres";
/// The private cluster's database.
const DATABASE: &str = "ticketing";
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The database to run on; nothing runs yet.
pub(crate) enum Found {
    External(Url),
    Private { binaries: Binaries, fresh: bool },
}

/// A migrated database.
pub(crate) struct Database {
    owner: Url,
    /// None on a private cluster, which trusts every connection.
    password: Option<String>,
    cluster: Option<Cluster>,
}

/// Chooses the PostgreSQL, and downloads it if needed.
pub(crate) async fn find(source: Source, fresh: bool) -> Result<Found> {
    if let (Source::Auto, Some(url)) = (source, external_url()) {
        if fresh {
            bail!(
                "--fresh throws away a private cluster's data, never those of the server that \
                 DATABASE_URL names: unset it, or name an empty database"
            );
        }
        // The parser's error could repeat a part of the password.
        let url = url
            .parse()
            .map_err(|_| anyhow!("DATABASE_URL is not a URL"))?;
        return Ok(Found::External(url));
    }
    let binaries = find_binaries(source, &target()?.join("postgres")).await?;
    Ok(Found::Private { binaries, fresh })
}

impl Found {
    /// Starts the server, if it is ours, and brings the schema to the newest version.
    pub(crate) async fn start(self, port: u16) -> Result<Database> {
        let database = match self {
            Self::External(owner) => Database {
                owner,
                password: Some(Uuid::new_v4().simple().to_string()),
                cluster: None,
            },
            Self::Private { binaries, fresh } => {
                // A folder for each major release: none can use another's.
                let folder = format!("up-postgres-{}", binaries.version().major);
                let mut options = ClusterOptions::durable(binaries, target()?.join(folder));
                options.port = Some(port);
                options.fresh = fresh;
                let cluster = Cluster::start(options).await?;
                make_database(&cluster).await?;
                Database {
                    owner: cluster.url(OWNER, DATABASE).parse()?,
                    password: None,
                    cluster: Some(cluster),
                }
            }
        };
        database.migrate().await?;
        Ok(database)
    }
}

async fn make_database(cluster: &Cluster) -> Result<()> {
    let url = cluster.url(OWNER, "postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    // Users of the client get its error.
    tokio::spawn(connection);
    let query = "SELECT FROM pg_database WHERE datname = $1";
    if client.query_opt(query, &[&DATABASE]).await?.is_none() {
        client
            .batch_execute(&format!("CREATE DATABASE {DATABASE}"))
            .await?;
    }
    Ok(())
}

impl Database {
    async fn migrate(&self) -> Result<()> {
        let password = self.password.as_deref();
        let passwords = password.map_or_else(Passwords::unchanged, Passwords::all);
        let database = migrations::database(self.owner.as_str())?;
        let applied = migrations::up(&database, &passwords, ANSWER_MAX).await;
        let applied = applied.with_context(|| match &self.cluster {
            Some(_) => "the data of an earlier run cannot be used: delete it with --fresh",
            None => "the database that DATABASE_URL names cannot be used",
        })?;
        for migration in applied {
            say(format_args!(
                "applied {:04} {}",
                migration.version, migration.description
            ));
        }
        Ok(())
    }

    /// The URL that one of the service roles connects with.
    pub(crate) fn url(&self, role: &str) -> Result<String> {
        debug_assert!(SERVICE_ROLES.contains(&role));
        let mut url = self.owner.clone();
        url.set_username(role)
            .and_then(|()| url.set_password(self.password.as_deref()))
            .map_err(|()| anyhow!("DATABASE_URL has no host"))?;
        Ok(url.into())
    }

    /// Where it is, for people; without a password.
    pub(crate) fn place(&self) -> String {
        let mut url = self.owner.clone();
        // It can only be refused for a URL that has none.
        let _ = url.set_password(None);
        match &self.cluster {
            Some(cluster) => format!(
                "{url} (PostgreSQL {}, data in {})",
                cluster.version(),
                cluster.data_dir().display()
            ),
            None => format!("{url} (DATABASE_URL)"),
        }
    }

    /// Stops the server, if it is ours.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        match self.cluster.take() {
            Some(cluster) => cluster.stop().await.context("stop PostgreSQL"),
            None => Ok(()),
        }
    }
}
