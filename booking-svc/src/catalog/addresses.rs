//! The addresses of the catalog's instances: every address of every name, resolved again each time.

use std::collections::HashSet;
use std::future::Future;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use service_kit::args::ServiceUrl;
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::follow_error::FollowError;

/// The most URLs of the command line.
const URLS_MAX: usize = 8;
/// The most addresses that are tried in a round; a name may have more.
const ADDRESSES_MAX: usize = 16;
/// How long a name may take to be resolved.
const LOOKUP_MAX: Duration = Duration::from_secs(1);
/// How long an instance may take from the connection to its first answers.
const ATTEMPT_MAX: Duration = Duration::from_secs(2);
/// How long after one address the next is tried as well: a hanging instance costs this, not
/// a whole attempt.
const NEXT_AFTER: Duration = Duration::from_millis(200);

/// The catalog's addresses from the command line: one or more URLs, with commas between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogUrls(Vec<ServiceUrl>);

impl FromStr for CatalogUrls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let urls = text
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if urls.len() > URLS_MAX {
            return Err(format!("must be at most {URLS_MAX} URLs"));
        }
        Ok(Self(urls))
    }
}

impl From<ServiceUrl> for CatalogUrls {
    fn from(url: ServiceUrl) -> Self {
        Self(vec![url])
    }
}

impl CatalogUrls {
    /// Whether any of them is reached by TLS.
    #[must_use]
    pub fn any_by_tls(&self) -> bool {
        self.0.iter().any(ServiceUrl::is_tls)
    }

    /// Every address, none twice, those behind `last` first: it is the one that was lost.
    pub(crate) async fn addresses(
        &self,
        last: Option<SocketAddr>,
    ) -> Result<Vec<Address>, FollowError> {
        let mut known = HashSet::new();
        let mut addresses = Vec::new();
        let mut failed = None;
        for url in &self.0 {
            let looking = lookup_host((url.host(), url.port()));
            let why = match timeout(LOOKUP_MAX, looking).await {
                Ok(Ok(found)) => {
                    let found = found.filter(|address| known.insert(*address));
                    addresses.extend(found.map(|address| Address {
                        url: url.clone(),
                        address,
                    }));
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {LOOKUP_MAX:?}"),
            };
            failed = Some(FollowError::NoAddress(url.clone(), why));
        }
        addresses.truncate(ADDRESSES_MAX);
        let place = addresses.iter().position(|it| Some(it.address) == last);
        let behind = place.map_or(0, |place| place + 1);
        addresses.rotate_left(behind);
        match failed {
            Some(error) if addresses.is_empty() => Err(error),
            _ => Ok(addresses),
        }
    }
}

/// Tries the addresses in turn, each a little after the one before, until one of them answers.
pub(crate) async fn first_of<T, F>(
    addresses: Vec<Address>,
    attempt: impl Fn(Address) -> F,
) -> Result<T, FollowError>
where
    F: Future<Output = Result<T, FollowError>>,
{
    let mut attempts = FuturesUnordered::new();
    let mut left = addresses.into_iter();
    let mut failed: Option<FollowError> = None;
    loop {
        let next = left.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            let trying = attempt(address.clone());
            attempts.push(async move {
                let tried = timeout(ATTEMPT_MAX, trying).await;
                tried.unwrap_or(Err(FollowError::NoAnswer(address)))
            });
        }
        tokio::select! {
            biased;
            ended = attempts.next() => match ended {
                Some(Ok(found)) => return Ok(found),
                Some(Err(error)) => {
                    tracing::debug!(%error, "a catalog cannot be followed");
                    failed = Some(match failed {
                        Some(worse) if worse.is_refusal() => worse,
                        _ => error,
                    });
                }
                None => return Err(failed.unwrap_or(FollowError::Ended)),
            },
            () = sleep(NEXT_AFTER), if !is_last => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_separated_by_commas_and_bounded() {
        let urls: CatalogUrls = "http://a:1,http://b:2".parse().expect("two URLs");
        assert_eq!(urls.0.len(), 2);
        assert!(!urls.any_by_tls());
        let mixed: CatalogUrls = "http://a:1,https://b:2".parse().expect("two URLs");
        assert!(mixed.any_by_tls());
        let many = ["http://a:1"; URLS_MAX + 1].join(",");
        for bad in ["", "http://a:1,", "http://a:1,ftp://b:2", &many] {
            let error = bad.parse::<CatalogUrls>().expect_err(bad);
            assert!(error.starts_with("must "), "{bad}: {error}");
        }
    }

    #[tokio::test]
    async fn the_lost_address_is_tried_last() {
        let urls: CatalogUrls = "http://127.0.0.1:1,http://127.0.0.1:2,http://127.0.0.1:2"
            .parse()
            .expect("URLs");
        let ports = async |last: Option<u16>| {
            let last = last.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
            let found = urls.addresses(last).await.expect("addresses");
            found.iter().map(|it| it.address.port()).collect::<Vec<_>>()
        };
        assert_eq!(ports(None).await, [1, 2]);
        assert_eq!(ports(Some(1)).await, [2, 1]);
        assert_eq!(ports(Some(2)).await, [1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_does_not_hold_up_the_next() {
        let url: ServiceUrl = "http://catalog:1".parse().expect("a URL");
        let addresses = |count: u16| {
            let of = |port| Address {
                url: url.clone(),
                address: SocketAddr::from(([127, 0, 0, 1], port)),
            };
            (1..=count).map(of).collect::<Vec<_>>()
        };
        let began = tokio::time::Instant::now();
        let found = first_of(addresses(3), async |it: Address| match it.address.port() {
            1 => std::future::pending().await,
            2 => Err(FollowError::Ended),
            port => Ok(port),
        });
        assert!(matches!(found.await, Ok(3)));
        assert!(began.elapsed() < 2 * NEXT_AFTER, "{:?}", began.elapsed());
        let hangs = first_of(addresses(2), async |_| -> Result<(), FollowError> {
            std::future::pending().await
        });
        assert!(matches!(hangs.await, Err(FollowError::NoAnswer(_))));
        let none = first_of(Vec::new(), async |_| Ok(()));
        assert!(none.await.is_err());
    }
}
