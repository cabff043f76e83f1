//! Who may call what, on the real binaries: every method for every role, by every way in.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use proto::booking::v1::booking_service_client::BookingServiceClient;
use proto::booking::v1::list_booking_events_request::Of;
use proto::booking::v1::list_bookings_request::Customer as Listed;
use proto::booking::v1::reserve_seats_request::Customer;
use proto::booking::v1::{
    Booking, BookingState, CancelBookingRequest, ConfirmBookingRequest, ExtendHoldRequest,
    GetBookingRequest, ListBookingEventsRequest, ListBookingsRequest, SwapSeatsRequest,
};
use proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use service_kit::auth::access::{Roles, Rule, Rules, role_name};
use service_kit::health;
use tempfile::TempDir;
use test_harness::errors::{assert_error, reason};
use test_harness::issuer::{AUDIENCE, ISSUER, Issuer, claims, jwks};
use test_harness::postgres::{self, TestDatabase};
use test_harness::process::{Process, run};
use test_harness::raw::Raw;
use test_harness::system::{reservation, show};
use test_harness::{eventually, eventually_some};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(30);
/// The lines of docs/authentication.md are held to what the services do.
const PAGE: &str = include_str!("../../docs/authentication.md");

/// All services, each of which asks for tokens.
pub(super) struct Guarded {
    pub(super) issuer: Issuer,
    catalog: Process,
    booking: Process,
    worker: Process,
    provider: Process,
    files: TempDir,
    _database: TestDatabase,
}

impl Guarded {
    pub(super) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further arguments for booking-svc.
    pub(super) async fn start_with(more: &[&str]) -> Self {
        let (issuer, files) = (Issuer::new("one"), TempDir::new().expect("a folder"));
        let write = |name: &str, text: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, text).expect("a file of ours");
            path.to_str().expect("a name of ASCII").to_owned()
        };
        let keys = write("keys.json", &jwks(&[issuer.jwk()]));
        let token = issuer.token(&claims("booking-svc", &["service"]));
        let token = write("token", &format!("{token}\n"));
        let asking = ["--auth-issuer", ISSUER, "--auth-audience", AUDIENCE];
        let asking = [&asking[..], &["--auth-keys", &keys]].concat();
        let start =
            async |name: &str, more: &[&str]| Process::start(name, &[&asking, more].concat()).await;
        let database = postgres::database().await;
        let url = |role: &str| database.url(role);
        let provider = start("payment-sim", &[]).await;
        let catalog = start("catalog-svc", &["--database-url", &url("catalog_svc")]).await;
        let (booking_url, catalog_url) = (url("booking_svc"), catalog.internal_url());
        let provider_url = provider.url();
        let own = [
            "--database-url",
            &booking_url,
            "--catalog-url",
            &catalog_url,
            "--catalog-token-file",
            &token,
            "--payment-provider",
            &provider_url,
            "--payment-provider-token-file",
            &token,
            "--confirm-unpaid",
            "true",
        ];
        let booking = start("booking-svc", &[&own, more].concat()).await;
        let worker = start("expiry-worker", &["--database-url", &url("expiry_worker")]).await;
        Self {
            issuer,
            catalog,
            booking,
            worker,
            provider,
            files,
            _database: database,
        }
    }

    /// Where a method is served.
    fn address_of(&self, path: &str) -> SocketAddr {
        let package = path.trim_start_matches('/').rsplit_once('.');
        match package.expect("a package").0 {
            "ticketing.catalog.v1" => self.catalog.address(),
            "ticketing.catalog.internal.v1" => {
                let url = self.catalog.internal_url();
                let address = url.strip_prefix("http://").expect("a URL");
                address.parse().expect("an address")
            }
            "ticketing.booking.v1" => self.booking.address(),
            "ticketing.expiry.v1" => self.worker.address(),
            "ticketing.payment.v1" => self.provider.address(),
            other => panic!("{other} is served nowhere"),
        }
    }

    fn token(&self, subject: &str, roles: &[&str]) -> String {
        self.issuer.token(&claims(subject, roles))
    }

    /// A request with a token for that role.
    pub(super) fn by<T>(&self, subject: &str, role: &str, message: T) -> Request<T> {
        with_token(&self.token(subject, &[role]), message)
    }

    pub(super) fn bookings(&self) -> BookingServiceClient<Channel> {
        BookingServiceClient::new(channel(&self.booking))
    }

    pub(super) async fn a_show(&self) -> String {
        let mut client = CatalogServiceClient::new(channel(&self.catalog));
        let created = client.create_show(self.by("sue", "staff", show(8))).await;
        let show = created.expect("a show").into_inner().show;
        show.expect("the answer has the show").show_id
    }

    /// A booking of a customer's, made with its token, once the show is known.
    pub(super) async fn a_booking(&self, show: &str, customer: &str, seats: &[&str]) -> Booking {
        let reserving = eventually_some(SOON, "seats are reserved", async || {
            let request = reservation(show, seats, customer);
            let request = self.by(customer, "customer", request);
            match self.bookings().reserve_seats(request).await {
                Ok(reserved) => reserved.into_inner().booking,
                Err(status) => {
                    assert_eq!(reason(&status), "CATALOG_UNAVAILABLE", "{status:?}");
                    None
                }
            }
        });
        reserving.await
    }
}

