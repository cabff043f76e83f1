//! `migrate` over TLS: its own driver is sqlx, and means the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use test_harness::postgres::certificates::Authority;
use test_harness::postgres::{OWNER, OwnServer, TestDatabase, TlsServer};

fn migrate(arguments: &[&str], url: &str, system_roots: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.args(arguments).args(["--database-url", url]);
    if let Some(file) = system_roots {
        command
            .env("SSL_CERT_FILE", file)
            .env_remove("SSL_CERT_DIR");
    }
    command.output().expect("run migrate")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The one line that an error is.
fn error(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with("error: ") && !said.contains("a-secret"),
        "{said}"
    );
    said
}

/// The owner's URL with these parameters and a password.
fn url(database: &TestDatabase, parameters: &str) -> String {
    let whole = database.url(OWNER);
    let bare = whole.split('?').next().expect("a URL");
    let bare = bare.replacen("postgres@", "postgres:a-secret@", 1);
    format!("{bare}?{parameters}")
}

fn by_another_name(database: &TestDatabase, parameters: &str) -> String {
    let parameters = format!("hostaddr=127.0.0.1&{parameters}");
    let url = url(database, parameters.trim_end_matches('&'));
    url.replacen("127.0.0.1", "db.example", 1)
}

struct Stage {
    tls: OwnServer,
    folder: TempDir,
    good: PathBuf,
    other: PathBuf,
}

impl Stage {
    async fn new() -> Self {
        let authority = Authority::new("ours");
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, authority: &Authority| {
            let path = folder.path().join(name);
            fs::write(&path, authority.pem()).expect("a file");
            path
        };
        Self {
            tls: OwnServer::start_tls(&authority, TlsServer::default()).await,
            good: write("good.pem", &authority),
            other: write("other.pem", &Authority::new("another")),
            folder,
        }
    }
}

#[tokio::test]
async fn each_mode_means_the_same_to_migrate() {
    let stage = Stage::new().await;
    let plain = OwnServer::start_plain().await;
    let (tls, plain) = (stage.tls.database().await, plain.database().await);
    let (good, other) = (stage.good.display(), stage.other.display());
    let no_tls = "the server has no TLS";
    let insists = "add sslmode=verify-full";
    let unknown = "not signed by a CA that is trusted";
    let name = "is not for db.example";
    // On a server without TLS, on one with it, and there by another name; empty if it works.
    for (parameters, without, with, by_name) in [
        (String::new(), "", insists, insists),
        ("sslmode=disable".to_owned(), "", insists, insists),
        ("sslmode=prefer".to_owned(), "", "", ""),
        ("sslmode=require".to_owned(), no_tls, "", ""),
        (
            format!("sslmode=require&sslrootcert={good}"),
            no_tls,
            "",
            "",
        ),
        (
            format!("sslmode=verify-ca&sslrootcert={good}"),
            no_tls,
            "",
            "",
        ),
        (
            format!("sslmode=verify-full&sslrootcert={good}"),
            no_tls,
            "",
            name,
        ),
        (
            format!("sslmode=verify-ca&sslrootcert={other}"),
            no_tls,
            unknown,
            unknown,
        ),
        (
            format!("sslmode=verify-full&sslrootcert={other}"),
            no_tls,
            unknown,
            unknown,
        ),
    ] {
        for (url, expected) in [
            (url(&plain, &parameters), without),
            (url(&tls, &parameters), with),
            (by_another_name(&tls, &parameters), by_name),
        ] {
            let output = migrate(&["status"], &url, None);
            if expected.is_empty() {
                assert!(output.status.success(), "{url}: {}", text(&output.stderr));
                assert!(text(&output.stdout).contains("applied 0001"), "{url}");
            } else {
                let error = error(&output);
                assert!(error.contains(expected), "{url}: {error}");
                assert!(error.contains("as postgres"), "{url}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn everything_it_does_is_done_over_tls() {
    let stage = Stage::new().await;
    let database = stage.tls.empty_database().await;
    let good = stage.good.display();
    let verified = url(
        &database,
        &format!("sslmode=verify-full&sslrootcert={good}"),
    );
    let up = migrate(&["up"], &verified, None);
    assert!(up.status.success(), "{}", text(&up.stderr));
    assert!(text(&up.stdout).contains("applied 0001"));
    let accept = migrate(&["accept-catalog"], &verified, None);
    assert!(accept.status.success(), "{}", text(&accept.stderr));
    for (parameters, line) in [
        (
            format!("sslmode=verify-full&sslrootcert={good}"),
            "OK    encryption: TLSv1.3; the server's certificate and its name were verified",
        ),
        (
            format!("sslmode=verify-ca&sslrootcert={good}"),
            "OK    encryption: TLSv1.3; the server's certificate was verified, but not its name",
        ),
        // On this machine nobody stands between.
        ("sslmode=require".to_owned(), "OK    encryption: TLSv1.3"),
    ] {
        let said = text(&migrate(&["doctor"], &url(&database, &parameters), None).stdout);
        assert!(
            said.lines().any(|said| said.starts_with(line)),
            "{line}: {said}"
        );
    }
    let refused = migrate(
        &["doctor"],
        &by_another_name(
            &database,
            &format!("sslmode=verify-full&sslrootcert={good}"),
        ),
        None,
    );
    let said = text(&refused.stdout);
    assert!(
        said.contains("FAIL  connection: ") && said.contains("is not for db.example"),
        "{said}"
    );
    let bound = url(&database, "sslmode=require&channel_binding=require");
    let error = error(&migrate(&["status"], &bound, None));
    assert!(
        error.contains("the database's URL must not ask for channel_binding"),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_root_the_systems_are_trusted() {
    let stage = Stage::new().await;
    let database = stage.tls.database().await;
    for parameters in [
        "sslmode=verify-full",
        "sslrootcert=system",
        "sslmode=verify-full&sslrootcert=system",
    ] {
        let url = url(&database, parameters);
        let done = migrate(&["status"], &url, Some(&stage.good));
        assert!(
            done.status.success(),
            "{parameters}: {}",
            text(&done.stderr)
        );
        let other = error(&migrate(&["status"], &url, Some(&stage.other)));
        assert!(
            other.contains("not signed by a CA that is trusted (the system's)"),
            "{other}"
        );
        let empty = stage.folder.path().join("empty.pem");
        fs::write(&empty, "").expect("a file");
        let none = error(&migrate(&["status"], &url, Some(&empty)));
        assert!(none.contains("the system has no CA certificates"), "{none}");
    }
}
