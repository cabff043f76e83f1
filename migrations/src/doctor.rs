//! `migrate doctor`: finds faults of a database, and says what to do about them.
//!
//! Nothing is changed. The checks are independent: one that the role may not make is reported as
//! skipped, and hides no other. Statements are not prepared, so that the checks work behind any
//! pooler.

mod durability;
mod encryption;
mod hosts;
mod pooler;
mod roles;
mod room;
mod schema;
mod server;

use std::fmt;

use service_kit::cause;
use service_kit::postgres::{Database, first_value};
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it must be.
    Ok,
    /// It works, but something is at risk.
    Warn,
    /// The services cannot work, or lose what they have acknowledged.
    Fail,
    /// It could not be found out.
    Skip,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub verdict: Verdict,
    /// The subject of the check.
    pub subject: &'static str,
    /// The finding and, unless it is OK, what to do.
    pub words: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "OK",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
            Verdict::Skip => "SKIP",
        };
        write!(f, "{verdict:<5} {}: {}", self.subject, self.words)
    }
}

/// Examines a database with the eyes of the role that its URL names: the owner's see most.
pub async fn doctor(database: &Database) -> Vec<Finding> {
    let mut findings = hosts::check(database).await;
    let (client, place) = match database.connect_somewhere().await {
        Ok(connected) => connected,
        Err(error) => {
            let todo = if error.may_pass() {
                "check the host and the port, and that the server runs and can be reached from here"
            } else {
                "correct DATABASE_URL: the role, the password, the database, or what is asked of \
                 TLS; `migrate up` as the owner sets the services' passwords"
            };
            let words = format!("{error}: {todo}. Nothing else was checked");
            findings.fail("connection", words);
            return findings.0;
        }
    };
    findings.ok("connection", database.to_string());
    encryption::check(&place, &mut findings);
    pooler::check(database, &mut findings).await;
    let done = server::check(&client, &mut findings).await;
    findings.unless_done("server", done);
    let done = durability::check(&client, &mut findings).await;
    findings.unless_done("durability", done);
    let done = room::check(&client, &mut findings).await;
    findings.unless_done("connections", done);
    let done = schema::check(&client, &mut findings).await;
    findings.unless_done("schema", done);
    let done = roles::check(&client, &mut findings).await;
    findings.unless_done("roles", done);
    findings.0
}

#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, subject: &'static str, words: impl Into<String>) {
        self.add(Verdict::Ok, subject, words.into());
    }

    fn warn(&mut self, subject: &'static str, words: impl Into<String>) {
        self.add(Verdict::Warn, subject, words.into());
    }

    fn fail(&mut self, subject: &'static str, words: impl Into<String>) {
        self.add(Verdict::Fail, subject, words.into());
    }

    fn skip(&mut self, subject: &'static str, words: impl Into<String>) {
        self.add(Verdict::Skip, subject, words.into());
    }

    fn unless_done(&mut self, subject: &'static str, done: Result<(), Error>) {
        if let Err(error) = done {
            self.skip(
                subject,
                format!("could not be checked: {}", cause::chain(&error)),
            );
        }
    }

    fn add(&mut self, verdict: Verdict, subject: &'static str, words: String) {
        self.0.push(Finding {
            verdict,
            subject,
            words,
        });
    }
}

/// The rows of a statement, as texts; empty for NULL.
async fn rows<const N: usize>(client: &Client, statement: &str) -> Result<Vec<[String; N]>, Error> {
    let messages = client.simple_query(statement).await?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let texts = |row: &SimpleQueryRow| {
        std::array::from_fn(|column| row.get(column).unwrap_or_default().to_owned())
    };
    Ok(rows.map(texts).collect())
}

/// A setting of this session.
async fn setting(client: &Client, name: &str) -> Result<String, Error> {
    let value = first_value(client, &format!("SHOW {name}")).await?;
    Ok(value.unwrap_or_default())
}
