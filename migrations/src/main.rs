//! `migrate`: brings the database to the schema that this release needs.

use std::io::{Write as _, stdout};
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use migrations::{Migration, Passwords};
use service_kit::args::{duration_of, exit_with, parse_or_exit};
use sqlx::postgres::PgConnectOptions;

/// Bring Ticketing's database to the schema that this release needs
///
/// Run `migrate up` as a step of every release, before the services start: they refuse to run
/// on an older schema, and never change it themselves.
#[derive(Debug, Parser)]
#[command(name = "migrate", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Apply what the database lacks; safe to repeat, and to run twice at once
    ///
    /// Also sets the password of each service's role from the environment, where it is there:
    /// TICKETING_CATALOG_SVC_PASSWORD, TICKETING_BOOKING_SVC_PASSWORD and
    /// TICKETING_EXPIRY_WORKER_PASSWORD.
    Up(UpArgs),
    /// Tell which versions the database has, and which it lacks
    Status(DatabaseArgs),
}

#[derive(Debug, Args)]
struct UpArgs {
    #[command(flatten)]
    database: DatabaseArgs,

    /// How long to wait for a database that is still starting
    #[arg(long, env = "TICKETING_MIGRATE_WAIT", default_value = "30s", value_name = "DURATION", value_parser = duration_of::<0, 3600>)]
    wait: Duration,
}

#[derive(Debug, Args)]
struct DatabaseArgs {
    /// PostgreSQL, as postgres://owner:password@host:port/database. The role must own the
    /// database and be able to create roles
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, value_parser = database_url)]
    database_url: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Arguments = parse_or_exit();
    let done = match arguments.verb {
        Verb::Up(args) => up(&args).await,
        Verb::Status(args) => status(&args).await,
    };
    if let Err(error) = done {
        let error = format!("{error:#}");
        let line = error.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        exit_with(1, &format!("error: {line}"));
    }
}

async fn up(args: &UpArgs) -> Result<()> {
    let passwords = Passwords::from_env()?;
    let applied = migrations::up(&args.database.database_url, &passwords, args.wait).await?;
    for migration in &applied {
        say(&format!("applied {}", title(migration)))?;
    }
    if applied.is_empty() {
        say("the schema is up to date")?;
    }
    for (role, _) in passwords.roles() {
        say(&format!("set the password of {role}"))?;
    }
    Ok(())
}

async fn status(args: &DatabaseArgs) -> Result<()> {
    for migration in migrations::status(&args.database_url).await? {
        let state = if migration.applied {
            "applied"
        } else {
            "missing"
        };
        say(&format!("{state} {}", title(&migration)))?;
    }
    Ok(())
}

fn title(migration: &Migration) -> String {
    format!("{:04} {}", migration.version, migration.description)
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(stdout(), "{line}")?)
}

fn database_url(text: &str) -> std::result::Result<String, String> {
    text.parse::<PgConnectOptions>()
        .map(|_| text.to_owned())
        .map_err(|_| "must be as postgres://owner:password@host:port/database".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