pub(super) fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {token}").parse().expect("a header");
    request.metadata_mut().insert("authorization", bearer);
    request
}

fn channel(process: &Process) -> Channel {
    let endpoint = Endpoint::from_shared(process.url()).expect("a URL");
    endpoint.timeout(SOON).connect_lazy()
}

/// What a call is answered at once: its error, if it is one, and the status of HTTP. Of streams
/// nothing is read.
async fn answered(
    raw: &Raw,
    path: &str,
    bearer: Option<&str>,
    change: impl FnOnce(&mut http::Request<()>),
) -> (StatusCode, Option<Status>) {
    let mut head = raw.head(path);
    if let Some(token) = bearer {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
        head.headers_mut().insert(AUTHORIZATION, value);
    }
    change(&mut head);
    let (answer, mut body) = raw.begin(head).await.expect("a connection");
    // An empty message. The server may have answered before it comes.
    let _ = body.send_data(bytes::Bytes::from_static(&[0; 5]), true);
    let answer = answer.await.expect("an answer");
    let status = Status::from_header_map(answer.headers());
    (
        answer.status(),
        status.filter(|status| status.code() != Code::Ok),
    )
}

/// The line of a method in docs/authentication.md.
fn line_of(path: &str, rule: Rule) -> String {
    let (service, method) = path.rsplit_once('/').expect("a method");
    let service = service.rsplit_once('.').expect("a service").1;
    let mut line = format!("| {service} | {method} |");
    for role in Roles::ALL {
        let may = match rule {
            Rule::Anyone => "anyone",
            Rule::OneOf(roles) if roles.has(role) => "yes",
            Rule::OneOf(_) => "–",
        };
        let _ = write!(line, " {may} |");
    }
    line
}

