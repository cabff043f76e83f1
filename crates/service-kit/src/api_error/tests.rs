use proptest::prelude::*;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;

fn subjects(status: &Status) -> Vec<String> {
    let failure = status.get_details_precondition_failure();
    let violations = failure.map(|failure| failure.violations);
    let subjects = violations.into_iter().flatten().map(|v| v.subject);
    subjects.collect()
}

fn metadata(status: &Status, key: &str) -> Option<String> {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    info.metadata.get(key).cloned()
}

/// The bytes that a proxy must buffer: the headers of an error.
fn header_bytes(status: &Status) -> usize {
    let response = status.clone().into_http::<()>();
    let headers = response.headers().iter();
    headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum()
}

fn taken(labels: &[String]) -> ApiError {
    let subjects = labels
        .iter()
        .map(|label| (label.clone(), "is held".to_owned()));
    ApiError::precondition(
        ErrorReason::SeatsUnavailable,
        "SEAT_UNAVAILABLE",
        format!("seats not available: {}", some_of(labels)),
        subjects.collect(),
    )
    .with("show_id", "0b5c1f6e-8a2d-8000-8000-000000000000")
}

#[test]
fn a_status_carries_reason_metadata_and_one_detail() {
    let status = Status::from(taken(&["A-1".to_owned()]));
    let details = status.get_error_details();
    let info = details.error_info().expect("ErrorInfo");
    assert_eq!(
        (&*info.reason, &*info.domain),
        ("SEATS_UNAVAILABLE", DOMAIN)
    );
    assert!(metadata(&status, "show_id").is_some());
    assert_eq!(subjects(&status), ["A-1"]);
    assert_eq!(metadata(&status, "omitted_count"), None);
    assert!(details.retry_info().is_none());
}

#[test]
fn one_error_names_every_bad_field() {
    let mut violations = FieldViolations::default();
    violations.add("name", "must not be empty");
    violations.add("venue", "is too long");
    let status = Status::from(violations.check().expect_err("violations"));
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "name: must not be empty (and 1 more)");
    let fields = status
        .get_details_bad_request()
        .expect("BadRequest")
        .field_violations;
    let fields: Vec<_> = fields.iter().map(|v| &*v.field).collect();
    assert_eq!(fields, ["name", "venue"]);
}

#[test]
fn what_does_not_fit_is_counted_and_the_first_come_first() {
    let label = |script: &str, n: usize| {
        let label = format!("{n:03}-{}", script.repeat(40));
        label.chars().take(40).collect::<String>()
    };
    for (script, least) in [("", 40), ("Parterre", 20), ("一階席前方", 8), ("🎭", 7)] {
        let labels: Vec<_> = (0..100).rev().map(|n| label(script, n)).collect();
        let status = Status::from(taken(&labels));
        assert!(header_bytes(&status) <= 4_096, "{}", header_bytes(&status));
        assert!(status.details().len() <= 2_867);
        let named = subjects(&status);
        assert!(
            (least..100).contains(&named.len()),
            "{script}: {}",
            named.len()
        );
        assert_eq!(named, labels[..named.len()], "in their order");
        assert_eq!(metadata(&status, "total_count").as_deref(), Some("100"));
        let omitted = (100 - named.len()).to_string();
        assert_eq!(metadata(&status, "omitted_count"), Some(omitted));
        assert!(
            status.message().contains(&labels[0]),
            "{}",
            status.message()
        );
        assert!(status.message().contains(" more"), "{}", status.message());
    }
}

#[test]
fn thousands_of_bad_fields_are_counted() {
    let mut violations = FieldViolations::default();
    for n in 0..3_000 {
        violations.add(
            format!("layout.accessible_seats[{n}]"),
            "is not a seat of the layout",
        );
    }
    violations.omit(7);
    let status = Status::from(violations.into_error());
    let named = status.get_details_bad_request().expect("BadRequest");
    let named = named.field_violations.len();
    assert!((25..100).contains(&named), "{named}");
    let omitted = (3_007 - named).to_string();
    assert_eq!(metadata(&status, "omitted_count"), Some(omitted));
    assert_eq!(metadata(&status, "total_count").as_deref(), Some("3007"));
    assert!(
        status.message().ends_with("(and 3006 more)"),
        "{}",
        status.message()
    );
}

#[test]
fn a_list_in_the_metadata_has_whole_items() {
    let ids: Vec<_> = (0..100).map(uuid::Uuid::from_u128).collect();
    let error = ApiError::not_found(ErrorReason::ShowNotFound, "no such shows");
    let status = Status::from(error.clone().with_list("show_id", &ids));
    let listed = metadata(&status, "show_id").expect("ids");
    let listed: Vec<_> = listed
        .split(',')
        .map(|id| id.parse::<uuid::Uuid>().expect("whole"))
        .collect();
    assert_eq!(listed, ids[..listed.len()]);
    assert!((10..100).contains(&listed.len()), "{}", listed.len());
    let omitted = (100 - listed.len()).to_string();
    assert_eq!(metadata(&status, "omitted_count"), Some(omitted));
    let few = Status::from(error.with_list("show_id", &ids[..3]));
    assert_eq!(metadata(&few, "omitted_count"), None);
}

/// A text of up to `chars_max` characters of any script.
fn text(chars_max: usize) -> impl Strategy<Value = String> {
    let parts = (any::<char>(), any::<char>(), 0..=chars_max / 2);
    parts.prop_map(|(one, other, count)| format!("{one}{other}").repeat(count))
}

proptest! {
    #[test]
    fn every_error_fits_a_proxys_buffer(
        message in text(2_000),
        area in text(100),
        list in prop::collection::vec((text(300), text(600)), 0..150),
        kind in "[A-Z_]{1,30}",
        fields in any::<bool>(),
    ) {
        let count = list.len();
        let error = if fields {
            ApiError::bad_request(ErrorReason::InvalidField, list)
        } else {
            ApiError::precondition(ErrorReason::AreaFull, kind, message, list)
        };
        let status = Status::from(error.with("area", area).with("left", u32::MAX));
        prop_assert!(header_bytes(&status) <= 4_096);
        prop_assert!(status.details().len() <= 2_867);
        let bad = status.get_details_bad_request();
        let named = bad.map_or(0, |bad| bad.field_violations.len()) + subjects(&status).len();
        prop_assert!(named > 0 || count == 0);
        let omitted = metadata(&status, "omitted_count").map_or(0, |n| n.parse().expect("a number"));
        prop_assert_eq!(named + omitted, count);
    }

    #[test]
    fn a_quota_and_a_retry_fit_too(message in text(2_000), subject in text(100)) {
        let quota = ApiError::quota(ErrorReason::PaymentsExceeded, subject, message.clone());
        let after = Duration::from_secs(1);
        let retry = ApiError::retry(Code::Aborted, ErrorReason::Contention, message, after);
        for error in [quota, retry] {
            prop_assert!(header_bytes(&Status::from(error)) <= 4_096);
        }
    }
}
