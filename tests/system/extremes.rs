//! Every number of every call at its ends: the smallest, the largest, 0 and -1, times and
//! durations that no calendar has. The answer must always be one of the contract.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::Type;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
};
use test_harness::process::Process;
use test_harness::raw::{self, Raw};
use test_harness::system::{System, reserve};
use tokio::time::timeout;
use tonic::Code;
use uuid::Uuid;

/// How deep messages are filled in: a show's layout has rows with series of numbers.
const DEPTH_MAX: usize = 8;
/// How many concurrent calls there are on one connection.
const CALLS_AT_ONCE: usize = 8;
/// How long a stream is read: it reports a bad request at once.
const STREAM_MAX: Duration = Duration::from_millis(500);
/// The longest that any call takes, on a busy machine.
const CALL_MAX: Duration = Duration::from_secs(20);

const INTEGERS: [i64; 6] = [
    i64::MIN,
    i64::MAX,
    0,
    -1,
    i32::MAX as i64 + 1,
    i32::MIN as i64 - 1,
];
const SMALL_INTEGERS: [i64; 4] = [i32::MIN as i64, i32::MAX as i64, 0, -1];
/// Seconds and nanoseconds of times and durations: impossible ones, and the ends of the
/// possible ones.
const INSTANTS: [(i64, i32); 12] = [
    (i64::MIN, i32::MIN),
    (i64::MAX, i32::MAX),
    (i64::MAX, 0),
    (0, 0),
    (0, -1),
    (-1, -1),
    (1, i32::MIN),
    (0, i32::MAX),
    (253_402_300_799, 999_999_999),
    (253_402_300_800, 0),
    (-62_135_596_800, 0),
    (315_576_000_000, 999_999_999),
];
/// The most values of one kind of field.
const VALUES_MAX: usize = INSTANTS.len();

/// The messages of the contract, by their full names.
struct Contract(HashMap<String, DescriptorProto>);

/// A call: a method of a service, with a message.
struct Call {
    path: String,
    message: Vec<u8>,
    is_stream: bool,
    /// Its contents, for a failure.
    what: String,
}

/// Which of the values a message has where.
enum Extreme<'a> {
    /// The nth value in one field, by the names on the way to it.
    One(&'a [String], usize),
    /// The nth value in all fields.
    All(usize),
}

/// The ids of existing shows, bookings and layouts.
struct Known {
    show: String,
    booking: String,
}

impl Contract {
    fn message(&self, name: &str) -> Option<&DescriptorProto> {
        self.0.get(name.trim_start_matches('.'))
    }

