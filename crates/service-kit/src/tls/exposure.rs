//! The rule for who may listen where.

use std::net::IpAddr;

/// Checks that calls to `ip` are protected if other hosts can make them: a server must not be open
/// to a network because somebody forgot a flag. `insecure` is the operator's word that it is meant.
///
/// # Errors
///
/// What is missing, and what to do, in one line.
pub fn check_exposure(ip: IpAddr, has_tls: bool, insecure: bool) -> Result<(), String> {
    if ip.to_canonical().is_loopback() || has_tls || insecure {
        return Ok(());
    }
    Err(
        "other hosts reach that address, and there is no TLS: give --tls-cert and --tls-key, \
         listen on 127.0.0.1, or say --insecure if something before it has TLS"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_served_in_plain_text_without_a_word() {
        for (ip, has_tls, insecure, allowed) in [
            ("127.0.0.1", false, false, true),
            ("127.8.8.8", false, false, true),
            ("::1", false, false, true),
            ("::ffff:127.0.0.1", false, false, true),
            ("0.0.0.0", false, false, false),
            ("::", false, false, false),
            ("10.0.0.1", false, false, false),
            ("::ffff:10.0.0.1", false, false, false),
            ("0.0.0.0", true, false, true),
            ("0.0.0.0", false, true, true),
        ] {
            let checked = check_exposure(ip.parse().expect("an address"), has_tls, insecure);
            assert_eq!(checked.is_ok(), allowed, "{ip} {has_tls} {insecure}");
            if let Err(why) = checked {
                assert!(
                    why.contains("--tls-cert") && why.contains("--insecure"),
                    "{why}"
                );
            }
        }
    }
}
