//! What is in a service's log at its default level, and what is not: the service's own faults under
//! the log id that the caller has, and nothing that strangers cause.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::Reason;
use http::HeaderValue;
use test_harness::errors::{assert_error, metadata, reason};
use test_harness::eventually;
use test_harness::process::Process;
use test_harness::raw::{Answer, Raw, framed, prefix, read};
use test_harness::system::{System, reserve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

const LIST: &str = "/ticketing.payment.v1.PaymentProvider/ListPayments";
const NO_METHOD: &str = "/ticketing.payment.v1.PaymentProvider/Steal";
const SOON: std::time::Duration = std::time::Duration::from_secs(20);
/// How often everything is done: each time was a line.
const ROUNDS: usize = 20;
const RESETS: [Reason; 7] = [
    Reason::NO_ERROR,
    Reason::CANCEL,
    Reason::INTERNAL_ERROR,
    Reason::PROTOCOL_ERROR,
    Reason::REFUSED_STREAM,
    Reason::FLOW_CONTROL_ERROR,
    Reason::ENHANCE_YOUR_CALM,
];

fn assert_refused(answer: &Answer, code: Code, why: &str) {
    let status = answer.grpc.as_ref().expect("a status");
    assert_error(status, code, why);
}

/// A call with exactly this body.
async fn call(client: &Raw, path: &str, body: &[u8]) -> Answer {
    let (answer, mut sending) = client.begin(client.head(path)).await.expect("a stream");
    let body = Bytes::copy_from_slice(body);
    sending.send_data(body, true).expect("a body");
    read(answer).await.expect("an answer")
}

#[tokio::test]
async fn what_strangers_spoil_is_counted_and_no_line_of_the_log() {
    let sim = Process::start("payment-sim", &["--log", "info,service_kit=debug"]).await;
    for _ in 0..ROUNDS {
        let client = Raw::connect(sim.address()).await.expect("a connection");
        let cut = [&prefix(100)[..], b"ten bytes."].concat();
        let compressed = [1, 0, 0, 0, 2, 8, 1];
        for body in [
            &cut[..],
            b"",
            &compressed,
            b"\x07abcdefgh",
            &framed(b"\xff\xff"),
        ] {
            let answer = call(&client, LIST, body).await;
            assert_refused(&answer, Code::InvalidArgument, "MALFORMED_MESSAGE");
        }
        let answer = call(&client, NO_METHOD, &framed(b"")).await;
        assert_refused(&answer, Code::Unimplemented, "UNKNOWN_METHOD");
        for reason in RESETS {
            let (_answer, mut body) = client.begin(client.head(LIST)).await.expect("a stream");
            body.send_data(Bytes::from(cut.clone()), false)
                .expect("a part");
            body.send_reset(reason);
        }
        // The connection ends with a call begun, which the service has by then.
        let (_answer, mut body) = client.begin(client.head(LIST)).await.expect("a stream");
        body.send_data(Bytes::from(cut.clone()), false)
            .expect("a part");
        call(&client, LIST, &framed(b"")).await;
        drop(client);
        break_http2(sim.address()).await;
    }
    eventually(SOON, "the service has logged it", async || {
        let log = sim.log();
        // A stream that is reset at once may not even be begun.
        log.matches("a call that cannot be read").count() >= 7 * ROUNDS
            && log.matches("a connection ended").count() >= 7 * ROUNDS
    })
    .await;
    let log = sim.log();
    for level in [" WARN ", " ERROR "] {
        assert!(!log.contains(level), "{log}");
    }
    let above_debug = log.lines().filter(|line| !line.contains(" DEBUG ")).count();
    assert!(above_debug < ROUNDS, "{above_debug} lines:\n{log}");
}

/// Frames that no peer may send, each on its own connection, until the service closes it.
async fn break_http2(address: SocketAddr) {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // A call's headers, without a table: POST, http, a path, a content type and TE.
    let field = |name: &str, value: &str| {
        let length = |text: &str| u8::try_from(text.len()).expect("short");
        let parts: [&[u8]; 5] = [
            &[0],
            &[length(name)],
            name.as_bytes(),
            &[length(value)],
            value.as_bytes(),
        ];
        parts.concat()
    };
    let block = [
        vec![0x83, 0x86],
        field(":path", LIST),
        field(":authority", "localhost"),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
    ]
    .concat();
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let headers = frame(1, 4, 1, &block);
    let data = frame(0, 0, 1, &[0; 16_384]);
    let beyond_every_window = [headers, data.repeat(700)].concat();
    for sent in [
        frame(0, 0, 0, b"data of no stream"),
        frame(1, 4, 2, &block),
        frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff"),
        frame(8, 0, 0, &[0; 3]),
        b"\xff\xff\xff\0\0\0\0\0\x01".to_vec(),
        b"no frame at all, but a text of some length, more than a frame's header".to_vec(),
        beyond_every_window,
    ] {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(preface).await.expect("a preface");
        let (mut reader, mut writer) = stream.split();
        let mut said = Vec::new();
        let writing = async {
            // It may be closed before all is sent.
            let _ = writer.write_all(&sent).await;
        };
        let reading = reader.read_to_end(&mut said);
        let _ = futures_util::join!(writing, reading);
    }
}

#[tokio::test]
async fn a_compressed_request_is_refused() {
    let sim = Process::start("payment-sim", &[]).await;
    let client = Raw::connect(sim.address()).await.expect("a connection");
    let with_encoding = async |path: &str, encoding: &'static str, body: &[u8]| {
        let mut head = client.head(path);
        let encoding = HeaderValue::from_static(encoding);
        head.headers_mut().insert("grpc-encoding", encoding);
        let (answer, mut sending) = client.begin(head).await.expect("a stream");
        sending
            .send_data(Bytes::copy_from_slice(body), true)
            .expect("a body");
        read(answer).await.expect("an answer")
    };
    let compressed = [1, 0, 0, 0, 3, 31, 139, 8];
    for encoding in ["gzip", "zstd", "nonsense"] {
        let answer = with_encoding(LIST, encoding, &compressed).await;
        assert_refused(&answer, Code::Unimplemented, "UNSUPPORTED_ENCODING");
        assert_eq!(answer.headers["grpc-accept-encoding"], "identity");
    }
    let answer = with_encoding(NO_METHOD, "gzip", &compressed).await;
    assert_refused(&answer, Code::Unimplemented, "UNKNOWN_METHOD");
    let answer = with_encoding(LIST, "identity", &framed(b"")).await;
    let status = answer.grpc.expect("a status");
    assert_eq!(status.code(), Code::Ok, "{}", reason(&status));
}

#[tokio::test]
async fn a_failed_call_is_in_the_log_with_its_id_and_cause() {
    let mut system = System::start(0).await;
    system.catalog.kill9().await;
    let mut client = system.booking_client();
    let unknown = "0b5c1f6e-8a2d-8000-8000-000000000000";
    let refused = reserve(&mut client, unknown, &["A-1"], "ann").await;
    let status = refused.expect_err("the catalog is gone");
    assert_error(&status, Code::Unavailable, "CATALOG_UNAVAILABLE");
    let id = metadata(&status).remove("log_id").expect("an id");
    let wrong = reserve(&mut client, "", &["A-1"], "ann").await;
    let wrong = wrong.expect_err("no show");
    assert_error(&wrong, Code::InvalidArgument, "INVALID_FIELD");
    let log = system.booking.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(&id)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in [
        "WARN",
        "log_id=",
        "ReserveSeats",
        "CATALOG_UNAVAILABLE",
        "onnection refused",
    ] {
        assert!(lines[0].contains(part), "{part:?} in {}", lines[0]);
    }
    let id = metadata(&wrong).remove("log_id").expect("an id");
    assert!(!log.contains(&id), "a refusal is no fault: {log}");
}
