//! A database's URL as it is given.

use std::fmt;

use tokio_postgres::Config;

use super::parameters;
use super::tls::TlsSettings;

/// The most hosts of a URL.
const HOSTS_MAX: usize = 8;
const FORM: &str = "must be as postgres://user:password@host:port/database, with what has a \
                    meaning in a URL percent-encoded (as %40 for @)";

/// A database's URL. It holds a password, so nothing prints it.
#[derive(Clone)]
pub struct DatabaseUrl {
    /// All but what is about TLS.
    pub(super) config: Config,
    pub(super) tls: TlsSettings,
}

impl DatabaseUrl {
    /// Reads a URL, and the files for TLS that it names.
    ///
    /// # Errors
    ///
    /// A text that says what it must be, and repeats nothing of the URL but the paths of files.
    pub fn parse(text: &str) -> Result<Self, String> {
        // With an @ in the password its rest would be read as a host's name, which errors tell.
        if text.contains("://") && text.matches('@').count() > 1 {
            return Err(FORM.to_owned());
        }
        let (text, parameters) = parameters::take(text, FORM)?;
        // The driver's own words may quote a part of the password.
        let config: Config = text.parse().map_err(|_| FORM.to_owned())?;
        let (names, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
        let (hosts, ports) = (names.max(addresses), config.get_ports().len());
        if hosts == 0 {
            return Err("must name a host".to_owned());
        }
        if hosts > HOSTS_MAX {
            return Err(format!("must not name more than {HOSTS_MAX} hosts"));
        }
        if (addresses > 0 && names > 0 && addresses != names) || (ports > 1 && ports != hosts) {
            return Err("must have a port, and an address if any, for each host".to_owned());
        }
        let tls = TlsSettings::new(parameters)?;
        Ok(Self { config, tls })
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::Database;

    #[test]
    fn a_password_may_have_anything_that_is_encoded() {
        for text in [
            "postgres://svc:secret@127.0.0.1:5432/ticketing",
            "postgresql://svc:se%40cr%3At@a:1,[::1]:2/ticketing?target_session_attrs=read-write",
            "postgres://svc:sec/ret?#=+@localhost/ticketing",
            "host=localhost user=svc password='sec@ret' dbname=ticketing",
            "postgres://svc:secret@%2Frun%2Fpostgresql/ticketing",
        ] {
            let url = DatabaseUrl::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            let told = format!("{url:?} {:?} {}", &url, Database::new(&url, "test"));
            assert!(!told.contains("ret"), "{told}");
        }
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        for text in [
            "",
            "secret",
            "bogus secret",
            "postgres://",
            "postgres://svc:secret@",
            "postgres://svc:secret",
            "postgres://svc:secret/ticketing",
            "postgres://svc:x@secret@host/ticketing",
            "postgres://svc:x@y/secret@host/ticketing",
            "postgres://svc:secret@host:port/ticketing",
            "postgres://svc:secret@host/ticketing?sslmode=allow",
            "postgres://svc:secret@host/ticketing?sslmode=verify-ca",
            "postgres://svc:secret@host/ticketing?sslmode=secret",
            "postgres://svc:secret@a,b,c,d,e,f,g,h,i/ticketing",
            "mysql://svc:secret@host/ticketing",
            "postgres://svc:secret@host/x postgres://svc:secret@host/x",
        ] {
            let why = DatabaseUrl::parse(text).expect_err(text);
            assert_eq!(
                why.contains("sslmode"),
                text.contains("sslmode"),
                "{text}: {why}"
            );
            assert!(
                why.starts_with("must ") && !why.contains("secret"),
                "{text}: {why}"
            );
        }
    }
}
