//! The flags of authentication.

use std::path::PathBuf;

use clap::Args;

use super::fetch::KeysUrl;
use crate::args::file;

/// Whether callers need a token, and which issuer is trusted.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Authentication")]
pub struct AuthArgs {
    /// Ask callers for a token of this issuer: the `iss` of its tokens, to the letter. Without it
    /// anybody may call anything
    #[arg(
        id = "auth_issuer",
        long = "auth-issuer",
        env = "TICKETING_AUTH_ISSUER",
        value_name = "URL",
        value_parser = not_empty,
        requires = "auth_audience"
    )]
    pub issuer: Option<String>,

    /// The audience that the tokens must be for: one of their `aud`
    #[arg(
        id = "auth_audience",
        long = "auth-audience",
        env = "TICKETING_AUTH_AUDIENCE",
        value_name = "NAME",
        value_parser = not_empty,
        requires = "auth_issuer"
    )]
    pub audience: Option<String>,

    /// Where the issuer publishes its keys, as a JWKS: https://, or http:// on this host. If
    /// neither this nor --auth-keys is given, the issuer's /.well-known/openid-configuration says
    #[arg(
        id = "auth_jwks_url",
        long = "auth-jwks-url",
        env = "TICKETING_AUTH_JWKS_URL",
        value_name = "URL",
        requires = "auth_issuer"
    )]
    pub jwks_url: Option<KeysUrl>,

    /// A file with the issuer's public keys, as a JWKS or as PEM; it is read again when it changes
    #[arg(
        id = "auth_keys",
        long = "auth-keys",
        env = "TICKETING_AUTH_KEYS",
        value_name = "FILE",
        value_parser = file,
        requires = "auth_issuer",
        conflicts_with = "auth_jwks_url"
    )]
    pub keys: Option<PathBuf>,

    /// CA certificates (PEM) to trust for the issuer's https:// server; if not said, those of the
    /// system
    #[arg(
        id = "auth_ca",
        long = "auth-ca",
        env = "TICKETING_AUTH_CA",
        value_name = "FILE",
        value_parser = file,
        requires = "auth_issuer",
        conflicts_with = "auth_keys"
    )]
    pub ca: Option<PathBuf>,

    /// The claim that has the roles, a list or a text with spaces: its name, or a path with dots
    /// as realm_access.roles
    #[arg(
        id = "auth_roles_claim",
        long = "auth-roles-claim",
        env = "TICKETING_AUTH_ROLES_CLAIM",
        default_value = "roles",
        value_name = "CLAIM",
        value_parser = claim_name
    )]
    pub roles_claim: String,

    /// The claim that has the customer id of who is a customer, named as that of the roles
    #[arg(
        id = "auth_customer_claim",
        long = "auth-customer-claim",
        env = "TICKETING_AUTH_CUSTOMER_CLAIM",
        default_value = "sub",
        value_name = "CLAIM",
        value_parser = claim_name
    )]
    pub customer_claim: String,
}

impl AuthArgs {
    /// Whether callers are asked for a token.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.issuer.is_some()
    }
}

fn not_empty(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        Err("must not be empty")
    } else {
        Ok(text.to_owned())
    }
}

/// A claim's name may be a URL, as some issuers want it; a URL with an `@` is one of a database, in
/// the wrong place.
fn claim_name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains(|c: char| c == '@' || c.is_whitespace()) {
        Err("must be the name of a claim, without blanks and @")
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        auth: AuthArgs,
    }

    fn parsed(line: &[&str]) -> Result<AuthArgs, ErrorKind> {
        let line = ["test"].iter().chain(line);
        Cli::try_parse_from(line)
            .map(|cli| cli.auth)
            .map_err(|error| error.kind())
    }

    #[test]
    fn it_is_off_unless_there_is_an_issuer_with_an_audience() {
        assert!(!parsed(&[]).expect("arguments").is_on());
        let both = ["--auth-issuer", "https://id", "--auth-audience", "tickets"];
        let args = parsed(&both).expect("arguments");
        assert!(args.is_on());
        assert_eq!(args.roles_claim, "roles");
        for half in [&both[..2], &both[2..], &["--auth-keys", "keys.json"]] {
            assert_eq!(
                parsed(half).expect_err("half"),
                ErrorKind::MissingRequiredArgument
            );
        }
        for empty in [["", "tickets"], [" ", "tickets"], ["https://id", ""]] {
            let line = ["--auth-issuer", empty[0], "--auth-audience", empty[1]];
            assert_eq!(
                parsed(&line).expect_err("empty"),
                ErrorKind::ValueValidation
            );
        }
        let two = ["--auth-keys", "f", "--auth-jwks-url", "https://id/keys"];
        let two = [&both[..], &two].concat();
        assert_eq!(parsed(&two).expect_err("two"), ErrorKind::ArgumentConflict);
    }
}
