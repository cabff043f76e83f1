//! How much memory a message takes once it is decoded, found before it is: four megabytes of
//! empty messages, of two bytes each, would take hundreds.
//!
//! The contract's own descriptors say what each field is. Only large requests are looked at, so
//! this is slow and plain.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// The most memory that a decoded request takes: three times that of the largest layout.
pub(crate) const DECODED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What protobuf's decoders follow at most; nothing in the contract is as deep.
const DEPTH_MAX: u8 = 32;
/// A text, bytes or a list in memory, beside what is in it.
const HEADER_BYTES: usize = 24;
/// What an allocation takes beside its bytes.
const ALLOCATION_BYTES: usize = 16;
/// A number.
const SCALAR_BYTES: usize = 8;
/// A list grows by doubling: twice what is in it.
const GROWTH: usize = 2;

/// The messages of the contract, and those that methods take.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    messages: HashMap<String, Shape>,
    /// The request's type of each method, by its path.
    requests: HashMap<String, String>,
}

#[derive(Debug, Default)]
struct Shape {
    fields: HashMap<u64, Field>,
    /// What one of them takes in a list, without what its lists and texts have.
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Field {
    kind: Kind,
    is_list: bool,
}

#[derive(Debug, Clone)]
enum Kind {
    Scalar,
    Text,
    Message(String),
}

impl Shapes {
    /// The shapes of the whole contract.
    pub(crate) fn of_contract() -> Self {
        let mut shapes = Self::default();
        // It was made with this code; without it, large messages would only be less bounded.
        let files = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).unwrap_or_default();
        let mut described = HashMap::new();
        for file in &files.file {
            let package = format!(".{}", file.package());
            for message in &file.message_type {
                describe(&package, message, &mut described);
            }
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    shapes.requests.insert(path, method.input_type().to_owned());
                }
            }
        }
        for (name, message) in &described {
            let fields = message.field.iter().map(|field| {
                let number = u64::try_from(field.number()).unwrap_or_default();
                (number, Field::of(field))
            });
            let shape = Shape {
                fields: fields.collect(),
                bytes: struct_bytes(message, &described, DEPTH_MAX),
            };
            shapes.messages.insert(name.clone(), shape);
        }
        shapes
    }

    /// Whether a request of the method takes no more than [`DECODED_BYTES_MAX`]. What is no
    /// message is counted up to where it goes wrong, as a decoder does.
    pub(crate) fn allows(&self, path: &str, request: &[u8]) -> bool {
        let Some(shape) = self
            .requests
            .get(path)
            .and_then(|name| self.messages.get(name))
        else {
            return true;
        };
        self.count(shape, request, DECODED_BYTES_MAX, DEPTH_MAX)
            .is_some()
    }

    /// What is left of so many bytes; none if they are not enough.
    fn count(&self, shape: &Shape, mut rest: &[u8], left: usize, depth: u8) -> Option<usize> {
        let mut left = left;
        while !rest.is_empty() {
            let Some(tag) = varint(&mut rest) else { break };
            let field = shape.fields.get(&(tag >> 3));
            let payload = match tag & 7 {
                0 => varint(&mut rest).map(|_| &[][..]),
                1 => take(&mut rest, 8),
                2 => varint(&mut rest).and_then(|length| take(&mut rest, length)),
                5 => take(&mut rest, 4),
                _ => None,
            };
            let is_cut_off = payload.is_none();
            // What is cut off is decoded up to there.
            let payload = payload.unwrap_or(rest);
            if let Some(field) = field {
                left = left.checked_sub(self.bytes_of(field, payload))?;
                if let Kind::Message(name) = &field.kind
                    && let Some(nested) = self.messages.get(name)
                    && depth > 0
                {
                    left = self.count(nested, payload, left, depth - 1)?;
                }
            }
            if is_cut_off {
                break;
            }
        }
        Some(left)
    }

    fn bytes_of(&self, field: &Field, payload: &[u8]) -> usize {
        let one = match &field.kind {
            // Packed ones are a list in one payload, of a byte each or more.
            Kind::Scalar => SCALAR_BYTES * payload.len().max(1),
            Kind::Text => HEADER_BYTES,
            Kind::Message(name) => self.messages.get(name).map_or(0, |shape| shape.bytes),
        };
        let listed = if field.is_list { GROWTH * one } else { 0 };
        match field.kind {
            Kind::Text if !payload.is_empty() => listed + payload.len() + ALLOCATION_BYTES,
            _ => listed,
        }
    }
}

impl Field {
    fn of(field: &FieldDescriptorProto) -> Self {
        let kind = match field.r#type() {
            Type::Message => Kind::Message(field.type_name().to_owned()),
            Type::String | Type::Bytes => Kind::Text,
            _ => Kind::Scalar,
        };
        Self {
            kind,
            is_list: field.label() == Label::Repeated,
        }
    }
}

fn describe<'a>(
    parent: &str,
    message: &'a DescriptorProto,
    all: &mut HashMap<String, &'a DescriptorProto>,
) {
    let name = format!("{parent}.{}", message.name());
    for nested in &message.nested_type {
        describe(&name, nested, all);
    }
    all.insert(name, message);
}

