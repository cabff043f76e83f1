//! What is said of certificates that cannot be used, and what becomes of handshakes.

use std::path::PathBuf;

use service_kit::tls::{Certificates, ServerTlsArgs};
use test_harness::certificates::{Authority, Identity};

fn args(identity: &Identity) -> ServerTlsArgs {
    ServerTlsArgs {
        tls_cert: Some(PathBuf::from(&identity.cert)),
        tls_key: Some(PathBuf::from(&identity.key)),
        ..ServerTlsArgs::default()
    }
}

/// What a start says of these; empty if it takes them.
fn said(args: &ServerTlsArgs) -> String {
    match Certificates::default().server(args) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_file_that_cannot_be_used_is_named_with_the_reason() {
    let authority = Authority::new("A CA");
    let good = authority.issue("good");
    assert_eq!(said(&args(&good)), "");
    let other = authority.issue("other");
    let file = |name: &str, content: &str| {
        let path = authority.file(name);
        std::fs::write(&path, content).expect("a file of our own");
        path
    };
    let with_cert = |cert: String| {
        args(&Identity {
            cert,
            ..good.clone()
        })
    };
    let with_key = |key: String| {
        args(&Identity {
            key,
            ..good.clone()
        })
    };
    let with_ca = |ca: String| ServerTlsArgs {
        tls_client_ca: Some(ca.into()),
        ..args(&good)
    };
    let key_text = std::fs::read_to_string(&good.key).expect("the key");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----";
    let broken = "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n";
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let large = "x".repeat(1024 * 1024 + 1);
    let expired = authority.issue_within("expired", [2019, 2020]);
    let early = authority.issue_within("early", [2999, 3000]);
    let no_ca = Authority::without_right_to_sign(false);
    let may_not_sign = Authority::without_right_to_sign(true);
    for (given, flag, why) in [
        (
            with_cert(authority.file("none")),
            "--tls-cert",
            "cannot be read: No such file",
        ),
        (
            with_cert(authority.file("")),
            "--tls-cert",
            "cannot be read: Is a directory",
        ),
        (
            with_cert(file("text", "nonsense")),
            "--tls-cert",
            "is not PEM",
        ),
        (
            with_cert(file("broken", broken)),
            "--tls-cert",
            "is not PEM",
        ),
        (
            with_cert(file("no-der", no_der)),
            "--tls-cert",
            "certificate that cannot be read",
        ),
        (
            with_cert(file("large", &large)),
            "--tls-cert",
            "larger than 1 MiB",
        ),
        (
            with_cert(file("key", &key_text)),
            "--tls-cert",
            "has no certificate",
        ),
        (
            with_key(good.cert.clone()),
            "--tls-key",
            "has no private key",
        ),
        (
            with_key(file("encrypted", encrypted)),
            "--tls-key",
            "encrypted key",
        ),
        (
            with_key(other.key.clone()),
            "--tls-key",
            "does not match the certificate of --tls-cert",
        ),
        (args(&expired), "--tls-cert", "expired at 2020-01-01"),
        (args(&early), "--tls-cert", "not valid before 2999-01-01"),
        (
            with_ca(authority.file("none")),
            "--tls-client-ca",
            "cannot be read",
        ),
        (
            with_ca(good.key.clone()),
            "--tls-client-ca",
            "has no certificate",
        ),
        (
            with_ca(good.cert.clone()),
            "--tls-client-ca",
            "is not a CA's",
        ),
        (with_ca(no_ca.ca()), "--tls-client-ca", "is not a CA's"),
        (
            with_ca(may_not_sign.ca()),
            "--tls-client-ca",
            "lacks keyCertSign",
        ),
    ] {
        let said = said(&given);
        assert!(
            said.starts_with(flag) && said.contains(why),
            "{why}: {said:?}"
        );
        assert_eq!(said.lines().count(), 1, "{said:?}");
    }
}

#[test]
fn half_of_a_pair_is_refused() {
    let authority = Authority::new("A CA");
    let good = authority.issue("good");
    for (given, flag, lacking) in [
        (
            ServerTlsArgs {
                tls_key: None,
                ..args(&good)
            },
            "--tls-cert",
            "--tls-key",
        ),
        (
            ServerTlsArgs {
                tls_cert: None,
                ..args(&good)
            },
            "--tls-key",
            "--tls-cert",
        ),
        (
            ServerTlsArgs {
                tls_client_ca: Some(authority.ca().into()),
                ..ServerTlsArgs::default()
            },
            "--tls-client-ca",
            "--tls-cert",
        ),
    ] {
        let said = said(&given);
        assert!(said.starts_with(flag) && said.contains(lacking), "{said}");
    }
    let none = Certificates::default().server(&ServerTlsArgs::default());
    assert!(none.expect("nothing to read").is_none());
}
