//! Pages of lists: the size a caller gets, and opaque tokens bound to the other arguments.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::errors::v1::ErrorReason;

use crate::api_error::ApiError;

/// The default page size.
pub const PAGE_SIZE_DEFAULT: u16 = 50;
/// The largest page; larger requests get this many.
pub const PAGE_SIZE_MAX: u16 = 1_000;

/// The most bytes of a page's items: clients accept messages of 4 MiB by default. A list with larger
/// items ends its page earlier. Bookings can be that large, with 120 KiB each; a thousand shows without
/// their layouts take 2 MiB, a thousand seats 1.5 MiB, and other items less.
pub const PAGE_BYTES_MAX: usize = 3_584 * 1024;

/// The page size to serve for a request's `page_size`.
///
/// # Errors
///
/// INVALID_ARGUMENT for a negative one.
pub fn page_size(asked: i32) -> Result<u16, ApiError> {
    match u16::try_from(asked) {
        Ok(0) => Ok(PAGE_SIZE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_SIZE_MAX)),
        Err(_) if asked > 0 => Ok(PAGE_SIZE_MAX),
        Err(_) => Err(ApiError::invalid_field("page_size", "must not be negative")),
    }
}

/// The token of the page after `cursor`, for the query with this fingerprint.
#[must_use]
pub fn page_token(query: i64, cursor: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{query:x}.{cursor}"))
}

/// The cursor in a request's `page_token`, parsed; none for the first page.
///
/// # Errors
///
/// INVALID_ARGUMENT for a token that was not issued for the query with this fingerprint.
pub fn cursor<T>(
    query: i64,
    token: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    if token.is_empty() {
        return Ok(None);
    }
    let decoded = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|text| String::from_utf8(text).ok());
    decoded
        .as_deref()
        .and_then(|text| text.split_once('.'))
        .filter(|(fingerprint, _)| *fingerprint == format!("{query:x}"))
        .and_then(|(_, cursor)| parse(cursor))
        .map(Some)
        .ok_or_else(|| {
            let message = "was not issued for these arguments; start again without it";
            ApiError::bad_request(
                ErrorReason::InvalidPageToken,
                vec![("page_token".to_owned(), message.to_owned())],
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_default_coerce_and_refuse() {
        assert_eq!(page_size(0), Ok(50));
        assert_eq!(page_size(7), Ok(7));
        assert_eq!(page_size(1_001), Ok(1_000));
        assert_eq!(page_size(i32::MAX), Ok(1_000));
        assert!(page_size(-1).is_err());
    }

    #[test]
    fn a_token_serves_its_own_query_only() {
        let parse = |text: &str| text.parse::<u32>().ok();
        let token = page_token(-5, "17");
        assert_eq!(cursor(-5, &token, parse), Ok(Some(17)));
        assert_eq!(cursor(-5, "", parse), Ok(None));
        assert!(cursor(6, &token, parse).is_err());
        assert!(cursor(-5, "garbage!", parse).is_err());
        assert!(cursor(-5, &page_token(-5, "x"), parse).is_err());
    }
}
