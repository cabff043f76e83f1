//! Where a cluster's folder lies, and whether it may be used.
//!
//! Nothing here deletes a folder that is neither empty nor a PostgreSQL cluster.

use crate::{
    account::Account,
    pidfile::{self, Occupant, PidFile, Status},
    version::Version,
};
use anyhow::{Context, Result, anyhow, bail};
use std::{
    env,
    fs::{self, DirBuilder, File, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf, absolute},
    thread,
    time::{Duration, Instant},
};
use tracing::{info, warn};

/// How long a server that is already on its way out may take to leave a durable folder.
const LEAVE_MAX: Duration = Duration::from_secs(15);
/// How long to wait for a running server to shut down: its owner may have
/// ended the instant before we came.
const NOTICE_MAX: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(50);

/// Finds where the folder asked for can lie: there, or, when the server's account can't get
/// there, at a place derived from that path under the folder for temporary files.
pub(crate) fn locate(wanted: &Path, account: &Account) -> Result<PathBuf> {
    let wanted = absolute(wanted).context("find the current folder")?;
    let parent = parent(&wanted)?;
    fs::create_dir_all(parent).with_context(|| format!("make the folder {}", parent.display()))?;
    if account.reaches(parent)? {
        return Ok(wanted);
    }
    let name = file_name(&wanted)?;
    let base = reachable_temp(account)?;
    let instead = base.join(format!("ticketing-pg-{name}-{:016x}", fingerprint(&wanted)));
    warn!(
        wanted = %wanted.display(),
        instead = %instead.display(),
        "the account {} cannot enter {}: the cluster's folder is elsewhere, among files that \
         the system may remove",
        account.name(),
        parent.display(),
    );
    Ok(instead)
}

/// Where downloads can be kept: in the folder asked for, or in one of ours under the folder
/// for temporary files when the server's account could not run what lies there.
pub(crate) fn locate_cache(wanted: &Path, account: &Account) -> Result<PathBuf> {
    let wanted = absolute(wanted).context("find the current folder")?;
    fs::create_dir_all(&wanted).with_context(|| format!("make the folder {}", wanted.display()))?;
    if account.reaches(&wanted)? {
        return Ok(wanted);
    }
    let instead = reachable_temp(account)?.join("ticketing-pg-download");
    match DirBuilder::new().mode(0o755).create(&instead) {
        Ok(()) => fs::set_permissions(&instead, Permissions::from_mode(0o755))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Anyone can make a folder of that name there first, with programs of their own.
            if !Account::ours(&instead)? {
                bail!(
                    "{} belongs to somebody else: remove it, or set TMPDIR to another folder",
                    instead.display()
                );
            }
        }
        Err(error) => {
            return Err(error).with_context(|| format!("make the folder {}", instead.display()));
        }
    }
    info!(
        wanted = %wanted.display(),
        instead = %instead.display(),
        "the account {} cannot enter the cache folder: the download is kept elsewhere",
        account.name(),
    );
    Ok(instead)
}

fn reachable_temp(account: &Account) -> Result<PathBuf> {
    for base in [env::temp_dir(), PathBuf::from("/tmp")] {
        if account.reaches(&base)? {
            return Ok(base);
        }
    }
    bail!(
        "the account {} can enter neither {} nor /tmp: set TMPDIR to a folder that it can enter",
        account.name(),
        env::temp_dir().display()
    )
}

/// Makes the folder of an ephemeral cluster. It will be deleted, so it must be new or empty.
pub(crate) fn make_ephemeral(folder: &Path, account: &Account) -> Result<()> {
    if fs::symlink_metadata(folder).is_ok() && !is_empty_folder(folder)? {
        bail!(
            "{} is not empty, and an ephemeral cluster's folder is deleted at its end: name one \
             that does not exist yet",
            folder.display()
        );
    }
    make_private(folder, account)
}

fn make_private(folder: &Path, account: &Account) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => account.give(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !account.owns(folder)? && !Account::ours(folder)? {
                return Err(foreign(folder, account));
            }
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            account.give(folder)
        }
        Err(error) => Err(error).with_context(|| format!("make the folder {}", folder.display())),
    }
}

/// A durable folder, ready to start a server in.
pub(crate) struct Durable {
    /// Held until the server runs, so that two starts in one folder come one after the other.
    _turn: File,
}

