use std::fs;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

fn settings(mode: &str, root: &str, certificate: &str, key: &str) -> Result<TlsSettings, String> {
    let some = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    TlsSettings::new(TlsParameters {
        mode: some(mode),
        root_certificate: some(root),
        certificate: some(certificate),
        key: some(key),
    })
}

/// A certificate that signs itself, and its key, as PEM.
fn pair() -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

fn write(folder: &TempDir, name: &str, contents: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    fs::write(&path, contents).expect("a file");
    path.display().to_string()
}

#[test]
fn only_loopback_and_sockets_are_plain_by_default() {
    let unsaid = settings("", "", "", "").expect("nothing is fine");
    let asked = settings("require", "", "", "").expect("a mode");
    for (address, expected) in [
        ("127.0.0.1", TlsMode::Disable),
        ("127.8.0.1", TlsMode::Disable),
        ("::1", TlsMode::Disable),
        ("::ffff:127.0.0.1", TlsMode::Disable),
        ("10.0.0.1", TlsMode::Prefer),
        ("2001:db8::1", TlsMode::Prefer),
    ] {
        let address = Some(address.parse().expect("an address"));
        assert_eq!(unsaid.mode_at(address), expected, "{address:?}");
        assert_eq!(asked.mode_at(address), TlsMode::Require, "{address:?}");
    }
    assert_eq!(asked.mode_at(None), TlsMode::Disable, "a socket has none");
}

#[test]
fn modes_and_roots_that_do_not_fit_are_refused() {
    let folder = TempDir::new().expect("a folder");
    let root = write(&folder, "root.pem", pair().0);
    for (mode, root, words) in [
        ("allow", "", "sslmode=allow"),
        ("Require", "", "an sslmode of disable"),
        ("verify-ca", "", "sslrootcert"),
        ("verify-ca", "system", "verify-full"),
        ("require", "system", "verify-full"),
        ("disable", "system", "verify-full"),
        ("prefer", &root, "nothing would be verified"),
        ("", &root, "nothing would be verified"),
    ] {
        let why = settings(mode, root, "", "").expect_err(mode);
        assert!(
            why.starts_with("must ") && why.contains(words),
            "{mode}: {why}"
        );
    }
    for (mode, expected) in [
        ("disable", TlsMode::Disable),
        ("require", TlsMode::VerifyCa),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-full", TlsMode::VerifyFull),
    ] {
        let found = settings(mode, &root, "", "").expect(mode);
        let address = Some("10.0.0.1".parse().expect("an address"));
        assert_eq!(found.mode_at(address), expected);
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_what_to_do() {
    let folder = TempDir::new().expect("a folder");
    let (certificate, key) = pair();
    let der = [0x30, 0x82, 1, 2];
    let broken = certificate.replacen("MII", "!!!", 1);
    let truncated = &certificate[..certificate.len() / 2];
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let absent = folder.path().join("absent").display().to_string();
    let file = |name: &str, contents: &[u8]| write(&folder, name, contents);
    for (root, words) in [
        (absent.clone(), "cannot be read: No such file"),
        (folder.path().display().to_string(), "cannot be read: Is a"),
        (file("empty", b""), "is not PEM"),
        (file("key.pem", key.as_bytes()), "has no certificate"),
        (file("der", &der), "-inform der"),
        (file("broken", broken.as_bytes()), "is not PEM: "),
        (file("truncated", truncated.as_bytes()), "is not PEM: "),
        (file("garbage", garbage.as_bytes()), "cannot be read: "),
        (file("large", &vec![b'x'; 1 << 21]), "is larger than"),
    ] {
        let why = settings("verify-full", &root, "", "").expect_err(&root);
        let named = format!("sslrootcert {root}: ");
        assert!(why.contains(&named) && why.contains(words), "{why}");
    }

    let (_, another) = pair();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n\
               -----END EC PRIVATE KEY-----\n";
    let certificate = write(&folder, "certificate.pem", certificate);
    for (key, words) in [
        (absent, "cannot be read: No such file"),
        (certificate.clone(), "has no private key"),
        (file("encrypted", encrypted.as_bytes()), "encrypted key"),
        (file("old", old.as_bytes()), "encrypted key"),
        (file("another", another.as_bytes()), "is not the key of"),
    ] {
        let why = settings("require", "", &certificate, &key).expect_err(&key);
        let named = format!("sslkey {key}: ");
        assert!(why.contains(&named) && why.contains(words), "{why}");
    }
    let key = write(&folder, "key", key);
    settings("require", "", &certificate, &key).expect("a pair");
    for (certificate, key) in [(certificate.as_str(), ""), ("", key.as_str())] {
        let why = settings("require", "", certificate, key).expect_err("a half");
        assert!(why.contains("both sslcert and sslkey"), "{why}");
    }
}
