//! Finding PostgreSQL's server programs on this machine.

use crate::{account::Account, blocking, download, source::Source, version::Version};
use anyhow::{Result, anyhow, bail};
use std::{
    cmp::Reverse,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};
use tracing::debug;

/// The programs that a cluster needs; they are in one folder, and find each other there.
const PROGRAMS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// Where installers put numbered releases: a folder, and the prefix of the number in it.
const NUMBERED: [(&str, &str); 5] = [
    ("usr/lib/postgresql", ""),          // Debian, Ubuntu
    ("usr", "pgsql-"),                   // Fedora, RHEL: the PostgreSQL project's packages
    ("opt/homebrew/opt", "postgresql@"), // Homebrew, Apple silicon
    ("usr/local/opt", "postgresql@"),    // Homebrew, Intel
    ("Applications/Postgres.app/Contents/Versions", ""),
];

const INSTALL: &str = "Install PostgreSQL 15 or newer:
  Debian, Ubuntu   apt-get install postgresql
  Fedora           dnf install postgresql-server
  macOS            brew install postgresql@17";

/// A set of PostgreSQL server programs that was seen to run here.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
    version: Version,
    account: Account,
}

impl Binaries {
    /// The folder that holds `postgres`, `initdb` and `pg_ctl`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Their release.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The account under which they were seen to run, and are to run.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Takes the programs in `folder` if they are whole, run under `account`, and are recent
    /// enough; the error names the fault in a few words.
    pub(crate) fn inspect(folder: &Path, account: &Account) -> Result<Self> {
        for program in PROGRAMS {
            if !folder.join(program).is_file() {
                bail!("there is no `{program}`");
            }
        }
        let output = account
            .command(folder.join("postgres"))
            .arg("--version")
            .output()
            .map_err(|error| anyhow!("`postgres` cannot be run as {}: {error}", account.name()))?;
        if !output.status.success() {
            bail!(
                "`postgres --version` failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let banner = String::from_utf8_lossy(&output.stdout);
        let version = Version::from_banner(&banner)
            .ok_or_else(|| anyhow!("`postgres --version` printed {:?}", banner.trim()))?;
        if version < Version::OLDEST {
            bail!("it is {version}, older than {}", Version::OLDEST.major);
        }
        Ok(Self {
            folder: folder.to_owned(),
            version,
            account: account.clone(),
        })
    }
}

/// Finds the server programs that `source` asks for. A download is kept in `cache_dir`, in a
/// folder named after its release; as root, with a `cache_dir` that the server's account can't
/// enter, it is kept under the system's folder for temporary files instead.
///
/// # Errors
/// When there are none; the error lists the places searched, and what to install.
pub async fn find_binaries(source: Source, cache_dir: &Path) -> Result<Binaries> {
    let account = blocking(Account::for_server).await?;
    let installed = {
        let account = account.clone();
        async || blocking(move || Ok(Installed::here().newest_usable(&account))).await
    };
    match source {
        Source::Download => download::fetch(cache_dir, &account).await,
        Source::System => installed().await?.map_err(|seen| {
            anyhow!("{seen}\n{INSTALL}\nor set TICKETING_POSTGRES=download to fetch a copy.")
        }),
        Source::Auto => match installed().await? {
            Ok(binaries) => Ok(binaries),
            Err(seen) => {
                debug!(%seen, "falling back to a download");
                download::fetch(cache_dir, &account).await.map_err(|error| {
                    anyhow!("{seen}\nDownloading a copy failed too: {error:#}\n{INSTALL}")
                })
            }
        },
    }
}

/// Where to look: `PATH`, and the installers' folders below `root`.
struct Installed {
    path: Option<OsString>,
    root: PathBuf,
}

impl Installed {
    fn here() -> Self {
        Self {
            path: env::var_os("PATH"),
            root: PathBuf::from("/"),
        }
    }

    /// The first usable programs, or a text that lists what was found. What the developer put
    /// in `PATH` comes first, then each installer's newest.
    fn newest_usable(&self, account: &Account) -> Result<Binaries, String> {
        let mut refused = String::new();
        for folder in self.folders() {
            match Binaries::inspect(&folder, account) {
                Ok(binaries) => return Ok(binaries),
                Err(error) => {
                    refused.push_str(&format!("\n  {}: {error:#}", folder.display()));
                }
            }
        }
        if refused.is_empty() {
            Err("No PostgreSQL server programs were found on this machine.".to_owned())
        } else {
            Err(format!(
                "No usable PostgreSQL server programs were found on this machine:{refused}"
            ))
        }
    }

    fn folders(&self) -> Vec<PathBuf> {
        let in_path = self.path.iter().flat_map(env::split_paths);
        let numbered = NUMBERED
            .iter()
            .flat_map(|(parent, prefix)| numbered(&self.root.join(parent), prefix));
        let plain = self.root.join("usr/bin");
        let mut folders = Vec::new();
        for folder in in_path.chain(numbered).chain([plain]) {
            // A link in PATH may point to a program whose siblings were not linked.
            let Ok(program) = folder.join("postgres").canonicalize() else {
                continue;
            };
            let Some(resolved) = program.parent() else {
                continue;
            };
            if !folders.iter().any(|known| known == resolved) {
                folders.push(resolved.to_owned());
            }
        }
        folders
    }
}

/// `parent/<prefix><number>/bin` for each number there is, the highest first.
fn numbered(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix))
            .and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        if let Some(number) = number {
            found.push((Reverse(number), entry.path().join("bin")));
        }
    }
    found.sort();
    found.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use tempfile::TempDir;

    /// A fake machine that any account can read.
    fn machine() -> Result<TempDir> {
        let root = tempfile::tempdir()?;
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755))?;
        Ok(root)
    }

    fn install(folder: &Path, version: &str) -> Result<()> {
        fs::create_dir_all(folder)?;
        for program in PROGRAMS {
            let path = folder.join(program);
            fs::write(
                &path,
                format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n"),
            )?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    fn look(root: &Path, path: Option<&Path>) -> Result<Result<Binaries, String>> {
        let installed = Installed {
            path: path.map(|path| path.as_os_str().to_owned()),
            root: root.to_owned(),
        };
        Ok(installed.newest_usable(&Account::for_server()?))
    }

    #[test]
    fn the_newest_release_wins() -> Result<()> {
        let root = machine()?;
        install(&root.path().join("usr/lib/postgresql/9.6/bin"), "9.6.1")?;
        install(&root.path().join("usr/lib/postgresql/15/bin"), "15.13")?;
        install(&root.path().join("usr/lib/postgresql/17/bin"), "17.6")?;
        let found = look(root.path(), None)?.map(|binaries| binaries.version().to_string());
        assert_eq!(found, Ok("17.6".to_owned()));
        Ok(())
    }

    #[test]
    fn a_link_in_path_is_followed_to_its_siblings() -> Result<()> {
        let root = machine()?;
        let real = root.path().join("somewhere/bin");
        install(&real, "16.2")?;
        let linked = root.path().join("links");
        fs::create_dir(&linked)?;
        symlink(real.join("postgres"), linked.join("postgres"))?;
        let found = look(root.path(), Some(&linked))?.map(|binaries| binaries.folder().to_owned());
        assert_eq!(found, Ok(real.canonicalize()?));
        Ok(())
    }

    #[test]
    fn what_cannot_be_used_is_passed_over_and_named() -> Result<()> {
        let root = machine()?;
        install(&root.path().join("usr/pgsql-14/bin"), "14.9")?;
        let partial = root.path().join("usr/local/opt/postgresql@17/bin");
        install(&partial, "17.1")?;
        fs::remove_file(partial.join("initdb"))?;
        let seen = look(root.path(), None)?
            .map(|_| ())
            .err()
            .unwrap_or_default();
        assert!(seen.contains("it is 14.9, older than 15"), "{seen}");
        assert!(seen.contains("there is no `initdb`"), "{seen}");
        Ok(())
    }

    #[test]
    fn programs_out_of_the_accounts_reach_are_passed_over() -> Result<()> {
        let account = Account::for_server()?;
        if !account.stepped_down() {
            return Ok(()); // Only root has the question.
        }
        let root = machine()?;
        let home = root.path().join("home");
        install(&home.join("usr/lib/postgresql/17/bin"), "17.6")?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
        let seen = look(&home, None)?.map(|_| ()).err().unwrap_or_default();
        assert!(seen.contains("cannot be run as"), "{seen}");
        Ok(())
    }
}
