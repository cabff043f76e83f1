//! The ports of `up`.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result, bail};
use clap::Args;

/// Ports on 127.0.0.1.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Ports on 127.0.0.1")]
pub(crate) struct Ports {
    /// catalog-svc's port
    #[arg(long = "catalog-port", default_value_t = 50051, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) catalog: u16,

    /// The port of catalog-svc's internal service
    #[arg(long = "catalog-internal-port", default_value_t = 50056, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) catalog_internal: u16,

    /// booking-svc's port
    #[arg(long = "booking-port", default_value_t = 50052, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) booking: u16,

    /// expiry-worker's port
    #[arg(long = "expiry-port", default_value_t = 50053, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) expiry: u16,

    /// The private PostgreSQL cluster's port
    #[arg(id = "postgres-port", long = "postgres-port", default_value_t = 50054, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) postgres: u16,

    /// The simulated payment provider's port
    #[arg(long = "payment-port", default_value_t = 50055, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) payment: u16,
}

impl Ports {
    /// Names the first port that is taken, by something else or by two of ours.
    pub(crate) fn check_free(&self) -> Result<()> {
        let mut seen = HashMap::new();
        for (flag, port) in [
            ("--catalog-port", self.catalog),
            ("--catalog-internal-port", self.catalog_internal),
            ("--booking-port", self.booking),
            ("--expiry-port", self.expiry),
            ("--postgres-port", self.postgres),
            ("--payment-port", self.payment),
        ] {
            if let Some(other) = seen.insert(port, flag) {
                bail!("{other} and {flag} are both {port}");
            }
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
                    "port {port} on 127.0.0.1 is taken: stop what listens there, or choose \
                     another with {flag}"
                ),
                Err(error) => {
                    return Err(error).with_context(|| format!("listen on 127.0.0.1:{port}"));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn catalog_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.catalog)
    }

    /// Where catalog-svc serves other services.
    pub(crate) fn catalog_internal(&self) -> String {
        format!("127.0.0.1:{}", self.catalog_internal)
    }

    pub(crate) fn payment_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.payment)
    }

    pub(crate) fn booking_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.booking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        (listener, port)
    }

    #[test]
    fn a_taken_port_is_named_with_its_flag() {
        let (listeners, numbers): (Vec<_>, Vec<_>) = (0..6).map(|_| free()).unzip();
        let mut ports = Ports {
            catalog: numbers[0],
            booking: numbers[1],
            expiry: numbers[2],
            postgres: numbers[3],
            payment: numbers[4],
            catalog_internal: numbers[5],
        };
        let [_, booking, ..] = <[TcpListener; 6]>::try_from(listeners).expect("six");
        let error = ports.check_free().expect_err("one is taken").to_string();
        assert!(
            error.contains(&format!("port {} on", ports.booking)),
            "{error}"
        );
        assert!(error.contains("--booking-port"), "{error}");
        drop(booking);
        ports.check_free().expect("all are free now");
        ports.expiry = ports.booking;
        let error = ports.check_free().expect_err("one twice").to_string();
        assert!(
            error.contains("--booking-port and --expiry-port are both"),
            "{error}"
        );
    }
}
