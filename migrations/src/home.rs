//! Where things stand that a database has one of: the table of the schema's versions, and the
//! extension pg_trgm.
//!
//! The migrations name schema `public` for both. Where the database has the extension in another
//! schema, or no `public` that the owner may use, that schema is put in its place as a migration
//! is run; its checksum stays that of its file.

use service_kit::postgres::FIND_VERSIONS;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Error, Executor as _, PgConnection, SqlSafeStr as _};

use crate::MIGRATOR;

/// The table of the schema's versions.
pub(crate) const VERSIONS: &str = "_sqlx_migrations";
/// The schema that stands in for `public`. It has nothing else in it.
const OWN_SCHEMA: &str = "ticketing";

/// Whether the schema `public` is there and may be used to make things in.
const HAS_PUBLIC: &str = "SELECT coalesce(
    has_schema_privilege(to_regnamespace('public'), 'CREATE, USAGE'), false)";
/// The schema of the extension, quoted if need be.
const FIND_TRGM: &str = "SELECT quote_ident(nspname)
    FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace
    WHERE extname = 'pg_trgm'";

/// The expressions by which the migrations name schema `public`.
const IN_PUBLIC: [&str; 3] = [
    "public._sqlx_migrations",
    "WITH SCHEMA public",
    "public.gin_trgm_ops",
];

/// The schemas of a database's own.
#[derive(Debug)]
pub(crate) struct Home {
    versions: String,
    trgm: String,
}

impl Home {
    /// The schema of the versions' table, if there is one.
    pub(crate) async fn versions(connection: &mut PgConnection) -> Result<Option<String>, Error> {
        let found = sqlx::query_scalar(FIND_VERSIONS);
        found.fetch_optional(connection).await
    }

    /// Finds the schema that the migrations use, or will use. Creates the one that replaces `public`, if
    /// one is needed.
    pub(crate) async fn find(connection: &mut PgConnection) -> Result<Self, Error> {
        let versions = match Self::versions(connection).await? {
            Some(versions) => versions,
            None => {
                let has_public = sqlx::query_scalar(HAS_PUBLIC).fetch_one(&mut *connection);
                if has_public.await? {
                    "public".to_owned()
                } else {
                    make_own(connection).await?;
                    OWN_SCHEMA.to_owned()
                }
            }
        };
        let trgm = sqlx::query_scalar(FIND_TRGM).fetch_optional(connection);
        let trgm = trgm.await?.unwrap_or_else(|| versions.clone());
        Ok(Self { versions, trgm })
    }

    /// The migrations for this database.
    pub(crate) fn migrator(&self) -> Migrator {
        let migrations = MIGRATOR.iter().map(|migration| {
            let mut migration = migration.clone();
            let sql = self.localized(migration.sql.as_str());
            migration.sql = AssertSqlSafe(sql).into_sql_str();
            migration
        });
        let mut migrator = Migrator::with_migrations(migrations.collect());
        migrator.dangerous_set_table_name(format!("{}.{VERSIONS}", self.versions));
        migrator
    }

    fn localized(&self, sql: &str) -> String {
        let schemas = [&self.versions, &self.trgm, &self.trgm];
        let pairs = IN_PUBLIC.into_iter().zip(schemas);
        pairs.fold(sql.to_owned(), |sql, (text, schema)| {
            sql.replace(text, &text.replacen("public", schema, 1))
        })
    }
}

/// Two runs may create it at once: the loser gets an error that it exists.
async fn make_own(connection: &mut PgConnection) -> Result<(), Error> {
    let make = format!(
        "CREATE SCHEMA IF NOT EXISTS {OWN_SCHEMA}; GRANT USAGE ON SCHEMA {OWN_SCHEMA} TO PUBLIC"
    );
    connection.execute(AssertSqlSafe(make)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_in_public() {
        let home = Home {
            versions: "ticketing".to_owned(),
            trgm: "\"Extensions\"".to_owned(),
        };
        for migration in MIGRATOR.iter() {
            let sql = home.localized(migration.sql.as_str());
            let names_it = sql.contains("public.") || sql.contains("SCHEMA public");
            assert!(!names_it, "{}", migration.version);
        }
        let find = home.localized(MIGRATOR.iter().next().map_or("", |m| m.sql.as_str()));
        assert!(
            find.contains("pg_trgm WITH SCHEMA \"Extensions\";"),
            "{find}"
        );
        assert!(
            find.contains("(name_folded \"Extensions\".gin_trgm_ops)"),
            "{find}"
        );
    }

    #[test]
    fn a_migration_keeps_its_files_checksum() {
        let home = Home {
            versions: "ticketing".to_owned(),
            trgm: "public".to_owned(),
        };
        let migrator = home.migrator();
        for (as_run, as_written) in migrator.iter().zip(MIGRATOR.iter()) {
            assert_eq!(as_run.checksum, as_written.checksum);
        }
    }
}