    /// The ways to the numbers of a message, by names.
    fn numbers(&self, of: &str, depth: usize, way: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        let Some(message) = self.message(of).filter(|_| depth < DEPTH_MAX) else {
            return;
        };
        for field in &message.field {
            way.push(field.name().to_owned());
            if values_of(field) > 0 {
                found.push(way.clone());
            } else if field.r#type() == Type::Message {
                self.numbers(field.type_name(), depth + 1, way, found);
            }
            way.pop();
        }
    }

    /// A message that is right as far as a stranger can guess, but for an extreme.
    fn encode(&self, of: &str, extreme: &Extreme<'_>, known: &Known, depth: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(message) = self.message(of).filter(|_| depth < DEPTH_MAX) else {
            return out;
        };
        let on_the_way = match extreme {
            Extreme::One(way, _) => way.first(),
            Extreme::All(_) => None,
        };
        let mut chosen: Vec<Option<i32>> = vec![None; message.oneof_decl.len()];
        let is_next = |field: &FieldDescriptorProto| Some(&field.name().to_owned()) == on_the_way;
        let (first, others): (Vec<_>, Vec<_>) = message.field.iter().partition(|it| is_next(it));
        for field in first.into_iter().chain(others) {
            if let Some(oneof) = field.oneof_index.filter(|_| !field.proto3_optional()) {
                // One of each: the one on the way, or else the one that is the simplest.
                let chosen = &mut chosen[usize::try_from(oneof).expect("an index")];
                let is_simple = ["total_seats", "numbers", "customer_id"].contains(&field.name());
                if chosen.is_some() || !(is_next(field) || is_simple) {
                    continue;
                }
                *chosen = Some(oneof);
            }
            let below = match extreme {
                Extreme::One(way, nth) if is_next(field) => Some(Extreme::One(&way[1..], *nth)),
                Extreme::One(..) => None,
                Extreme::All(nth) => Some(Extreme::All(*nth)),
            };
            self.encode_field(field, below.as_ref(), known, depth, &mut out);
        }
        out
    }

    fn encode_field(
        &self,
        field: &FieldDescriptorProto,
        extreme: Option<&Extreme<'_>>,
        known: &Known,
        depth: usize,
        out: &mut Vec<u8>,
    ) {
        let tag = u32::try_from(field.number()).expect("a tag");
        let nth = extreme.map(|(Extreme::One(_, nth) | Extreme::All(nth))| *nth);
        match field.r#type() {
            Type::String | Type::Bytes => {
                encode_bytes(tag, text_for(field.name(), known).as_bytes(), out);
            }
            Type::Message if is_instant(field) => {
                let (seconds, nanos) = match nth {
                    Some(nth) => INSTANTS[nth % INSTANTS.len()],
                    None if field.type_name().ends_with("Duration") => (60, 0),
                    None => (tomorrow(), 0),
                };
                let mut instant = Vec::new();
                encode_number(1, seconds, &mut instant);
                encode_number(2, nanos.into(), &mut instant);
                encode_bytes(tag, &instant, out);
            }
            Type::Message if field.type_name() == ".google.protobuf.FieldMask" => {
                let mut mask = Vec::new();
                for path in [
                    "start_time",
                    "end_time",
                    "sales_close_time",
                    "hold_duration",
                    "seats_per_booking_max",
                    "places_per_customer_max",
                    "show_type",
                    "orphan_rule",
                ] {
                    encode_bytes(1, path.as_bytes(), &mut mask);
                }
                encode_bytes(tag, &mask, out);
            }
            Type::Message => {
                let none = Extreme::One(&[], 0);
                let extreme = extreme.unwrap_or(&none);
                let message = self.encode(field.type_name(), extreme, known, depth + 1);
                encode_bytes(tag, &message, out);
            }
            _ => {
                let values = values(field);
                let value = nth.map_or(1, |nth| values[nth % values.len()]);
                let is_zigzag = field.r#type() == Type::Sint32;
                encode_number(
                    tag,
                    if is_zigzag {
                        (value << 1) ^ (value >> 63)
                    } else {
                        value
                    },
                    out,
                );
            }
        }
    }
}

fn is_instant(field: &FieldDescriptorProto) -> bool {
    [".google.protobuf.Timestamp", ".google.protobuf.Duration"].contains(&field.type_name())
}

/// How many extreme values a field has; 0 if it is no number.
fn values_of(field: &FieldDescriptorProto) -> usize {
    match field.r#type() {
        Type::Message if is_instant(field) => INSTANTS.len(),
        Type::Message | Type::String | Type::Bytes => 0,
        _ => values(field).len(),
    }
}

fn values(field: &FieldDescriptorProto) -> &'static [i64] {
    match field.r#type() {
        Type::Bool => &[0, 1],
        Type::Int32 | Type::Sint32 | Type::Enum => &SMALL_INTEGERS,
        Type::Uint32 => &[0, u32::MAX as i64],
        Type::Int64 => &INTEGERS,
        other => panic!("the contract had no {other:?}"),
    }
}

fn encode_number(tag: u32, value: i64, out: &mut Vec<u8>) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(u64::from_ne_bytes(value.to_ne_bytes()), out);
}

fn encode_bytes(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn tomorrow() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    i64::try_from(now.as_secs()).expect("seconds") + 86_400
}

fn text_for(name: &str, known: &Known) -> String {
    match name {
        "show_id" | "show_ids" => known.show.clone(),
        "booking_id" | "booking_ids" => known.booking.clone(),
        "payment_key" | "refund_key" => Uuid::now_v7().to_string(),
        "payment_token" => "approve".to_owned(),
        "currency_code" => "EUR".to_owned(),
        "time_zone" => "Europe/Berlin".to_owned(),
        "seat_label" | "seat_labels" => "A-2".to_owned(),
        "request_id" | "page_token" | "etag" | "layout_id" | "derived_from" | "label_format"
        | "email" | "timeline_id" => String::new(),
        _ => "A".to_owned(),
    }
}

