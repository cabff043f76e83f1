//! A host and a port, to listen on or to ask.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use tokio::net::lookup_host;

const FORM: &str = "must be as 127.0.0.1:50051, [::1]:50051 or localhost:50051";
/// The longest name that DNS has.
const NAME_BYTES_MAX: usize = 253;

/// A host and a port: an address, or a name that is looked up when it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort(Way);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Address(SocketAddr),
    Name(String, u16),
}

impl HostPort {
    /// Its current addresses, those of IPv4 first: a server on `localhost` mostly listens on
    /// 127.0.0.1.
    ///
    /// # Errors
    ///
    /// If its name is not known.
    pub async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        match &self.0 {
            Way::Address(address) => Ok(vec![*address]),
            Way::Name(name, port) => {
                let mut found: Vec<_> = lookup_host((name.as_str(), *port)).await?.collect();
                found.sort_by_key(SocketAddr::is_ipv6);
                Ok(found)
            }
        }
    }

    /// The address at which a listener here is reached from the same host.
    #[must_use]
    pub fn from_here(&self) -> Self {
        let Way::Address(address) = &self.0 else {
            return self.clone();
        };
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, address.port()).into()
    }
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> Self {
        Self(Way::Address(address))
    }
}

impl FromStr for HostPort {
    type Err = &'static str;

    /// The error does not repeat the text, which may be a URL with a password in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let (name, port) = text.rsplit_once(':').ok_or(FORM)?;
        if name.parse::<Ipv6Addr>().is_ok() {
            return Err("must have an IPv6 address in brackets, as [::1]:50051");
        }
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_number);
        let port = port.ok_or("must end with a port of 0 to 65535")?;
        let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(may_be)
            // Else it is an address with a mistake in it.
            && !name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if is_name {
            Ok(Self(Way::Name(name.to_owned(), port)))
        } else {
            Err(FORM)
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Way::Address(address) => address.fmt(f),
            Way::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_name() {
        for text in [
            "127.0.0.1:50051",
            "0.0.0.0:0",
            "[::1]:50051",
            "[::]:65535",
            "localhost:50051",
            "booking-svc.ticketing:1",
        ] {
            let read = text.parse::<HostPort>().map(|read| read.to_string());
            assert_eq!(read.as_deref(), Ok(text));
        }
    }

    #[test]
    fn an_invalid_value_is_refused_and_not_repeated() {
        for text in [
            "",
            ":50051",
            "secret",
            "127.0.0.1",
            "*:50051",
            "::1:50051",
            "[::1]",
            "127.0.0.300:50051",
            "secret:",
            "secret:65536",
            "secret:+1",
            "user:secret@host:50051",
            "user@secret:50051",
            "http://secret:50051",
            "postgres://user:secret@host/database",
            "secret/x:1",
        ] {
            let error = text.parse::<HostPort>().expect_err(text);
            assert!(
                error.starts_with("must ") && !error.contains("secret"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn whoever_listens_everywhere_is_asked_on_this_host() {
        for (listen, asked) in [
            ("0.0.0.0:7", "127.0.0.1:7"),
            ("[::]:7", "[::1]:7"),
            ("10.0.0.1:7", "10.0.0.1:7"),
            ("localhost:7", "localhost:7"),
        ] {
            let listen: HostPort = listen.parse().expect("an address");
            assert_eq!(listen.from_here().to_string(), asked);
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_ipv4_comes_first() {
        let host: HostPort = "localhost:7".parse().expect("a name");
        let addresses = host.addresses().await.expect("it is known everywhere");
        let first = addresses.first().expect("one at least");
        assert!(
            first.ip().is_loopback() && first.port() == 7,
            "{addresses:?}"
        );
        assert!(addresses.is_sorted_by_key(SocketAddr::is_ipv6));
    }
}
