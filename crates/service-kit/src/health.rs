//! gRPC health: `""` and each service by its full name follow the database, and one of them a further
//! need; "liveness" says only that the process serves, and is what a container's liveness
//! probe checks, since restarting a service does not bring its database back.
//!
//! The service is our own because tonic-health's ends a watch of an unknown service, which gRPC's
//! health protocol has answered with SERVICE_UNKNOWN on a stream that stays open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::watch;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::Health as HealthService;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::cause;
use crate::tls::ClientTls;

/// The name under which the process says that it lives.
pub const LIVENESS: &str = "liveness";

/// The answers to health checks.
#[derive(Debug, Clone)]
pub struct Health {
    readiness: Arc<watch::Sender<Readiness>>,
    /// All services of the process.
    known: &'static [&'static str],
    /// The services of one listener.
    services: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, Default)]
struct Readiness {
    is_ready: bool,
    /// Whether the process is about to stop.
    is_leaving: bool,
    /// A service that needs more than the database, and how that is.
    need: Option<(&'static str, Need)>,
}

/// The state of a service's need besides the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It was not available yet: the process has not begun to serve.
    Awaited,
    /// It is available.
    Met,
    /// It was lost: that service is NOT_SERVING, the rest of the process continues.
    Lost,
}

impl Health {
    /// Health of these services, by full name. They begin NOT_SERVING.
    #[must_use]
    pub fn new(services: &'static [&'static str]) -> Self {
        Self {
            readiness: Arc::default(),
            known: services,
            services,
        }
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
    pub fn set_ready(&self, is_ready: bool) {
        self.readiness.send_modify(|now| now.is_ready = is_ready);
    }

    /// Sets the state of one service's need besides the database.
    pub fn set_need(&self, service: &'static str, need: Need) {
        let need = Some((service, need));
        self.readiness.send_if_modified(|now| {
            let is_news = now.need != need;
            now.need = need;
            is_news
        });
    }

    /// Says NOT_SERVING from now on, whatever is set afterwards.
    pub(crate) fn leave(&self) {
        self.readiness.send_modify(|now| now.is_leaving = true);
    }

    pub(crate) fn services(&self) -> &'static [&'static str] {
        self.services
    }

    /// The status of a service, at a readiness; none if there is no such service.
    fn status_of(&self, service: &str, now: Readiness) -> Option<ServingStatus> {
        if service == LIVENESS {
            return Some(ServingStatus::Serving);
        }
        let is_known = service.is_empty() || self.known.contains(&service);
        let lacks_need = now.need.is_some_and(|(needy, need)| match need {
            Need::Awaited => true,
            Need::Met => false,
            Need::Lost => needy == service,
        });
        is_known.then_some(if now.is_ready && !now.is_leaving && !lacks_need {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        })
    }
}

