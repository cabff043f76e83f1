//! Keeps the issuer's keys: reads them at the start, looks for newer ones from time to time, and at
//! once when a token names a key that is not known.
//!
//! Invariant: there is one look at a time, whoever asks for it, and the last good keys stay until
//! there are newer ones. Nothing that callers send makes the process ask the issuer more often than
//! once in [`Pace::least`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::args::AuthArgs;
use super::fetch::{FetchError, Fetcher, KeysUrl};
use super::keys::{KeySet, Unusable};
use crate::background::{StepError, Trouble};

/// How often keys are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// From a look to the next.
    pub(super) usual: Duration,
    /// The shortest time from one to the next, if a token names an unknown key.
    pub(super) least: Duration,
    /// From a look in vain to the next, while there are keys.
    pub(super) retry: Duration,
    /// The same while there are none, and nobody with a token can call anything.
    pub(super) first_retry: Duration,
}

impl Pace {
    /// For an issuer's server, which others ask too.
    pub(super) const URL: Self = Self {
        usual: Duration::from_secs(10 * 60),
        least: Duration::from_secs(30),
        retry: Duration::from_secs(30),
        first_retry: Duration::from_secs(2),
    };
    /// For a file.
    const FILE: Self = Self {
        usual: Duration::from_secs(5),
        least: Duration::from_secs(1),
        retry: Duration::from_secs(5),
        first_retry: Duration::from_secs(5),
    };

    /// As often for every reason.
    #[cfg(test)]
    pub(super) fn all(interval: Duration) -> Self {
        Self {
            usual: interval,
            least: interval,
            retry: interval,
            first_retry: interval,
        }
    }
}

/// The largest file, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// The longest that a call waits for a look. A look with discovery can take a little longer; the
/// call is then answered as if there were no newer keys.
const WAIT_MAX: Duration = Duration::from_secs(6);

/// Where keys come from.
#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Url(KeysUrl, Fetcher),
    /// The issuer, whose discovery document says where they are.
    Discovery {
        issuer: String,
        document: KeysUrl,
        fetcher: Fetcher,
    },
}

/// What is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The newest keys; none if there were none yet.
    pub(super) keys: Option<Arc<KeySet>>,
    /// How often other keys came. What was decided by the keys of another number is to be decided
    /// anew.
    pub(super) generation: u64,
    /// How many looks have ended.
    pub(super) looks: u64,
    /// When the last look began.
    began_at: Option<Instant>,
    is_looking: bool,
}

/// Keeps the keys.
#[derive(Debug)]
pub(super) struct Keeper {
    source: Source,
    pace: Pace,
    known: watch::Sender<Known>,
    wanted: Notify,
}

#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("--auth-keys {}: {why}", .path.display())]
    File { path: PathBuf, why: String },
    #[error("{url}: {why}")]
    Document { url: KeysUrl, why: String },
}

impl StepError for LookError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Fetch(_))
    }
}

/// What of OpenID Connect Discovery concerns us.
#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

impl Keeper {
    /// One for the source that the flags name, with its own pace unless another is said. Keys in a
    /// file are read now.
    ///
    /// # Errors
    ///
    /// If the file has no keys that can be used, or there is no URL to ask.
    pub(super) fn new(args: &AuthArgs, issuer: &str, pace: Option<Pace>) -> Result<Self, String> {
        let fetcher = |url: &KeysUrl| Fetcher::new(url, args.ca.as_deref());
        let source = match (&args.keys, &args.jwks_url) {
            (Some(path), _) => Source::File(path.clone()),
            (None, Some(url)) => Source::Url(url.clone(), fetcher(url)?),
            (None, None) => {
                let document = document_of(issuer)?;
                let fetcher = fetcher(&document)?;
                Source::Discovery {
                    issuer: issuer.to_owned(),
                    document,
                    fetcher,
                }
            }
        };
        let mut known = Known::default();
        if let Source::File(path) = &source {
            known = known.after(Ok(read_keys(path).map_err(|error| error.to_string())?));
        }
        let own = match source {
            Source::File(_) => Pace::FILE,
            Source::Url(..) | Source::Discovery { .. } => Pace::URL,
        };
        Ok(Self {
            source,
            pace: pace.unwrap_or(own),
            known: watch::Sender::new(known),
            wanted: Notify::new(),
        })
    }

    /// What is known now.
    pub(super) fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// How often other keys came.
    pub(super) fn generation(&self) -> u64 {
        self.known.borrow().generation
    }

    /// What is known after a further look than those that `known` has seen, if one is due or under
    /// way; else nothing.
    pub(super) async fn newer(&self, seen: &Known, deadline: Instant) -> Option<Known> {
        let mut known = self.known.subscribe();
        {
            let now = known.borrow();
            if now.looks == seen.looks && !now.is_looking {
                if !self.is_due(&now) {
                    return None;
                }
                self.wanted.notify_one();
            }
        }
        let until = deadline.min(Instant::now() + WAIT_MAX);
        let looked = timeout_at(until, known.wait_for(|now| now.looks > seen.looks)).await;
        Some(looked.ok()?.ok()?.clone())
    }