#[tokio::test]
async fn every_method_is_for_the_roles_of_its_rule_and_for_nobody_else() {
    let system = Guarded::start().await;
    let rules = Rules::of_contract().expect("every method has a rule");
    let mut missing = String::new();
    for (path, rule) in rules.all() {
        let line = line_of(path, rule);
        if !PAGE.contains(&line) {
            let _ = writeln!(missing, "{line}");
        }
        let raw = Raw::connect(system.address_of(path)).await.expect("served");
        let reason_for = async |token: Option<&str>| {
            let (_, refused) = answered(&raw, path, token, |_| {}).await;
            refused.map(|status| reason(&status)).unwrap_or_default()
        };
        let is_open = rule == Rule::Anyone;
        let is_let_in = |reason: &str| !reason.starts_with("TOKEN_") && reason != "ROLE_REQUIRED";
        let without = reason_for(None).await;
        let garbage = reason_for(Some("garbage")).await;
        let none = reason_for(Some(&system.token("ann", &[]))).await;
        if is_open {
            for reason in [without, garbage, none] {
                assert!(is_let_in(&reason), "{path}: {reason}");
            }
        } else {
            assert_eq!(
                [&*without, &garbage, &none],
                ["TOKEN_MISSING", "TOKEN_INVALID", "ROLE_REQUIRED"],
                "{path}"
            );
        }
        for role in Roles::ALL {
            let may = matches!(rule, Rule::OneOf(roles) if roles.has(role)) || is_open;
            let token = system.token("ann", &[&role_name(role)]);
            let reason = reason_for(Some(&token)).await;
            assert_eq!(is_let_in(&reason), may, "{path} for {role:?}: {reason}");
            assert!(may || reason == "ROLE_REQUIRED", "{path}: {reason}");
        }
    }
    assert!(
        missing.is_empty(),
        "docs/authentication.md lacks:\n{missing}"
    );
    let lines = PAGE
        .lines()
        .filter(|line| line.ends_with("yes |") || line.ends_with("– |"));
    let open = PAGE.lines().filter(|line| line.ends_with("anyone |"));
    assert_eq!(lines.count() + open.count(), rules.all().len());
}

#[tokio::test]
async fn there_is_no_way_around_by_another_content_type_method_or_path() {
    let system = Guarded::start().await;
    let rules = Rules::of_contract().expect("every method has a rule");
    let guarded = rules.all().into_iter();
    let guarded = guarded.filter(|(_, rule)| *rule != Rule::Anyone);
    for (path, _) in guarded {
        let raw = Raw::connect(system.address_of(path)).await.expect("served");
        let refused = |(http, status): (StatusCode, Option<Status>), what: &str| {
            let code = status.as_ref().map(Status::code);
            let is_refused = http != StatusCode::OK
                || matches!(code, Some(Code::Unauthenticated | Code::Unimplemented));
            assert!(is_refused, "{path} by {what}: {http} {status:?}");
        };
        for content_type in [
            "",
            "text/plain",
            "application/json",
            "application/proto",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/connect+proto",
            "application/grpc+proto",
            "application/grpc+json",
            "application/grpc; charset=utf-8",
            "APPLICATION/GRPC",
        ] {
            let value = HeaderValue::from_static(content_type);
            let asked = answered(&raw, path, None, |head| {
                head.headers_mut().insert(CONTENT_TYPE, value);
            });
            refused(asked.await, content_type);
        }
        let asked = answered(&raw, path, None, |head| {
            head.headers_mut().remove(CONTENT_TYPE);
        });
        refused(asked.await, "no content type");
        for method in [Method::GET, Method::PUT, Method::OPTIONS] {
            let asked = answered(&raw, path, None, |head| *head.method_mut() = method);
            refused(asked.await, "another method");
        }
        let (service, method) = path.rsplit_once('/').expect("a method");
        for other in [
            format!("{path}/"),
            format!("{path}?x=y"),
            format!("/{path}"),
            format!("{service}//{method}"),
            format!("{service}/{}", method.to_lowercase()),
            format!("{service}/%{:02X}{}", method.as_bytes()[0], &method[1..]),
            format!("/x/..{path}"),
        ] {
            refused(answered(&raw, &other, None, |_| {}).await, &other);
        }
    }
}

#[tokio::test]
async fn health_is_open_and_reflection_is_for_who_has_a_token() {
    let system = Guarded::start().await;
    let address = system.booking.address();
    let healthy = health::ask(address, "", SOON).await;
    healthy.expect("health needs no token");
    let raw = Raw::connect(address).await.expect("served");
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let refused = answered(&raw, &path, None, |_| {}).await.1;
        assert_eq!(reason(&refused.expect("refused")), "TOKEN_MISSING");
        let token = system.token("ann", &[]);
        let answer = answered(&raw, &path, Some(&token), |_| {}).await;
        assert!(answer.1.is_none(), "{answer:?}");
    }
}