#[tonic::async_trait]
impl HealthService for Health {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let now = *self.readiness.borrow();
        match self.status_of(&request.get_ref().service, now) {
            Some(status) => Ok(Response::new(answer(status))),
            // gRPC's own protocol: it has no reasons of ours.
            None => Err(Status::not_found("there is no such service")),
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let (health, readiness) = (self.clone(), self.readiness.subscribe());
        let sent: Option<ServingStatus> = None;
        let changes = stream::unfold((readiness, sent), move |(mut readiness, sent)| {
            let (health, service) = (health.clone(), service.clone());
            async move {
                loop {
                    let now = *readiness.borrow_and_update();
                    let status = health.status_of(&service, now);
                    let status = status.unwrap_or(ServingStatus::ServiceUnknown);
                    if sent != Some(status) {
                        return Some((Ok(answer(status)), (readiness, Some(status))));
                    }
                    // Its sender is in `health`.
                    readiness.changed().await.ok()?;
                }
            }
        });
        Ok(Response::new(changes.boxed()))
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

/// Asks the instance at `address`, which serves in plain text.
///
/// # Errors
///
/// Why it does not serve, or could not be checked, in one line.
pub async fn ask(address: SocketAddr, service: &str, timeout: Duration) -> Result<(), String> {
    ask_by(None, address, service, timeout).await
}

/// Asks the instance at `address`, by TLS if there is any, as the `health` subcommand does.
///
/// # Errors
///
/// Why it cannot be said to serve, in one line.
pub async fn ask_by(
    tls: Option<&ClientTls>,
    address: SocketAddr,
    service: &str,
    timeout: Duration,
) -> Result<(), String> {
    let asking = async {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| error.to_string())?;
        let channel = match tls {
            None => endpoint.connect().await,
            Some(tls) => {
                let connector = tls.connector(&address.ip().to_string());
                let connector = connector.map_err(|error| error.to_string())?;
                endpoint.connect_with_connector(connector).await
            }
        };
        let channel = channel.map_err(|error| match tls {
            None => "cannot connect".to_owned(),
            Some(_) => format!("cannot connect by TLS: {}", cause::chain(&error)),
        })?;
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = HealthClient::new(channel).check(request).await;
        let answer = answer
            .map_err(|status| status.message().to_owned())?
            .into_inner();
        match answer.status() {
            ServingStatus::Serving => Ok(()),
            other => Err(other.as_str_name().to_owned()),
        }
    };
    tokio::time::timeout(timeout, asking)
        .await
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
        .map_err(|why| format!("{address} {service:?}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "ticketing.booking.v1.BookingService";

    fn asked(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest {
            service: service.to_owned(),
        })
    }

    async fn next(
        stream: &mut BoxStream<'static, Result<HealthCheckResponse, Status>>,
    ) -> Option<ServingStatus> {
        // An existing message arrives at once; a missing one never would.
        let next = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
        let answer = next.ok()?.expect("the stream stays open");
        Some(answer.expect("no error").status())
    }

    #[test]
    fn a_service_that_lost_its_need_does_not_serve_and_the_others_do() {
        const OTHER: &str = "ticketing.booking.v1.CustomerService";
        let health = Health::new(&[SERVICE, OTHER]);
        let statuses = || {
            let now = *health.readiness.borrow();
            let serves = |service| health.status_of(service, now) == Some(ServingStatus::Serving);
            [serves(""), serves(SERVICE), serves(OTHER), serves(LIVENESS)]
        };
        health.set_need(SERVICE, Need::Awaited);
        health.set_ready(true);
        assert_eq!(statuses(), [false, false, false, true]);
        health.set_need(SERVICE, Need::Met);
        assert_eq!(statuses(), [true; 4]);
        health.set_need(SERVICE, Need::Lost);
        assert_eq!(statuses(), [true, false, true, true]);
        health.set_ready(false);
        health.set_need(SERVICE, Need::Met);
        assert_eq!(statuses(), [false, false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_sends_each_change_and_service_unknown_for_an_unknown_service() {
        let health = Health::new(&[SERVICE]);
        let watch = async |service| {
            let watching = health.watch(asked(service)).await;
            watching.expect("a stream").into_inner()
        };
        let (mut whole, mut one) = (watch("").await, watch(SERVICE).await);
        let (mut alive, mut unknown) = (watch(LIVENESS).await, watch("x.Y").await);
        for stream in [&mut whole, &mut one] {
            assert_eq!(next(stream).await, Some(ServingStatus::NotServing));
        }
        assert_eq!(next(&mut alive).await, Some(ServingStatus::Serving));
        assert_eq!(
            next(&mut unknown).await,
            Some(ServingStatus::ServiceUnknown)
        );
        health.set_ready(true);
        health.set_ready(true);
        for stream in [&mut whole, &mut one] {
            assert_eq!(next(stream).await, Some(ServingStatus::Serving));
            assert_eq!(next(stream).await, None, "nothing has changed");
        }
        health.leave();
        health.set_ready(true);
        assert_eq!(next(&mut whole).await, Some(ServingStatus::NotServing));
        assert_eq!(next(&mut one).await, Some(ServingStatus::NotServing));
        assert_eq!(next(&mut alive).await, None);
        assert_eq!(next(&mut unknown).await, None);
        let check = health.check(asked("x.Y")).await.expect_err("unknown");
        assert_eq!(check.code(), tonic::Code::NotFound);
    }
}
