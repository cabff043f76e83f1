//! The service roles' passwords.

use std::env::{self, VarError};

use anyhow::{Context as _, Result, bail};
use postgres_protocol::password::scram_sha_256;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

/// The role that each service connects as, made by a migration without a password.
pub const SERVICE_ROLES: [&str; 3] = ["catalog_svc", "booking_svc", "expiry_worker"];

/// Passwords for the service roles; a role without one keeps its password.
#[derive(Clone, Default)]
pub struct Passwords([Option<String>; SERVICE_ROLES.len()]);

impl Passwords {
    /// Changes none.
    #[must_use]
    pub fn unchanged() -> Self {
        Self::default()
    }

    /// The same password for every role.
    #[must_use]
    pub fn all(password: &str) -> Self {
        Self(SERVICE_ROLES.map(|_| Some(password.to_owned())))
    }

    /// The values of `TICKETING_CATALOG_SVC_PASSWORD` and its like; an empty one counts as unset.
    ///
    /// # Errors
    ///
    /// If one of the variables is not text.
    pub fn from_env() -> Result<Self> {
        let mut passwords = Self::default();
        for (role, password) in SERVICE_ROLES.iter().zip(&mut passwords.0) {
            let variable = format!("TICKETING_{}_PASSWORD", role.to_uppercase());
            *password = match env::var(&variable) {
                Ok(value) => Some(value).filter(|value| !value.is_empty()),
                Err(VarError::NotPresent) => None,
                Err(VarError::NotUnicode(_)) => bail!("{variable} is not text"),
            };
        }
        Ok(passwords)
    }

    /// Sets them. The server is sent a verifier, as a client's `\password` does, so that the
    /// password itself stands in no server log.
    pub(crate) async fn set(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        for (role, password) in self.roles() {
            // A role's name is one of ours, and a verifier is base64, `$` and `:`.
            let verifier = scram_sha_256(password.as_bytes());
            let statement = format!("ALTER ROLE {role} PASSWORD '{verifier}'");
            connection.execute(AssertSqlSafe(statement)).await?;
        }
        Ok(())
    }

    /// The roles that get a password, each with it.
    pub fn roles(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let passwords = self.0.iter().map(Option::as_deref);
        SERVICE_ROLES
            .into_iter()
            .zip(passwords)
            .filter_map(|(role, password)| Some((role, password?)))
    }

    /// The password of one role.
    ///
    /// # Errors
    ///
    /// If it has none.
    pub fn of(&self, role: &str) -> Result<&str> {
        let mut roles = self.roles();
        let found = roles.find(|(name, _)| *name == role);
        found
            .map(|(_, password)| password)
            .with_context(|| format!("the role {role} has no password"))
    }
}
