//! The services' roles: that they exist, with their settings and privileges. A database that
//! is restored on another server comes without them.

use service_kit::postgres::{FIND_VERSIONS, SCHEMA_VERSION, first_value, schema_version};
use tokio_postgres::{Client, Error};

use super::{Findings, rows};
use crate::SERVICE_ROLES;

const SUBJECT: &str = "roles";

/// Settings of every role, whatever their values.
const LIMITS: [&str; 3] = [
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
];
/// Settings by role that the statements' plans rest on.
const PLANS: [(&str, &[&str]); 3] = [
    ("catalog_svc", &["plan_cache_mode=force_custom_plan"]),
    ("booking_svc", BATCH_PLANS),
    ("expiry_worker", BATCH_PLANS),
];
const BATCH_PLANS: &[&str] = &[
    "plan_cache_mode=force_generic_plan",
    "enable_seqscan=off",
    "enable_hashjoin=off",
    "enable_mergejoin=off",
    "enable_bitmapscan=off",
];
/// One privilege per role and migration, as a sample of the others.
const PRIVILEGES: [(&str, &str, &str); 6] = [
    ("catalog_svc", "catalog.shows", "SELECT, INSERT, UPDATE"),
    ("catalog_svc", "catalog.layouts", "SELECT, INSERT"),
    ("booking_svc", "booking.bookings", "SELECT, INSERT, UPDATE"),
    ("booking_svc", "booking.payments", "SELECT, INSERT"),
    ("expiry_worker", "booking.bookings", "SELECT"),
    ("expiry_worker", "booking.transitions", "INSERT"),
];

/// The roles that are there, whether they may log in, and their settings, one a line.
const FIND: &str = "
    SELECT rolname, rolcanlogin, array_to_string(setconfig, E'\\n')
    FROM pg_roles LEFT JOIN pg_db_role_setting ON setrole = pg_roles.oid AND setdatabase = 0
    WHERE rolname IN ('catalog_svc', 'booking_svc', 'expiry_worker')";

pub(super) async fn check(client: &Client, findings: &mut Findings) -> Result<(), Error> {
    let found: Vec<[String; 3]> = rows(client, FIND).await?;
    let version = schema_version(client).await?;
    if version > 0 && version < SCHEMA_VERSION {
        // Privileges that an older schema lacks must not be granted by hand.
        findings.skip(
            SUBJECT,
            "their settings and privileges: `migrate up` brings them up to date first",
        );
        return Ok(());
    }
    let is_migrated = version > 0;
    for role in SERVICE_ROLES {
        let Some([_, can_login, settings]) = found.iter().find(|[name, ..]| name == role) else {
            match is_migrated {
                true => findings.fail(
                    SUBJECT,
                    format!(
                        "{role} is not there: restore the server's roles, as \
                             `pg_dumpall --roles-only` saves them"
                    ),
                ),
                false => findings.ok(SUBJECT, format!("`migrate up` makes {role}")),
            }
            continue;
        };
        let mut wrong = wrong_settings(role, settings);
        if can_login != "t" {
            wrong.push(format!("it may not log in: ALTER ROLE {role} LOGIN"));
        }
        if is_migrated {
            wrong.extend(missing_privileges(client, role).await?);
        }
        if wrong.is_empty() {
            findings.ok(SUBJECT, format!("{role} has its settings and privileges"));
        }
        for wrong in wrong {
            findings.fail(SUBJECT, format!("{role}: {wrong}"));
        }
    }
    findings.skip(
        SUBJECT,
        "whether each can log in with its password: run this with the URL of each service",
    );
    Ok(())
}

fn wrong_settings(role: &str, settings: &str) -> Vec<String> {
    let lines: Vec<_> = settings.lines().collect();
    let is_set = |name: &&str| {
        lines
            .iter()
            .any(|line| line.starts_with(&format!("{name}=")))
    };
    let limits = LIMITS.into_iter().filter(|name| !is_set(name));
    let limits = limits.map(|name| format!("{name} is not set: ALTER ROLE {role} SET {name} = …"));
    let plans = PLANS.into_iter().filter(|(whose, _)| *whose == role);
    let plans = plans
        .flat_map(|(_, plans)| plans)
        .filter(|plan| !lines.contains(plan));
    let plans = plans.map(|plan| format!("{plan} is not set: ALTER ROLE {role} SET {plan}"));
    limits.chain(plans).collect()
}

async fn missing_privileges(client: &Client, role: &str) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    let versions = first_value(client, FIND_VERSIONS)
        .await?
        .unwrap_or_default();
    let versions = (role, format!("{versions}._sqlx_migrations"), "SELECT");
    let others = PRIVILEGES.into_iter().filter(|(whose, ..)| *whose == role);
    let others = others.map(|(role, table, privileges)| (role, table.to_owned(), privileges));
    for (role, table, privileges) in others.chain([versions]) {
        // By its oid, because a role cannot look a name up in a schema that it may not use.
        let query = format!(
            "SELECT has_table_privilege('{role}', tables.oid, privilege)
             FROM pg_class AS tables JOIN pg_namespace AS schemas ON schemas.oid = relnamespace,
                  unnest(string_to_array('{privileges}', ', ')) AS privilege
             WHERE nspname || '.' || relname = '{table}'
             ORDER BY 1 LIMIT 1"
        );
        if first_value(client, &query).await?.as_deref() == Some("f") {
            missing.push(format!(
                "it lacks privileges on {table}: GRANT {privileges} ON {table} TO {role}, and \
                 whatever else the migrations grant"
            ));
        }
    }
    Ok(missing)
}
