//! The account that PostgreSQL's programs run under.
//!
//! They refuse to run as root. So started by root they get an ordinary account, which may not be able
//! to reach the files. The crate finds that out by
//! trying, under that account, since modes, access lists and mount options all matter.

use anyhow::{Context, Result, bail};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

/// The accounts that root hands the server to, in order.
const ORDINARY: [&str; 2] = ["postgres", "nobody"];

/// The account that runs the server.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    /// True when we are root and must step down to this account.
    stepped_down: bool,
}

impl Account {
    /// Ourselves, or as root the first ordinary account that exists.
    pub(crate) fn for_server() -> Result<Self> {
        let own = Self::named(None)?.context("`id` does not know the current account")?;
        if own.uid != 0 {
            return Ok(own);
        }
        for name in ORDINARY {
            if let Some(account) = Self::named(Some(name))?
                && account.uid != 0
            {
                return Ok(Self {
                    stepped_down: true,
                    ..account
                });
            }
        }
        bail!(
            "PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to \
             run it under: create one (useradd --system postgres), or start this as another user"
        )
    }

    fn named(name: Option<&str>) -> Result<Option<Self>> {
        let (Some(uid), Some(gid)) = (id("-u", name)?, id("-g", name)?) else {
            return Ok(None);
        };
        Ok(Some(Self {
            name: name.unwrap_or("ourselves").to_owned(),
            uid,
            gid,
            stepped_down: false,
        }))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// A command under this account, independent of the caller's environment: its
    /// `PG…` variables, its language, its time zone, a working directory the account can't enter.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir("/")
            .stdin(Stdio::null());
        if self.stepped_down {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Whether this account can enter `folder`.
    pub(crate) fn reaches(&self, folder: &Path) -> Result<bool> {
        if !self.stepped_down {
            return Ok(true);
        }
        let status = self
            .command("sh")
            .args(["-c", r#"cd -- "$1""#, "reaches"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("run `sh` as {}", self.name))?;
        Ok(status.success())
    }

    /// Gives `path` to this account.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        if !self.stepped_down {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("give {} to the account {}", path.display(), self.name))
    }

    /// Whether `path` belongs to this account (a link belongs to its creator).
    pub(crate) fn owns(&self, path: &Path) -> Result<bool> {
        let found =
            fs::symlink_metadata(path).with_context(|| format!("inspect {}", path.display()))?;
        Ok(!found.is_symlink() && found.uid() == self.uid)
    }

    /// Whether `path` belongs to ourselves, root included, rather than to another account that created it first.
    pub(crate) fn ours(path: &Path) -> Result<bool> {
        let own = Self::named(None)?.context("`id` does not know the current account")?;
        own.owns(path)
    }

    /// True when this is an account that root stepped down to.
    #[cfg(test)]
    pub(crate) fn stepped_down(&self) -> bool {
        self.stepped_down
    }
}

/// One number from `id`; `None` when there is no such account.
fn id(what: &str, name: Option<&str>) -> Result<Option<u32>> {
    let output = Command::new("id")
        .arg(what)
        .args(name)
        .output()
        .context("run `id`, which every Unix system has: is PATH set?")?;
    if !output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.trim().parse();
    Ok(Some(number.with_context(|| {
        format!("`id {what}` printed {:?}, not a number", text.trim())
    })?))
}
