//! gRPC health: `""` and each service by its full name follow the database; "liveness" says
//! only that the process serves, and is what a container's liveness probe asks for, since
//! restarting a service does not bring its database back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as Answer;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;

/// The name under which the process says that it lives.
pub const LIVENESS: &str = "liveness";

/// Tells the health service what to answer.
#[derive(Debug, Clone)]
pub struct Health {
    reporter: HealthReporter,
    services: &'static [&'static str],
    /// Whether the process is about to stop. Locked while a status is set.
    leaving: Arc<Mutex<bool>>,
}

impl Health {
    /// Health of these services, by full name. They begin NOT_SERVING.
    pub async fn new(services: &'static [&'static str]) -> Self {
        let health = Self {
            reporter: HealthReporter::new(),
            services,
            leaving: Arc::default(),
        };
        health
            .reporter
            .set_service_status(LIVENESS, ServingStatus::Serving)
            .await;
        health.set_ready(false).await;
        health
    }

    /// The same health for a listener that serves only these of the services.
    #[must_use]
    pub fn listing(&self, services: &'static [&'static str]) -> Self {
        Self {
            services,
            ..self.clone()
        }
    }

    /// Sets whether calls can be served. Once the process is about to stop it stays NOT_SERVING.
    pub async fn set_ready(&self, ready: bool) {
        let leaving = self.leaving.lock().await;
        self.set(ready && !*leaving).await;
    }

    /// Says NOT_SERVING from now on, whatever is set afterwards.
    pub(crate) async fn leave(&self) {
        let mut leaving = self.leaving.lock().await;
        *leaving = true;
        self.set(false).await;
    }

    async fn set(&self, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for service in [""].iter().chain(self.services) {
            self.reporter.set_service_status(*service, status).await;
        }
    }

    pub(crate) fn services(&self) -> &'static [&'static str] {
        self.services
    }

    pub(crate) fn reporter(&self) -> HealthReporter {
        self.reporter.clone()
    }
}

/// Asks the instance at `address`, as the `health` subcommand does.
///
/// # Errors
///
/// Why it cannot be said to serve, in one line.
pub async fn ask(address: SocketAddr, service: &str, timeout: Duration) -> Result<(), String> {
    let asking = async {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| error.to_string())?;
        let channel = endpoint
            .connect()
            .await
            .map_err(|_| "cannot connect".to_owned())?;
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = HealthClient::new(channel).check(request).await;
        let answer = answer
            .map_err(|status| status.message().to_owned())?
            .into_inner();
        match answer.status() {
            Answer::Serving => Ok(()),
            other => Err(other.as_str_name().to_owned()),
        }
    };
    tokio::time::timeout(timeout, asking)
        .await
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
        .map_err(|why| format!("{address} {service:?}: {why}"))
}
