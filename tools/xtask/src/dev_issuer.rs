//! The issuer of `up --auth`: its keys are made here, in `target`, and are for development alone.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use proto::auth::v1::Role;
use service_kit::args::duration_of;
use service_kit::auth::Bearer;
use service_kit::auth::access::{Roles, role_name, role_named};
use test_harness::issuer::{AUDIENCE, ISSUER, Issuer, claims, jwks, now};

use crate::say::say;
use crate::target;

const KEY_ID: &str = "development";
/// How long the tokens are valid that `up` makes for its own programs: longer than it runs.
const OWN_VALID: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Print a token for the services of `up --auth`, for the header "authorization: Bearer TOKEN"
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// A role: customer, staff, door, admin or service. Can be given several times
    #[arg(long = "role", required = true, value_name = "ROLE", value_parser = role)]
    roles: Vec<String>,

    /// Whom the token is for; of a customer, its customer id
    #[arg(long, value_name = "NAME")]
    sub: String,

    /// The holder's e-mail address, as one that the issuer has verified
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,

    /// How long it is valid
    #[arg(long, default_value = "12h", value_name = "DURATION", value_parser = duration_of::<1, 31_536_000>)]
    valid: Duration,
}

/// Prints a token.
pub(crate) fn token(args: &TokenArgs) -> Result<()> {
    let issuer = DevIssuer::find_or_create()?;
    let roles: Vec<&str> = args.roles.iter().map(String::as_str).collect();
    say(issuer.token(&args.sub, &roles, args.email.as_deref(), args.valid));
    Ok(())
}

/// The token that the tools send, if `up --auth` has made one. Services that do not ask for one
/// ignore it.
pub(crate) fn own_token() -> Result<Bearer> {
    let path = folder()?.join("tools.token");
    let path = path.exists().then_some(path);
    Bearer::from_file("the tools' token", path.as_deref()).map_err(anyhow::Error::msg)
}

/// The issuer, and the files that the services read.
pub(crate) struct DevIssuer {
    issuer: Issuer,
    folder: PathBuf,
}

impl DevIssuer {
    /// The one of an earlier run, or a new one.
    pub(crate) fn find_or_create() -> Result<Self> {
        let folder = folder()?;
        let path = folder.join("key.pkcs8");
        let issuer = match fs::read(&path) {
            Ok(key) => Issuer::from_pkcs8(KEY_ID, &key).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
                let issuer = Issuer::new(KEY_ID);
                write_secret(&path, issuer.pkcs8())?;
                Ok(issuer)
            }
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        };
        Ok(Self {
            issuer: issuer?,
            folder,
        })
    }

    /// The flags that have any service ask for its tokens.
    pub(crate) fn flags(&self) -> Result<Vec<String>> {
        let keys = self.folder.join("jwks.json");
        fs::write(&keys, jwks(&[self.issuer.jwk()])).with_context(|| keys.display().to_string())?;
        let keys = text_of(&keys)?;
        let flags = ["--auth-issuer", ISSUER, "--auth-audience", AUDIENCE];
        let flags = flags.into_iter().chain(["--auth-keys", &keys]);
        Ok(flags.map(ToOwned::to_owned).collect())
    }

    /// The file with the token that booking-svc shows to the others.
    pub(crate) fn service_token(&self) -> Result<String> {
        self.write_token("booking-svc", Role::Service)
    }

    /// Writes the token that the tools send.
    pub(crate) fn write_own_token(&self) -> Result<()> {
        self.write_token("tools", Role::Staff).map(drop)
    }

    fn write_token(&self, name: &str, role: Role) -> Result<String> {
        let path = self.folder.join(format!("{name}.token"));
        let token = self.token(name, &[&role_name(role)], None, OWN_VALID);
        write_secret(&path, token.as_bytes())?;
        text_of(&path)
    }

    fn token(&self, sub: &str, roles: &[&str], email: Option<&str>, valid: Duration) -> String {
        let mut claims = claims(sub, roles);
        claims["exp"] = (now() + valid.as_secs()).into();
        if let Some(email) = email {
            claims["email"] = email.into();
            claims["email_verified"] = true.into();
        }
        self.issuer.token(&claims)
    }
}

fn folder() -> Result<PathBuf> {
    Ok(target()?.join("up-auth"))
}

fn text_of(path: &Path) -> Result<String> {
    let text = path.to_str();
    Ok(text
        .context("the target folder's name is no text")?
        .to_owned())
}

/// Writes a file that nobody else of this machine can read.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(bytes));
    written.with_context(|| path.display().to_string())
}

fn role(text: &str) -> Result<String, String> {
    match role_named(text) {
        Some(_) => Ok(text.to_owned()),
        None => {
            let all = Roles::ALL.map(role_name).join(", ");
            Err(format!("must be one of {all}"))
        }
    }
}