    /// Whether a look that somebody wants may begin.
    fn is_due(&self, now: &Known) -> bool {
        let began = now.began_at;
        began.is_none_or(|began| began.elapsed() >= self.pace.least)
    }

    /// Looks for newer keys until `stop`.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut trouble = Trouble::new("token keys");
        loop {
            self.known.send_modify(|known| {
                known.is_looking = true;
                known.began_at = Some(Instant::now());
            });
            let Some(found) = stop.run_until_cancelled(self.look()).await else {
                return;
            };
            match &found {
                Ok(_) => trouble.recovered(),
                // How long to wait is said below: an issuer is not ours to hurry.
                Err(error) => {
                    let _ = trouble.failed(error);
                }
            }
            let is_good = found.is_ok();
            self.known.send_modify(|known| {
                *known = std::mem::take(known).after(found.map_err(|error| error.to_string()));
            });
            if stop.run_until_cancelled(self.rest(is_good)).await.is_none() {
                return;
            }
        }
    }

    /// Waits until the next look: for its time, or until somebody wants it and it is due.
    async fn rest(&self, is_good: bool) {
        let known = self.known();
        let rest = match (is_good, &known.keys) {
            (true, _) => self.pace.usual,
            (false, Some(_)) => self.pace.retry,
            (false, None) => self.pace.first_retry,
        };
        let wanted = async {
            // More than one may have asked for the look that has just ended.
            loop {
                self.wanted.notified().await;
                if self.is_due(&known) {
                    return;
                }
            }
        };
        tokio::select! {
            () = sleep_until(Instant::now() + rest) => {}
            () = wanted => {}
        }
    }

    async fn look(&self) -> Result<KeySet, LookError> {
        let (url, fetcher) = match &self.source {
            Source::File(path) => {
                let path = path.clone();
                let reading = tokio::task::spawn_blocking(move || read_keys(&path));
                return match reading.await {
                    Ok(read) => read,
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                };
            }
            Source::Url(url, fetcher) => (url.clone(), fetcher),
            Source::Discovery {
                issuer,
                document,
                fetcher,
            } => {
                let found = fetcher.get(document).await?;
                let url = discovered(issuer, &found).map_err(|why| LookError::Document {
                    url: document.clone(),
                    why,
                })?;
                (url, fetcher)
            }
        };
        let found = fetcher.get(&url).await?;
        KeySet::read(&found, Unusable::Skip).map_err(|why| LookError::Document { url, why })
    }
}

impl Known {
    /// What is known once a look has found this.
    fn after(self, found: Result<KeySet, String>) -> Self {
        let is_new = |keys: &KeySet| self.keys.as_ref().is_none_or(|old| !old.is_same(keys));
        let (keys, generation) = match found {
            Ok(keys) if is_new(&keys) => (Some(Arc::new(keys)), self.generation + 1),
            _ => (self.keys, self.generation),
        };
        Self {
            keys,
            generation,
            looks: self.looks + 1,
            is_looking: false,
            began_at: self.began_at,
        }
    }
}

fn document_of(issuer: &str) -> Result<KeysUrl, String> {
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let url = format!("{base}/.well-known/openid-configuration").parse();
    url.map_err(|why: &str| {
        format!(
            "--auth-issuer is no URL to ask for keys ({why}): give --auth-jwks-url or --auth-keys"
        )
    })
}

fn discovered(issuer: &str, document: &[u8]) -> Result<KeysUrl, String> {
    let document: Discovered = serde_json::from_slice(document)
        .map_err(|_| "it is no discovery document of OpenID Connect".to_owned())?;
    if document.issuer != issuer {
        return Err("its issuer is not --auth-issuer, to the letter".to_owned());
    }
    let url = document.jwks_uri.parse();
    url.map_err(|why: &str| format!("its jwks_uri {why}"))
}

fn read_keys(path: &std::path::Path) -> Result<KeySet, LookError> {
    let read = || {
        let size = std::fs::metadata(path)
            .map_err(|error| error.to_string())?
            .len();
        if size > FILE_BYTES_MAX {
            return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
        }
        let text = std::fs::read(path).map_err(|error| error.to_string())?;
        KeySet::read(&text, Unusable::Refuse)
    };
    read().map_err(|why| LookError::File {
        path: path.to_owned(),
        why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuers_own_document_says_where_its_keys_are() {
        for issuer in ["https://id/realms/a", "https://id/realms/a/"] {
            let url = document_of(issuer).expect("a URL").to_string();
            assert_eq!(url, "https://id/realms/a/.well-known/openid-configuration");
        }
        let error = document_of("our people").expect_err("no URL");
        assert!(error.contains("--auth-keys"), "{error}");
        let says = |issuer: &str, keys: &str| {
            let text = format!("{{\"issuer\":\"{issuer}\",\"jwks_uri\":\"{keys}\"}}");
            discovered("https://id", text.as_bytes())
        };
        assert!(says("https://id", "https://id/keys").is_ok());
        assert!(says("https://id/", "https://id/keys").is_err());
        assert!(says("https://id", "http://id/keys").is_err());
    }
}