/// What the structure of a message takes. Of the choices of a oneof the largest counts.
fn struct_bytes(
    message: &DescriptorProto,
    all: &HashMap<String, &DescriptorProto>,
    depth: u8,
) -> usize {
    let mut choices: HashMap<i32, usize> = HashMap::new();
    let mut bytes = SCALAR_BYTES;
    for field in &message.field {
        let of_field = match Field::of(field) {
            Field { is_list: true, .. } => HEADER_BYTES,
            Field { kind, .. } => match kind {
                Kind::Scalar => SCALAR_BYTES,
                Kind::Text => HEADER_BYTES,
                Kind::Message(name) => match all.get(&name) {
                    Some(nested) if depth > 0 => struct_bytes(nested, all, depth - 1),
                    _ => SCALAR_BYTES,
                },
            },
        };
        match field.oneof_index {
            Some(index) => {
                let largest = choices.entry(index).or_default();
                *largest = of_field.max(*largest);
            }
            None => bytes += of_field,
        }
    }
    bytes + choices.values().sum::<usize>()
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let (value, after) = {
        let mut buffer = *rest;
        (prost::encoding::decode_varint(&mut buffer).ok()?, buffer)
    };
    *rest = after;
    Some(value)
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let length = usize::try_from(length).ok()?;
    let (payload, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(payload)
}

#[cfg(test)]
mod tests {
    use proto::catalog::v1::{CreateShowRequest, NameList, PriceTier, RowBlock};
    use proto::catalog::v1::{Section, Series, create_show_request, series};

    use super::*;

    const CREATE: &str = "/ticketing.catalog.v1.CatalogService/CreateShow";

    fn allows(request: &[u8]) -> bool {
        let shapes = Shapes::of_contract();
        assert!(shapes.requests.contains_key(CREATE));
        shapes.allows(CREATE, request)
    }

    fn with_sections(sections: Vec<Section>) -> CreateShowRequest {
        let mut seats = create_show_request::Seats::Layout(Default::default());
        if let create_show_request::Seats::Layout(layout) = &mut seats {
            layout.sections = sections;
        }
        CreateShowRequest {
            seats: Some(seats),
            ..Default::default()
        }
    }

    /// The largest layout: each of 100,000 seats with a name of its own, in 10,000 rows.
    fn largest() -> CreateShowRequest {
        let rows = (0..10_000).map(|row| {
            let names = (0..10).map(|seat| format!("{row:05}-{seat:03}")).collect();
            RowBlock {
                runs: vec![Series {
                    series: Some(series::Series::List(NameList { names })),
                }],
                ..Default::default()
            }
        });
        with_sections(vec![Section {
            rows: rows.collect(),
            ..Default::default()
        }])
    }

    #[test]
    fn the_largest_layout_is_allowed_and_takes_less_than_a_third() {
        let request = largest().encode_to_vec();
        assert!(request.len() > 1024 * 1024);
        let shapes = Shapes::of_contract();
        let shape = &shapes.messages[&shapes.requests[CREATE]];
        let left = shapes.count(shape, &request, DECODED_BYTES_MAX, DEPTH_MAX);
        let taken = DECODED_BYTES_MAX - left.expect("it is allowed");
        assert!((8 << 20..20 << 20).contains(&taken), "{taken}");
    }

    #[test]
    fn many_empty_messages_are_too_much_wherever_they_are() {
        let sections = with_sections(vec![Section::default(); 1_000_000]);
        assert!(!allows(&sections.encode_to_vec()));
        let rows = with_sections(vec![Section {
            rows: vec![RowBlock::default(); 1_000_000],
            ..Default::default()
        }]);
        assert!(!allows(&rows.encode_to_vec()));
        let tiers = CreateShowRequest {
            price_tiers: vec![PriceTier::default(); 1_000_000],
            ..Default::default()
        };
        assert!(!allows(&tiers.encode_to_vec()));
    }

    #[test]
    fn what_goes_wrong_in_the_end_counts_all_the_same() {
        let mut bytes = with_sections(vec![Section::default(); 1_000_000]).encode_to_vec();
        bytes.pop();
        assert!(!allows(&bytes));
        bytes.push(0xff);
        assert!(!allows(&bytes));
        assert!(allows(&[0xff; 100_000]));
    }

    #[test]
    fn structures_take_what_is_counted_for_them() {
        let shapes = Shapes::of_contract();
        let counted = |name: &str| shapes.messages[&format!(".ticketing.catalog.v1.{name}")].bytes;
        for (name, bytes) in [
            ("Section", size_of::<Section>()),
            ("RowBlock", size_of::<RowBlock>()),
            ("Series", size_of::<Series>()),
            ("PriceTier", size_of::<PriceTier>()),
        ] {
            let counted = counted(name);
            assert!(
                (bytes..2 * bytes).contains(&counted),
                "{name}: {counted}, {bytes}"
            );
        }
    }
}
