//! The log id: the id of a call in the log, the caller's, or one that is made on first
//! use.

use std::cell::OnceCell;

use http::HeaderMap;
use tokio::task::futures::TaskLocalFuture;
use uuid::Uuid;

tokio::task_local! {
    /// Not made before it is needed: most calls succeed, and need none.
    static LOG_ID: OnceCell<String>;
}

/// The header in which a caller may send its own log id, as proxies do. It is not the
/// `request_id` of a mutation.
const HEADER: &str = "x-request-id";
/// The most characters of a caller's own log id.
const CHARS_MAX: usize = 64;

/// The id of the call that the present task serves; empty outside of one.
#[must_use]
pub fn current() -> String {
    let make = || Uuid::now_v7().to_string();
    LOG_ID
        .try_with(|id| id.get_or_init(make).clone())
        .unwrap_or_default()
}

/// Makes `work` part of the call that the present task serves, wherever it runs: work after the
/// call's first answer, such as a stream, keeps its id.
pub fn carry<F: Future>(work: F) -> impl Future<Output = F::Output> {
    scope(Some(current()), work)
}

/// Makes `work` a call with this id, or with a new one.
pub(crate) fn scope<F: Future>(
    id: Option<String>,
    work: F,
) -> TaskLocalFuture<OnceCell<String>, F> {
    LOG_ID.scope(cell(id), work)
}

/// The same for synchronous work.
pub(crate) fn scope_of<T>(id: Option<String>, work: impl FnOnce() -> T) -> T {
    LOG_ID.sync_scope(cell(id), work)
}

fn cell(id: Option<String>) -> OnceCell<String> {
    id.map_or_else(OnceCell::new, OnceCell::from)
}

/// The caller's own id, if it may stand in a log.
pub(crate) fn of_caller(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(HEADER)?.to_str().ok()?;
    let fits =
        (1..=CHARS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_log_id_that_could_break_a_log_is_not_taken() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_static(text));
            of_caller(&headers)
        };
        assert_eq!(read("abc-1"), Some("abc-1".to_owned()));
        assert_eq!(read("two words"), None);
        assert_eq!(read(""), None);
    }
}
