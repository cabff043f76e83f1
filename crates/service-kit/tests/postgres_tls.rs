//! TLS to PostgreSQL: what each sslmode does, and what a connection that fails says.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use service_kit::postgres::{Database, DatabaseUrl};
use tempfile::TempDir;
use test_harness::eventually;
use test_harness::postgres::certificates::{Authority, Pair, Valid, self_signed};
use test_harness::postgres::{OwnServer, TestDatabase, TlsServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use url::Url;

const ROLE: &str = "booking_svc";
const SOON: Duration = Duration::from_secs(10);

/// The files of a test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, contents).expect("a file");
        path
    }

    /// `&sslcert=…&sslkey=…`
    fn identity(&self, name: &str, pair: &Pair) -> String {
        let certificate = self.write(&format!("{name}.crt"), &pair.certificate);
        let key = self.write(&format!("{name}.key"), &pair.key);
        format!(
            "&sslcert={}&sslkey={}",
            certificate.display(),
            key.display()
        )
    }
}

/// A database's URL for a role, by the server's address alone, with these parameters.
fn url(database: &TestDatabase, parameters: &str) -> String {
    let whole = database.url(ROLE);
    let bare = whole.split('?').next().expect("a URL");
    format!("{bare}?{parameters}")
}

/// The same by a name that the server's certificate does not have.
fn by_another_name(database: &TestDatabase, parameters: &str) -> String {
    let parameters = format!("hostaddr=127.0.0.1&{parameters}");
    let url = url(database, parameters.trim_end_matches('&'));
    url.replacen("127.0.0.1", "db.example", 1)
}

fn at(url: &str) -> Database {
    let url = DatabaseUrl::parse(url).unwrap_or_else(|why| panic!("{url} {why}"));
    Database::new(&url, "test")
}

/// What connecting comes to: the TLS of the connection, or why there is none. Both ends agree.
async fn connect(url: &str) -> Result<Option<&'static str>, String> {
    let connected = at(url).connect_somewhere().await;
    let (client, place) = connected.map_err(|error| error.to_string())?;
    let query = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = client.query_one(query, &[]).await.expect("a row");
    let version = place.tls_version();
    assert_eq!(row.get::<_, Option<&str>>(0), version, "{url}");
    Ok(version)
}

/// What is expected of a connection.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Plain,
    Encrypted,
    Refused(&'static str),
}

use Expected::{Encrypted, Plain, Refused};

async fn assert_comes_to(url: &str, expected: Expected) {
    let came = connect(url).await;
    let is_so = match (&came, expected) {
        (Ok(None), Plain) => true,
        (Ok(Some(version)), Encrypted) => *version == "TLSv1.3",
        (Err(error), Refused(words)) => {
            error.contains(words) && error.contains("database ticketing_test_")
        }
        _ => false,
    };
    assert!(is_so, "{url}: expected {expected:?}, came {came:?}");
}

const NO_TLS: Expected = Refused("the server has no TLS");
const INSISTS: Expected = Refused("add sslmode=verify-full");
const UNKNOWN: Expected = Refused("not signed by a CA that is trusted");
const NAME: Expected = Refused("is not for db.example, but for ");

