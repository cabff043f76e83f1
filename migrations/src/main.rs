//! `migrate`: brings the database to the schema that this release needs.

use std::io::{Write as _, stdout};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use migrations::{Migration, Passwords, Verdict};
use service_kit::args::{duration_of, exit_with, parse_or_exit};
use service_kit::cause;
use service_kit::postgres::{Database, DatabaseUrl};

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
    /// Apply missing migrations; safe to repeat, and to run twice at once
    ///
    /// Also sets the password of each service's role from the environment, if it is set:
    /// TICKETING_CATALOG_SVC_PASSWORD, TICKETING_BOOKING_SVC_PASSWORD and
    /// TICKETING_EXPIRY_WORKER_PASSWORD.
    Up(UpArgs),
    /// List the migrations that the database has, and those that it lacks
    Status(DatabaseArgs),
    /// Report what is wrong with a database, and what to do about it; changes nothing
    ///
    /// One line for each check: OK, WARN (something is at risk), FAIL (the services
    /// cannot work, or lose what they have acknowledged) or SKIP (it could not be checked). The
    /// exit code is 1 if anything is FAIL. Takes the URL of the owner or of any service.
    Doctor(DatabaseArgs),
    /// Make booking-svc follow a catalog that it has refused: another one, or a restored one
    ///
    /// Prints which catalog booking-svc follows and which it has found; changes nothing without
    /// --yes. With it, booking-svc follows the catalog that was found, from its start. That catalog's
    /// shows replace all copies, and shows that it does not have are closed. Bookings stay as they
    /// are.
    AcceptCatalog(AcceptArgs),
}

#[derive(Debug, Args)]
struct AcceptArgs {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Accept the catalog that was found
    #[arg(long)]
    yes: bool,
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
    /// database and be able to create roles. sslmode=verify-full and sslrootcert=FILE encrypt, and
    /// verify the server
    #[arg(long, env = "DATABASE_URL", value_name = "URL", value_parser = DatabaseUrl::parse)]
    database_url: DatabaseUrl,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Arguments = parse_or_exit();
    let done = match arguments.verb {
        Verb::Up(args) => up(&args).await,
        Verb::Status(args) => status(&args).await,
        Verb::Doctor(args) => doctor(&args).await,
        Verb::AcceptCatalog(args) => accept_catalog(&args).await,
    };
    if let Err(error) = done {
        let error = cause::chain(&*error);
        let line = error.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        exit_with(1, &format!("error: {line}"));
    }
}

async fn up(args: &UpArgs) -> Result<()> {
    let passwords = Passwords::from_env()?;
    let applied = migrations::up(&args.database.database(), &passwords, args.wait).await?;
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
    for migration in migrations::status(&args.database()).await? {
        let state = if migration.applied {
            "applied"
        } else {
            "missing"
        };
        say(&format!("{state} {}", title(&migration)))?;
    }
    Ok(())
}

async fn doctor(args: &DatabaseArgs) -> Result<()> {
    let findings = migrations::doctor(&args.database()).await;
    for finding in &findings {
        say(&finding.to_string())?;
    }
    let failed = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Fail);
    match failed.count() {
        0 => Ok(()),
        1 => bail!("1 thing must be seen to"),
        more => bail!("{more} things must be seen to"),
    }
}

async fn accept_catalog(args: &AcceptArgs) -> Result<()> {
    let database = args.database.database();
    if args.yes {
        let before = migrations::accept_catalog(&database).await?;
        say(&before.to_string())?;
        return say("accepted: it is followed from its start");
    }
    let state = migrations::catalog_state(&database).await?;
    say(&state.to_string())?;
    match state.found {
        Some(_) => say("nothing was changed: with --yes the catalog that was found is accepted"),
        None => Ok(()),
    }
}

fn title(migration: &Migration) -> String {
    format!("{:04} {}", migration.version, migration.description)
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(stdout(), "{line}")?)
}

impl DatabaseArgs {
    fn database(&self) -> Database {
        migrations::of_url(&self.database_url)
    }
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