#[tokio::test]
async fn services_show_each_other_their_token() {
    let system = Guarded::start().await;
    let show = system.a_show().await;
    let booking = system.a_booking(&show, "ann", &["A-1"]).await;
    let request = ConfirmBookingRequest {
        booking_id: booking.booking_id,
        payment_token: "approve".to_owned(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let request = system.by("ann", "customer", request);
    let confirmed = system.bookings().confirm_booking(request).await;
    let confirmed = confirmed.expect("it is paid").into_inner().booking;
    let confirmed = confirmed.expect("the answer has the booking");
    assert_eq!(confirmed.state(), BookingState::Confirmed);
    for process in [&system.catalog, &system.booking, &system.provider] {
        let log = process.log();
        assert!(!log.contains("eyJ"), "a token is in the log: {log}");
    }
}

#[tokio::test]
async fn a_customer_sees_and_changes_only_what_is_its_own() {
    let system = Guarded::start().await;
    let show = system.a_show().await;
    let anns = system.a_booking(&show, "ann", &["A-1", "A-2"]).await;
    let id = anns.booking_id.clone();
    let mut client = system.bookings();

    // As somebody else, it is as if there were none.
    let unknown = Uuid::new_v4().to_string();
    for booking_id in [&id, &unknown] {
        let booking_id = booking_id.clone();
        let not_found = |status: Status| assert_error(&status, Code::NotFound, "BOOKING_NOT_FOUND");
        let request_id = Uuid::new_v4().to_string();
        let get = GetBookingRequest {
            booking_id: booking_id.clone(),
        };
        let got = client.get_booking(system.by("bob", "customer", get)).await;
        not_found(got.expect_err("not his"));
        let confirm = ConfirmBookingRequest {
            booking_id: booking_id.clone(),
            request_id: request_id.clone(),
            ..Default::default()
        };
        let confirm = system.by("bob", "customer", confirm);
        not_found(client.confirm_booking(confirm).await.expect_err("not his"));
        let pay = ConfirmBookingRequest {
            booking_id: booking_id.clone(),
            payment_token: "approve".to_owned(),
            ..Default::default()
        };
        let pay = system.by("bob", "customer", pay);
        not_found(client.confirm_booking(pay).await.expect_err("not his"));
        for seats in [vec![], vec!["A-1".to_owned()]] {
            let cancel = CancelBookingRequest {
                booking_id: booking_id.clone(),
                seat_labels: seats,
                ..Default::default()
            };
            let cancel = system.by("bob", "customer", cancel);
            not_found(client.cancel_booking(cancel).await.expect_err("not his"));
        }
        let extend = ExtendHoldRequest {
            booking_id: booking_id.clone(),
            hold_duration: Some(prost_types::Duration {
                seconds: 60,
                nanos: 0,
            }),
            ..Default::default()
        };
        let extend = system.by("bob", "customer", extend);
        not_found(client.extend_hold(extend).await.expect_err("not his"));
        let swap = SwapSeatsRequest {
            booking_id: booking_id.clone(),
            from_seat_labels: vec!["A-1".to_owned()],
            to_seat_labels: vec!["A-5".to_owned()],
            ..Default::default()
        };
        let swap = system.by("bob", "customer", swap);
        not_found(client.swap_seats(swap).await.expect_err("not his"));
        let events = ListBookingEventsRequest {
            of: Some(Of::BookingId(booking_id)),
            ..Default::default()
        };
        let events = system.by("bob", "customer", events);
        not_found(
            client
                .list_booking_events(events)
                .await
                .expect_err("not his"),
        );
    }

    // Nor can a customer act as another, or look at everybody.
    let other = |status: Status| assert_error(&status, Code::PermissionDenied, "OTHER_CUSTOMER");
    let reserve = reservation(&show, &["A-3"], "ann");
    let reserve = system.by("bob", "customer", reserve);
    other(client.reserve_seats(reserve).await.expect_err("not him"));
    let mut by_email = reservation(&show, &["A-3"], "");
    by_email.customer = Some(Customer::Email("ann@example.org".to_owned()));
    let by_email = system.by("bob", "customer", by_email);
    other(client.reserve_seats(by_email).await.expect_err("not him"));
    let list = |customer: Option<&str>| ListBookingsRequest {
        customer: customer.map(|id| Listed::CustomerId(id.to_owned())),
        ..Default::default()
    };
    let anns_list = system.by("bob", "customer", list(Some("ann")));
    other(client.list_bookings(anns_list).await.expect_err("not him"));
    let events = ListBookingEventsRequest {
        of: Some(Of::ShowId(show.clone())),
        ..Default::default()
    };
    let events = system.by("bob", "customer", events);
    other(
        client
            .list_booking_events(events)
            .await
            .expect_err("not his"),
    );

    // Who it is for, and who sells, see it.
    for (subject, role, count) in [
        ("bob", "customer", 0),
        ("ann", "customer", 1),
        ("sue", "staff", 1),
    ] {
        let page = client
            .list_bookings(system.by(subject, role, list(None)))
            .await;
        let bookings = page.expect("a page").into_inner().bookings;
        assert_eq!(bookings.len(), count, "{subject}");
    }
    for (subject, role) in [("ann", "customer"), ("dan", "door"), ("sue", "staff")] {
        let get = GetBookingRequest {
            booking_id: id.clone(),
        };
        let got = client.get_booking(system.by(subject, role, get)).await;
        let booking = got.expect("to be seen").into_inner().booking;
        assert_eq!(booking.expect("a booking").etag, anns.etag);
    }
    let cancel = CancelBookingRequest {
        booking_id: id,
        ..Default::default()
    };
    let cancelled = client
        .cancel_booking(system.by("ann", "customer", cancel))
        .await;
    cancelled.expect("her own");
}

#[tokio::test]
async fn a_copy_of_another_customers_call_finds_nothing() {
    let system = Guarded::start().await;
    let show = system.a_show().await;
    let booking = system.a_booking(&show, "ann", &["A-1"]).await;
    let mut client = system.bookings();
    let confirm = ConfirmBookingRequest {
        booking_id: booking.booking_id.clone(),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let first = client
        .confirm_booking(system.by("ann", "customer", confirm.clone()))
        .await;
    first.expect("her own");
    // Its request id and all of its body are known to bob, somehow.
    for _ in 0..2 {
        let copy = client
            .confirm_booking(system.by("bob", "customer", confirm.clone()))
            .await;
        assert_error(
            &copy.expect_err("not his"),
            Code::NotFound,
            "BOOKING_NOT_FOUND",
        );
    }
    let again = client
        .confirm_booking(system.by("ann", "customer", confirm))
        .await;
    again.expect("the first result");
}

#[tokio::test]
async fn an_address_that_the_issuer_has_verified_is_the_customers_own() {
    let system = Guarded::start().await;
    let show = system.a_show().await;
    system.a_booking(&show, "somebody", &["A-8"]).await;
    let mut client = system.bookings();
    let token = |subject: &str, verified: bool| {
        let mut claims = claims(subject, &["customer"]);
        claims["email"] = "Ann@Example.org".into();
        claims["email_verified"] = verified.into();
        system.issuer.token(&claims)
    };
    let mut by_email = reservation(&show, &["A-1"], "");
    by_email.customer = Some(Customer::Email("ann@example.org".to_owned()));
    let refused = client
        .reserve_seats(with_token(&token("bob", false), by_email.clone()))
        .await;
    assert_error(
        &refused.expect_err("not verified"),
        Code::PermissionDenied,
        "OTHER_CUSTOMER",
    );
    let reserved = client
        .reserve_seats(with_token(&token("ann", true), by_email))
        .await;
    let booking = reserved.expect("her own").into_inner().booking;
    let get = GetBookingRequest {
        booking_id: booking.expect("a booking").booking_id,
    };
    // By whatever name she comes.
    let got = client
        .get_booking(with_token(&token("a", true), get.clone()))
        .await;
    got.expect("her own");
    let got = client.get_booking(system.by("ann", "customer", get)).await;
    assert_error(
        &got.expect_err("unproven"),
        Code::NotFound,
        "BOOKING_NOT_FOUND",
    );
}

#[tokio::test]
async fn a_token_larger_than_any_request_may_be_gets_nowhere() {
    let system = Guarded::start().await;
    let path = "/ticketing.booking.v1.BookingService/GetBooking";
    for bytes in [7_000, 9_000, 100_000] {
        let raw = Raw::connect(system.booking.address())
            .await
            .expect("served");
        let mut head = raw.head(path);
        let token = format!("Bearer {}", "x".repeat(bytes));
        let value = HeaderValue::from_str(&token).expect("a header");
        head.headers_mut().insert(AUTHORIZATION, value);
        // A connection that is ended is an answer too.
        let Ok((answer, _body)) = raw.begin(head).await else {
            continue;
        };
        if let Ok(answer) = answer.await {
            let status = Status::from_header_map(answer.headers());
            let code = status.map(|status| status.code());
            let is_refused =
                answer.status() != StatusCode::OK || code == Some(Code::Unauthenticated);
            assert!(is_refused, "{bytes}: {answer:?}");
        }
    }
    health::ask(system.booking.address(), "", SOON)
        .await
        .expect("it goes on");
}

#[tokio::test]
async fn keys_in_a_file_are_read_again_when_they_change() {
    let system = Guarded::start().await;
    let next = Issuer::new("two");
    let keys = system.files.path().join("keys.json");
    let both = jwks(&[system.issuer.jwk(), next.jwk()]);
    std::fs::write(&keys, both).expect("a file of ours");
    let get = GetBookingRequest {
        booking_id: Uuid::new_v4().to_string(),
    };
    let token = next.token(&claims("sue", &["staff"]));
    eventually(SOON, "the new key is known", async || {
        let got = system
            .bookings()
            .get_booking(with_token(&token, get.clone()))
            .await;
        reason(&got.expect_err("there is none")) == "BOOKING_NOT_FOUND"
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_the_flags_is_said_at_the_start() {
    let folder = TempDir::new().expect("a folder");
    let keys = folder.path().join("keys.json");
    let refused = async |flags: &[&str]| {
        let listen = ["--listen", "127.0.0.1:0"];
        let ended = run("payment-sim", &[&listen, flags].concat()).await;
        assert!(!ended.status.success(), "{flags:?}");
        String::from_utf8(ended.stderr).expect("text")
    };
    let on = ["--auth-issuer", "https://id", "--auth-audience", "tickets"];
    for (flags, named) in [
        (&["--auth-issuer", "https://id"][..], "--auth-audience"),
        (
            &["--auth-issuer", "", "--auth-audience", "tickets"],
            "--auth-issuer",
        ),
        (
            &["--auth-issuer", "https://id", "--auth-audience", ""],
            "--auth-audience",
        ),
        (
            &[&on[..], &["--auth-jwks-url", "http://id/keys"]].concat(),
            "--auth-jwks-url",
        ),
        (
            &["--auth-issuer", "us", "--auth-audience", "tickets"],
            "--auth-issuer",
        ),
    ] {
        let said = refused(flags).await;
        assert!(said.contains(named), "{flags:?}: {said}");
    }
    let path = keys.to_str().expect("a name of ASCII");
    let with_file = [&on[..], &["--auth-keys", path]].concat();
    let said = refused(&with_file).await;
    assert!(
        said.contains("--auth-keys") && said.contains(path),
        "{said}"
    );
    write(
        &keys,
        "{\"keys\": [{\"kty\": \"oct\", \"kid\": \"mac\", \"k\": \"c2VjcmV0\"}]}",
    );
    let said = refused(&with_file).await;
    assert!(
        said.contains("\"mac\"") && !said.contains("c2VjcmV0"),
        "{said}"
    );
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file of ours");
}