#[tokio::test]
async fn each_mode_means_what_it_means_to_libpq() {
    let authority = Authority::new("ours");
    let tls = OwnServer::start_tls(&authority, TlsServer::default()).await;
    let plain = OwnServer::start_plain().await;
    let (tls, plain) = (tls.database().await, plain.database().await);
    let files = Files::new();
    let good = files.write("good.pem", authority.pem());
    let other = files.write("other.pem", Authority::new("another").pem());
    let by = |mode: &str, root: &Path| format!("sslmode={mode}&sslrootcert={}", root.display());

    // Without a root, another CA is none.
    for (parameters, without_tls, with_tls, by_name) in [
        ("", Plain, INSISTS, INSISTS),
        ("sslmode=disable", Plain, INSISTS, INSISTS),
        ("sslmode=prefer", Plain, Encrypted, Encrypted),
        ("sslmode=require", NO_TLS, Encrypted, Encrypted),
    ] {
        assert_comes_to(&url(&plain, parameters), without_tls).await;
        assert_comes_to(&url(&tls, parameters), with_tls).await;
        assert_comes_to(&by_another_name(&tls, parameters), by_name).await;
    }
    for (mode, by_name) in [
        // As verify-ca, where there is a root.
        ("require", Encrypted),
        ("verify-ca", Encrypted),
        ("verify-full", NAME),
    ] {
        let (good, other) = (by(mode, &good), by(mode, &other));
        assert_comes_to(&url(&plain, &good), NO_TLS).await;
        assert_comes_to(&url(&tls, &good), Encrypted).await;
        assert_comes_to(&url(&tls, &other), UNKNOWN).await;
        assert_comes_to(&by_another_name(&tls, &good), by_name).await;
    }
}

#[tokio::test]
async fn what_is_preferred_is_done_without_if_the_server_lets_nobody_in_over_tls() {
    let authority = Authority::new("ours");
    let hba = "hostssl all postgres 127.0.0.1/32 trust\n\
               hostnossl all all 127.0.0.1/32 trust\n";
    let how = TlsServer {
        hba: Some(hba.to_owned()),
        client_ca: None,
    };
    let server = OwnServer::start_tls(&authority, how).await;
    let there = server.database().await;
    assert_comes_to(&url(&there, "sslmode=prefer"), Plain).await;
    let refused = Refused("no pg_hba.conf entry");
    assert_comes_to(&url(&there, "sslmode=require"), refused).await;
    // Both reasons are said, if neither works.
    let nobody = url(&there, "sslmode=prefer").replacen(ROLE, "nobody", 1);
    let error = connect(&nobody).await.expect_err("no such role");
    let reasons = ["SSL encryption", "and without TLS: fatal 28000 role"];
    assert!(
        reasons.iter().all(|reason| error.contains(reason)),
        "{error}"
    );
}

#[tokio::test]
async fn dates_are_verified_and_files_are_read_for_each_connection() {
    let authority = Authority::new("ours");
    let server = OwnServer::start_tls(&authority, TlsServer::default()).await;
    let there = server.database().await;
    let files = Files::new();
    let root = files.write("root.pem", authority.pem());
    let verified = url(
        &there,
        &format!("sslmode=verify-full&sslrootcert={}", root.display()),
    );
    // One database for all of it: nothing is started anew.
    let database = at(&verified);
    let fails = async |words: &str| {
        eventually(SOON, words, async || {
            let error = database.connect().await.err();
            error.is_some_and(|error| !error.may_pass() && error.to_string().contains(words))
        })
        .await;
    };
    let works = async |when: &str| {
        eventually(SOON, when, async || database.connect().await.is_ok()).await;
    };
    works("at first").await;

    let names = ["127.0.0.1"];
    let expired = authority.server(&names, Valid::Before);
    server.replace_certificate(&expired).await;
    fails("has expired").await;
    assert_comes_to(&url(&there, "sslmode=require"), Encrypted).await;
    let later = authority.server(&names, Valid::Later);
    server.replace_certificate(&later).await;
    fails("is not valid yet").await;

    let next = Authority::new("the next");
    server
        .replace_certificate(&next.server(&names, Valid::Now))
        .await;
    fails("not signed by a CA that is trusted").await;
    // A CA is rotated by trusting both for a while.
    fs::write(&root, authority.pem().to_owned() + next.pem()).expect("the root file");
    works("with both CAs").await;
    fs::remove_file(&root).expect("the root file");
    fails("root.pem: cannot be read: No such file").await;
    fs::write(&root, next.pem()).expect("the root file");
    works("with the next CA").await;

    let own = self_signed(&names, Valid::Now);
    server.replace_certificate(&own).await;
    fails("not signed by a CA that is trusted").await;
    fs::write(&root, &own.certificate).expect("the root file");
    works("with a certificate that is its own root").await;
    let expired = self_signed(&names, Valid::Before);
    fs::write(&root, &expired.certificate).expect("the root file");
    server.replace_certificate(&expired).await;
    fails("has expired").await;
}