/// Makes `folder` a cluster of `version`, or checks that it is one. `initialise` is called with
/// the folder to make a new cluster in; that one takes its place only once it is whole, since
/// nothing distinguishes a half-made cluster from a good one.
pub(crate) fn prepare_durable(
    folder: &Path,
    account: &Account,
    version: Version,
    fresh: bool,
    initialise: impl FnOnce(&Path) -> Result<()>,
) -> Result<Durable> {
    let name = file_name(folder)?;
    let beside = |suffix: &str| folder.with_file_name(format!(".{name}.{suffix}"));
    let turn = take_turn(&beside("lock"))?;
    if is_cluster(folder)? {
        wait_until_left(folder)?;
        if !fresh {
            check_reusable(folder, account, version)?;
            return Ok(Durable { _turn: turn });
        }
        info!(folder = %folder.display(), "removing the cluster, a fresh one was asked for");
        remove(folder)?;
    } else if folder.exists() && !is_empty_folder(folder)? {
        bail!(
            "{} is neither empty nor a PostgreSQL cluster: name another folder",
            folder.display()
        );
    }
    let staging = beside("new");
    if staging.exists() {
        remove(&staging)?;
    }
    make_private(&staging, account)?;
    initialise(&staging)?;
    fs::rename(&staging, folder)
        .with_context(|| format!("rename {} to {}", staging.display(), folder.display()))?;
    Ok(Durable { _turn: turn })
}

/// Waits for the lock that the file at `path` represents; dropping the value releases it.
pub(crate) fn take_turn(path: &Path) -> Result<File> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("open the lock {}", path.display()))?;
    file.lock()
        .with_context(|| format!("take the lock {}", path.display()))?;
    Ok(file)
}

fn check_reusable(folder: &Path, account: &Account, version: Version) -> Result<()> {
    let path = folder.join("PG_VERSION");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("read {}: does the folder belong to you?", path.display()))?;
    let found = text.trim();
    if found != version.major.to_string() {
        bail!(
            "{} is a cluster of PostgreSQL {found}, and the programs found are {version}: use \
             programs of {found}, or --fresh to delete it and make a new one",
            folder.display(),
        );
    }
    if !account.owns(folder)? {
        return Err(foreign(folder, account));
    }
    remove_recycled_pidfile(folder)
}

fn foreign(folder: &Path, account: &Account) -> anyhow::Error {
    anyhow!(
        "{} does not belong to the account the server runs under (user id {}): start this as \
         the folder's owner, or name another folder",
        folder.display(),
        account.uid()
    )
}

/// Sees that no server runs in `folder`; one that is leaving is waited for.
fn wait_until_left(folder: &Path) -> Result<()> {
    let start = Instant::now();
    loop {
        let Some(file) = PidFile::read(folder)? else {
            return Ok(());
        };
        if pidfile::occupant(file.pid) != Occupant::Postgres {
            return Ok(());
        }
        let patience = match file.status {
            Status::Stopping => LEAVE_MAX,
            Status::Ready | Status::Other => NOTICE_MAX,
        };
        if start.elapsed() >= patience {
            let port = file
                .port
                .map_or("unknown".to_owned(), |port| port.to_string());
            bail!(
                "another PostgreSQL server runs in {} (process {}, port {port}): stop it first \
                 (kill -INT {}), or use it through DATABASE_URL",
                folder.display(),
                file.pid,
                file.pid,
            );
        }
        thread::sleep(POLL);
    }
}

/// After a crash the file stays. PostgreSQL sees through it unless the process id is in use
/// again by the same account, as is common in containers; that case is settled here.
fn remove_recycled_pidfile(folder: &Path) -> Result<()> {
    if let Some(file) = PidFile::read(folder)?
        && pidfile::occupant(file.pid) == Occupant::Another
    {
        info!(pid = file.pid, "removing a postmaster.pid left by a crash");
        fs::remove_file(folder.join(pidfile::NAME))?;
    }
    Ok(())
}

fn is_cluster(folder: &Path) -> Result<bool> {
    let path = folder.join("PG_VERSION");
    path.try_exists()
        .with_context(|| format!("inspect {}: does the folder belong to you?", path.display()))
}

fn is_empty_folder(folder: &Path) -> Result<bool> {
    let mut entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    Ok(entries.next().is_none())
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))
}

fn parent(path: &Path) -> Result<&Path> {
    path.parent()
        .with_context(|| format!("{} cannot be a cluster's folder", path.display()))
}

fn file_name(path: &Path) -> Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.with_context(|| format!("{} has no plain name: name another folder", path.display()))
}

/// FNV-1a: the same for the same path in every release of everything, as a stable name needs.
fn fingerprint(path: &Path) -> u64 {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_published_fnv_1a() {
        assert_eq!(fingerprint(Path::new("")), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(Path::new("foobar")), 0x8594_4171_f739_67e8);
    }
}