/// The calls of a method: each number at each of its ends, and all of them at once.
fn calls(
    contract: &Contract,
    service: &str,
    method: &MethodDescriptorProto,
    known: &Known,
) -> Vec<Call> {
    let mut ways = Vec::new();
    contract.numbers(method.input_type(), 0, &mut Vec::new(), &mut ways);
    let one = ways.iter().flat_map(|way| {
        let values = contract.values_at(method.input_type(), way);
        (0..values).map(move |nth| Extreme::One(way, nth))
    });
    let all = (0..VALUES_MAX).map(Extreme::All);
    let all = all.take(if ways.is_empty() { 0 } else { VALUES_MAX });
    let call = |extreme: Extreme<'_>| Call {
        path: format!("/{service}/{}", method.name()),
        message: contract.encode(method.input_type(), &extreme, known, 0),
        is_stream: method.server_streaming(),
        what: match &extreme {
            Extreme::One(way, nth) => format!("{} at {nth}", way.join(".")),
            Extreme::All(nth) => format!("everything at {nth}"),
        },
    };
    one.chain(all).map(call).collect()
}

impl Contract {
    fn values_at(&self, of: &str, way: &[String]) -> usize {
        let fields = &self.message(of).expect("a message on the way").field;
        let field = fields.iter().find(|field| field.name() == way[0]);
        let field = field.expect("a field on the way");
        match way {
            [_] => values_of(field),
            way => self.values_at(field.type_name(), &way[1..]),
        }
    }
}

/// The status of a call; none for a stream that continues.
async fn answer(client: &Raw, call: &Call) -> Option<tonic::Status> {
    let (path, what) = (&call.path, &call.what);
    let asked = client.ask(path, &call.message).await;
    let asked = asked.unwrap_or_else(|error| panic!("{path}, {what}: {error}"));
    let time_max = if call.is_stream { STREAM_MAX } else { CALL_MAX };
    match timeout(time_max, raw::read(asked)).await {
        Ok(Ok(answer)) => {
            let grpc = answer.grpc;
            Some(grpc.unwrap_or_else(|| panic!("{path}, {what}: no status")))
        }
        Ok(Err(error)) => panic!("{path}, {what}: {error}"),
        Err(_) if call.is_stream => None,
        Err(_) => panic!("{path}, {what}: no answer within {CALL_MAX:?}"),
    }
}

#[tokio::test]
async fn no_number_in_any_call_is_a_fault() {
    let system = System::start(1).await;
    let provider = Process::start("payment-sim", &[]).await;
    let show = system.a_show(4).await;
    let booking = reserve(&mut system.booking_client(), &show, &["A-1"], "c").await;
    let booking = booking.expect("a booking").booking_id;
    let known = Known { show, booking };
    let set = FileDescriptorSet::decode(proto::DESCRIPTOR_SET).expect("descriptors");
    let mut contract = Contract(HashMap::new());
    for file in &set.file {
        for message in &file.message_type {
            let name = format!("{}.{}", file.package(), message.name());
            // Maps are messages inside; no request has one.
            assert!(
                message.nested_type.is_empty() || !name.starts_with("ticketing."),
                "{name} has messages inside"
            );
            contract.0.insert(name, message.clone());
        }
    }
    let internal = system.catalog.internal_url();
    let internal: SocketAddr = internal
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    for (file, service) in set
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file, service)))
    {
        let address = match service.name() {
            "CatalogService" => system.catalog.address(),
            "CatalogFeedService" => internal,
            "BookingService" | "CustomerService" => system.booking.address(),
            "ExpiryService" => system.workers[0].address(),
            "PaymentProvider" => provider.address(),
            other => panic!("where is {other} served?"),
        };
        let client = Raw::connect(address).await.expect("a connection");
        let name = format!("{}.{}", file.package(), service.name());
        let calls = service
            .method
            .iter()
            .flat_map(|method| calls(&contract, &name, method, &known));
        let calls: Vec<_> = calls.collect();
        let client = &client;
        let answers = stream::iter(&calls).map(|call| async move {
            let status = answer(client, call).await;
            let code = status.as_ref().map_or(Code::Ok, tonic::Status::code);
            let is_fault = [Code::Internal, Code::Unknown].contains(&code);
            assert!(!is_fault, "{}, {}: {status:?}", call.path, call.what);
            code
        });
        let answers: Vec<_> = answers.buffer_unordered(CALLS_AT_ONCE).collect().await;
        for code in answers {
            *codes.entry(format!("{code:?}")).or_default() += 1;
        }
    }
    // Not all of them end at the first read.
    assert!(
        codes["Ok"] > 20 && codes["InvalidArgument"] > 500,
        "{codes:?}"
    );
    for process in [
        &system.catalog,
        &system.booking,
        &system.workers[0],
        &provider,
    ] {
        let log = process.log();
        let faults = log
            .lines()
            .filter(|line| line.contains("panicked") || line.contains(" ERROR "));
        assert_eq!(faults.collect::<Vec<_>>(), [""; 0]);
    }
}
