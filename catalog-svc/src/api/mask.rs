//! The update mask: which fields of a show may be changed.

use service_kit::FieldViolations;

/// A field that UpdateShow may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Name,
    ShowType,
    StartTime,
    EndTime,
    Venue,
    TimeZone,
    SalesOpenTime,
    SalesCloseTime,
    HoldDuration,
    SeatsPerBookingMax,
    PlacesPerCustomerMax,
    OrphanRule,
}

/// The other fields of a show: given by the server, or changed by other verbs.
const OUTPUT_ONLY: [&str; 14] = [
    "show_id",
    "state",
    "layout_id",
    "layout",
    "price_tiers",
    "seat_count",
    "revision",
    "etag",
    "create_time",
    "update_time",
    "cancel_time",
    "proposal",
    "place_count",
    "organiser",
];

/// The most bytes of an unknown path that an error repeats.
const QUOTED_BYTES_MAX: usize = 40;

/// The fields that the paths name, or a violation for each unknown path.
pub(super) fn parse(violations: &mut FieldViolations, paths: &[String]) -> Vec<Field> {
    if paths.is_empty() {
        violations.add("update_mask", "must name at least one field");
    }
    paths
        .iter()
        .filter_map(|path| field(violations, path))
        .collect()
}

fn field(violations: &mut FieldViolations, path: &str) -> Option<Field> {
    let field = match path {
        "name" => Field::Name,
        "show_type" => Field::ShowType,
        "start_time" => Field::StartTime,
        "end_time" => Field::EndTime,
        "venue" => Field::Venue,
        "time_zone" => Field::TimeZone,
        "sales_open_time" => Field::SalesOpenTime,
        "sales_close_time" => Field::SalesCloseTime,
        "hold_duration" => Field::HoldDuration,
        "seats_per_booking_max" => Field::SeatsPerBookingMax,
        "places_per_customer_max" => Field::PlacesPerCustomerMax,
        "orphan_rule" => Field::OrphanRule,
        other => {
            let root = other.split('.').next().unwrap_or(other);
            let why = if OUTPUT_ONLY.contains(&root) {
                "cannot be changed by UpdateShow"
            } else {
                "is not a field of a show"
            };
            let quoted = other.floor_char_boundary(QUOTED_BYTES_MAX);
            violations.add("update_mask", format!("{:?} {why}", &other[..quoted]));
            return None;
        }
    };
    Some(field)
}
