//! The update mask: which fields of a customer may be changed, and to what.

use proto::booking::v1 as pb;
use service_kit::FieldViolations;

use crate::domain::CustomerPatch;

/// The other fields of a customer.
const OUTPUT_ONLY: [&str; 4] = ["customer_id", "create_time", "update_time", "etag"];

/// The most bytes of an unknown path that an error repeats.
const QUOTED_BYTES_MAX: usize = 40;

/// The new values of the fields that the paths name, and a note of each that is wrong.
pub(super) fn patch(
    paths: &[String],
    customer: &pb::Customer,
    violations: &mut FieldViolations,
) -> CustomerPatch {
    let mut patch = CustomerPatch::default();
    if paths.is_empty() {
        violations.add("update_mask", "must name at least one field");
    }
    for path in paths {
        match path.as_str() {
            "email" => patch.email = violations.take("customer.email", customer.email.parse()),
            "display_name" => {
                let name = customer.display_name.parse();
                patch.display_name = violations.take("customer.display_name", name);
            }
            "phone" => patch.phone = violations.take("customer.phone", customer.phone.parse()),
            "external_reference" => {
                let reference = customer.external_reference.parse();
                patch.external_reference =
                    violations.take("customer.external_reference", reference);
            }
            other => {
                let why = if OUTPUT_ONLY.contains(&other) {
                    "cannot be changed by UpdateCustomer"
                } else {
                    "is not a field of a customer"
                };
                let quoted = other.floor_char_boundary(QUOTED_BYTES_MAX);
                violations.add("update_mask", format!("{:?} {why}", &other[..quoted]));
            }
        }
    }
    patch
}
