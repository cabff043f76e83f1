//! How much memory a message takes once it is decoded, found before it is: four megabytes of
//! empty messages, of two bytes each, would take hundreds.
//!
//! The contract's own descriptors say what each field is. Only large requests are looked at.

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
    messages: Vec<Shape>,
    /// The request's type of each method, by its path.
    requests: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct Shape {
    /// By their numbers, in order.
    fields: Vec<(u64, Field)>,
    /// What one of them takes in a list, without what its lists and texts have.
    bytes: usize,
}

#[derive(Debug)]
struct Field {
    kind: Kind,
    is_list: bool,
}

/// A message is an index into [`Shapes::messages`]: names would take most of the time of a request
/// with a hundred thousand empty messages.
#[derive(Debug)]
enum Kind {
    Scalar,
    Text,
    Message(usize),
}

impl Shapes {
    /// The shapes of the whole contract.
    pub(crate) fn of_contract() -> Self {
        // It was made with this code; without it, large messages would only be less bounded.
        let files = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).unwrap_or_default();
        let mut described = Described::default();
        for file in &files.file {
            let package = format!(".{}", file.package());
            for message in &file.message_type {
                described.add(&package, message);
            }
        }
        let messages = described.messages.iter().map(|message| {
            let fields = message.field.iter().map(|field| {
                let number = u64::try_from(field.number()).unwrap_or_default();
                (number, described.field(field))
            });
            let mut fields: Vec<_> = fields.collect();
            fields.sort_by_key(|(number, _)| *number);
            Shape {
                fields,
                bytes: described.struct_bytes(message, DEPTH_MAX),
            }
        });
        let messages = messages.collect();
        let methods = files.file.iter().flat_map(|file| {
            let services = file.service.iter();
            services.flat_map(move |service| {
                service.method.iter().map(move |method| {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    (path, method.input_type())
                })
            })
        });
        let requests = methods.filter_map(|(path, name)| Some((path, described.index_of(name)?)));
        Self {
            requests: requests.collect(),
            messages,
        }
    }

    /// Whether a request of the method takes no more than [`DECODED_BYTES_MAX`]. What is no
    /// message is counted up to where it goes wrong, as a decoder does.
    pub(crate) fn allows(&self, path: &str, request: &[u8]) -> bool {
        let Some(request_type) = self.requests.get(path) else {
            return true;
        };
        let shape = &self.messages[*request_type];
        self.count(shape, request, DECODED_BYTES_MAX, DEPTH_MAX)
            .is_some()
    }

    /// What is left of so many bytes; none if they are not enough.
    fn count(&self, shape: &Shape, mut rest: &[u8], left: usize, depth: u8) -> Option<usize> {
        let mut left = left;
        while !rest.is_empty() {
            let Some(tag) = varint(&mut rest) else { break };
            let field = shape.field(tag >> 3);
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
                if let Kind::Message(index) = field.kind
                    && depth > 0
                {
                    left = self.count(&self.messages[index], payload, left, depth - 1)?;
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
            Kind::Message(index) => self.messages[*index].bytes,
        };
        let listed = if field.is_list { GROWTH * one } else { 0 };
        match field.kind {
            Kind::Text if !payload.is_empty() => listed + payload.len() + ALLOCATION_BYTES,
            _ => listed,
        }
    }
}

impl Shape {
    fn field(&self, number: u64) -> Option<&Field> {
        let found = self
            .fields
            .binary_search_by_key(&number, |(number, _)| *number);
        found.ok().map(|at| &self.fields[at].1)
    }
}

/// The messages of the contract by their full names.
#[derive(Default)]
struct Described<'a> {
    messages: Vec<&'a DescriptorProto>,
    indices: HashMap<String, usize>,
}

impl<'a> Described<'a> {
    fn add(&mut self, parent: &str, message: &'a DescriptorProto) {
        let name = format!("{parent}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        self.indices.insert(name, self.messages.len());
        self.messages.push(message);
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.indices.get(name).copied()
    }

    fn field(&self, field: &FieldDescriptorProto) -> Field {
        let kind = match field.r#type() {
            Type::Message => match self.index_of(field.type_name()) {
                Some(index) => Kind::Message(index),
                None => Kind::Scalar,
            },
            Type::String | Type::Bytes => Kind::Text,
            _ => Kind::Scalar,
        };
        Field {
            kind,
            is_list: field.label() == Label::Repeated,
        }
    }

    /// What the structure of a message takes. Of the choices of a oneof the largest counts.
    fn struct_bytes(&self, message: &DescriptorProto, depth: u8) -> usize {
        let mut choices: HashMap<i32, usize> = HashMap::new();
        let mut bytes = SCALAR_BYTES;
        for field in &message.field {
            let of_field = match self.field(field) {
                Field { is_list: true, .. } => HEADER_BYTES,
                Field { kind, .. } => match kind {
                    Kind::Scalar => SCALAR_BYTES,
                    Kind::Text => HEADER_BYTES,
                    Kind::Message(index) if depth > 0 => {
                        self.struct_bytes(self.messages[index], depth - 1)
                    }
                    Kind::Message(_) => SCALAR_BYTES,
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
        let shape = &shapes.messages[shapes.requests[CREATE]];
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
        let files = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).expect("it was made here");
        let mut described = Described::default();
        for file in &files.file {
            for message in &file.message_type {
                described.add(&format!(".{}", file.package()), message);
            }
        }
        let counted = |name: &str| {
            let index = described.indices[&format!(".ticketing.catalog.v1.{name}")];
            described.struct_bytes(described.messages[index], DEPTH_MAX)
        };
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
