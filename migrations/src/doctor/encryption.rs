//! Whether others can read or change what goes to the server and comes back.

use service_kit::postgres::{Place, TlsMode};

use super::{Findings, Verdict};

const SUBJECT: &str = "encryption";
const VERIFY: &str = "set sslmode=verify-full, and sslrootcert to the file of the server's CA";

pub(super) fn check(place: &Place, findings: &mut Findings) {
    let (verdict, words) = judge(place.tls_version(), place.tls_mode(), place.is_local());
    findings.add(verdict, SUBJECT, words);
}

fn judge(version: Option<&str>, mode: TlsMode, is_local: bool) -> (Verdict, String) {
    match version {
        Some(version) if mode == TlsMode::VerifyFull => (
            Verdict::Ok,
            format!("{version}; the server's certificate and its name were verified"),
        ),
        Some(version) if mode.verifies() => (
            Verdict::Ok,
            format!(
                "{version}; the server's certificate was verified, but not its name: any host \
                 with a certificate of that CA would have done"
            ),
        ),
        Some(version) if is_local => (
            Verdict::Ok,
            format!("{version}, on this machine alone; who the server is was not verified"),
        ),
        Some(version) => (
            Verdict::Warn,
            format!(
                "{version}, but who the server is was not verified (sslmode={mode}): whoever \
                 stands between can read and change everything. To be sure, {VERIFY}"
            ),
        ),
        None if is_local => (Verdict::Ok, "none, on this machine alone".to_owned()),
        None => (
            Verdict::Warn,
            format!(
                "none (sslmode={mode}), and the server is another machine: the network can read \
                 everything. Let the server have TLS, and {VERIFY}"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_verified_is_well_on_another_machine() {
        let tls = Some("TLSv1.3");
        for (version, mode, here, there) in [
            (None, TlsMode::Disable, Verdict::Ok, Verdict::Warn),
            (None, TlsMode::Prefer, Verdict::Ok, Verdict::Warn),
            (tls, TlsMode::Prefer, Verdict::Ok, Verdict::Warn),
            (tls, TlsMode::Require, Verdict::Ok, Verdict::Warn),
            (tls, TlsMode::VerifyCa, Verdict::Ok, Verdict::Ok),
            (tls, TlsMode::VerifyFull, Verdict::Ok, Verdict::Ok),
        ] {
            assert_eq!(judge(version, mode, true).0, here, "{mode} here");
            let (verdict, words) = judge(version, mode, false);
            assert_eq!(verdict, there, "{mode} there");
            let says_what = words.contains("sslmode=verify-full");
            assert_eq!(says_what, there == Verdict::Warn, "{words}");
        }
    }
}