#[tokio::test]
async fn sqlx_is_led_over_the_same_tls() {
    let authority = Authority::new("ours");
    let server = OwnServer::start_tls(&authority, TlsServer::default()).await;
    let there = server.database().await;
    let files = Files::new();
    let root = files.write("root.pem", authority.pem());
    let by = |mode: &str| format!("sslmode={mode}&sslrootcert={}", root.display());
    for (mode, url) in [
        ("verify-full", url(&there, &by("verify-full"))),
        ("verify-ca", by_another_name(&there, &by("verify-ca"))),
    ] {
        fs::write(&root, authority.pem()).expect("the root file");
        let place = at(&url).find().await.expect("a place");
        let route = place.route().await.expect("a way");
        assert!(route.socket().is_some() && route.url().contains("sslmode=disable"));
        fs::write(&root, Authority::new("another").pem()).expect("the root file");
        let refused = place.route().await.expect_err("another CA");
        let words = refused.to_string();
        assert!(words.contains("not signed by a CA"), "{mode}: {words}");
    }
    // Without TLS there is nothing in between.
    let plain = OwnServer::start_plain().await;
    let there = plain.database().await;
    let place = at(&url(&there, "sslmode=prefer")).find().await;
    let route = place.expect("a place").route().await.expect("a way");
    assert!(route.socket().is_none());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nobody_else_is_let_into_the_socket_of_sqlx() {
    let authority = Authority::new("ours");
    let server = OwnServer::start_tls(&authority, TlsServer::default()).await;
    let there = server.database().await;
    let place = at(&url(&there, "sslmode=require")).find().await;
    let place = place.expect("a place");
    let no_task_is_left = async || Handle::current().metrics().num_alive_tasks() == 0;
    eventually(SOON, "what was connected is closed", no_task_is_left).await;
    let route = place.route().await.expect("a way");
    let url: Url = route.url().parse().expect("a URL");
    let name = format!(".s.PGSQL.{}", url.port().expect("a port"));
    let socket = route.socket().expect("it has TLS").join(name);

    let intruding = {
        // Cargo builds examples before tests, and puts them beside the tests' folder.
        let own = env::current_exe().expect("a test");
        let profile = own.parent().and_then(Path::parent).expect("target");
        let mut command = Command::new(profile.join("examples").join("intruder"));
        // No variable can begin with a zero.
        let socket = socket.to_str().expect("text").trim_start_matches('\0');
        command.arg(socket);
        spawn_blocking(move || command.status())
    };
    let intruded = intruding.await.expect("no panic").expect("it runs");
    assert!(intruded.success(), "it was let in, or found no socket");

    let ours = UnixStream::connect(&socket).await.expect("ours");
    // It ends with us, though the server hangs and never answers that.
    server.freeze();
    drop(ours);
    eventually(SOON, "the connection has ended", no_task_is_left).await;
    server.go_on();
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_a_bad_one_is_explained() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let hba = "hostssl all postgres 127.0.0.1/32 trust\n\
               hostssl all all 127.0.0.1/32 cert\n";
    let how = TlsServer {
        hba: Some(hba.to_owned()),
        client_ca: Some(clients.pem().to_owned()),
    };
    let server = OwnServer::start_tls(&servers, how).await;
    let there = server.database().await;
    let files = Files::new();
    let with = |identity: &str| url(&there, &format!("sslmode=require{identity}"));

    let good = files.identity("good", &clients.client(ROLE));
    assert_comes_to(&with(&good), Encrypted).await;
    let none = Refused("connection requires a valid client certificate");
    assert_comes_to(&with(""), none).await;
    let other = files.identity("other", &servers.client(ROLE));
    let refused = Refused("the server refused the certificate of sslcert");
    assert_comes_to(&with(&other), refused).await;
    let nobody = files.identity("nobody", &clients.client("nobody"));
    let failed = Refused("certificate authentication failed");
    assert_comes_to(&with(&nobody), failed).await;
}

#[tokio::test]
async fn scram_binds_to_the_channel() {
    let authority = Authority::new("ours");
    let hba = "hostssl all postgres 127.0.0.1/32 trust\n\
               hostssl all all 127.0.0.1/32 scram-sha-256\n";
    let how = TlsServer {
        hba: Some(hba.to_owned()),
        client_ca: None,
    };
    let server = OwnServer::start_tls(&authority, how).await;
    let there = server.database().await;
    let owner = there.owner().await;
    let set = format!("SET password_encryption = 'scram-sha-256'; ALTER ROLE {ROLE} PASSWORD 'p'");
    owner.batch_execute(&set).await.expect("a password");
    let with_password = |parameters: &str| {
        let mut url: Url = url(&there, parameters).parse().expect("a URL");
        url.set_password(Some("p")).expect("it has a host");
        url.to_string()
    };
    let bound = with_password("sslmode=require&channel_binding=require");
    assert_comes_to(&bound, Encrypted).await;
    // The driver of catalog-svc has none.
    let refused = at(&bound).check_for_sqlx().expect_err("it must be bound");
    assert!(refused.contains("channel_binding"), "{refused}");
    at(&with_password("sslmode=require"))
        .check_for_sqlx()
        .expect("by default it is preferred");
    let trusted = url(&there, "sslmode=require&channel_binding=require");
    let trusted = trusted.replacen(ROLE, "postgres", 1);
    let unbound = Refused("server did not use channel binding");
    assert_comes_to(&trusted, unbound).await;
}

#[tokio::test]
async fn the_name_is_that_of_the_host_that_is_tried() {
    let authority = Authority::new("ours");
    let server = OwnServer::start_tls(&authority, TlsServer::default()).await;
    let there = server.database().await;
    let files = Files::new();
    let root = files.write("root.pem", authority.pem());
    let verified = format!("sslmode=verify-full&sslrootcert={}", root.display());
    let url = url(&there, &verified);
    let port = Url::parse(&url).expect("a URL").port().expect("a port");
    let with_hosts = |hosts: &str, addresses: &str| {
        let url = url.replacen(&format!("127.0.0.1:{port}"), hosts, 1);
        format!("{url}&hostaddr={addresses}")
    };
    let good_second = with_hosts(
        &format!("db.example:{port},localhost:{port}"),
        "127.0.0.1,127.0.0.1",
    );
    assert_comes_to(&good_second, Encrypted).await;
    let none = with_hosts(
        &format!("db.example:{port},db2.example:{port}"),
        "127.0.0.1,127.0.0.1",
    );
    let error = connect(&none).await.expect_err("no host has its name");
    for name in ["is not for db.example,", "is not for db2.example,"] {
        assert!(error.contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_host_that_hangs_in_the_handshake_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hung = listener.local_addr().expect("an address");
    let hanging = tokio::spawn(async move {
        let mut streams = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            // It has TLS, and then says nothing.
            stream.read_exact(&mut [0; 8]).await.expect("a request");
            stream.write_all(b"S").await.expect("an answer");
            streams.push(stream);
        }
    });
    let authority = Authority::new("ours");
    let server = OwnServer::start_tls(&authority, TlsServer::default()).await;
    let there = server.database().await;
    let url = url(&there, "sslmode=require");
    let parsed = Url::parse(&url).expect("a URL");
    let good = format!("127.0.0.1:{}", parsed.port().expect("a port"));
    let url = url.replacen(&good, &format!("{hung},{good}"), 1);
    let began = Instant::now();
    assert_comes_to(&url, Encrypted).await;
    // One bounded attempt, and what else may take time on a busy machine.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3 + 5), "{took:?}");
    hanging.abort();
}
