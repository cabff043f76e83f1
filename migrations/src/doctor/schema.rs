//! The schema's version, and the extension that it needs.

use service_kit::postgres::{SCHEMA_VERSION, first_value, schema_version};
use tokio_postgres::{Client, Error};

use super::{Findings, rows};

const SUBJECT: &str = "schema";
const EXTENSION: &str = "pg_trgm";
/// The migration that makes the extension.
const TRGM_SINCE: i64 = 1;

/// Its schema, and whether this role may use that; no row if it is not there.
const FIND_TRGM: &str = "
    SELECT nspname, has_schema_privilege(n.oid, 'USAGE')
    FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace WHERE extname = 'pg_trgm'";
/// Whether it can be made.
const IS_AVAILABLE: &str = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'";
/// Whether this role may run migrations: make schemas, and roles if one is not there.
const MAY_MIGRATE: &str = "
    SELECT has_database_privilege(current_database(), 'CREATE'),
           rolsuper OR rolcreaterole
    FROM pg_roles WHERE rolname = current_user";

pub(super) async fn check(client: &Client, findings: &mut Findings) -> Result<(), Error> {
    let version = schema_version(client).await?;
    if version == SCHEMA_VERSION {
        findings.ok(SUBJECT, format!("version {version}"));
    } else if version > SCHEMA_VERSION {
        findings.ok(
            SUBJECT,
            format!("version {version}, of a newer release; this one needs {SCHEMA_VERSION}"),
        );
    } else {
        findings.fail(
            SUBJECT,
            format!("version {version}; this release needs {SCHEMA_VERSION}: run `migrate up`"),
        );
        check_may_migrate(client, findings).await?;
    }
    check_trgm(client, version, findings).await
}

async fn check_may_migrate(client: &Client, findings: &mut Findings) -> Result<(), Error> {
    for [may_create, may_make_roles] in rows(client, MAY_MIGRATE).await? {
        if may_create != "t" {
            findings.warn(
                SUBJECT,
                "this role may not run `migrate up`: the database's owner may, or a role with \
                 CREATE on it",
            );
        } else if may_make_roles != "t" {
            findings.warn(
                SUBJECT,
                "this role may not make roles or set what they need: give it CREATEROLE for \
                 `migrate up`",
            );
        }
    }
    Ok(())
}

async fn check_trgm(client: &Client, version: i64, findings: &mut Findings) -> Result<(), Error> {
    let is_needed = version < SCHEMA_VERSION;
    let found: Vec<[String; 2]> = rows(client, FIND_TRGM).await?;
    match found.first() {
        // Only a migration that makes an index names it.
        Some([schema, may_use]) if may_use != "t" && is_needed => findings.fail(
            EXTENSION,
            format!(
                "it is in schema {schema}, which this role may not use: GRANT USAGE ON SCHEMA \
                     {schema} to it for `migrate up`"
            ),
        ),
        Some([schema, _]) => findings.ok(EXTENSION, format!("it is in schema {schema}")),
        None if version >= TRGM_SINCE => findings.fail(
            EXTENSION,
            "it was dropped, and the index of the shows' names with it: restore both",
        ),
        None if first_value(client, IS_AVAILABLE).await?.as_deref() == Some("0") => findings.fail(
            EXTENSION,
            "the server does not have it: install PostgreSQL's contrib modules",
        ),
        None => findings.ok(EXTENSION, "the server has it; `migrate up` makes it"),
    }
    Ok(())
}
