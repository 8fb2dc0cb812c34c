//! Asks endpoints whether they are well: one checker for the whole process, away from the workers.

use std::sync::Arc;

use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use crate::connection::{Connection, Delivery};
use crate::services::Endpoint;
use crate::stream::Shared;
use crate::{Body, HealthConfig, Protocol, Services, clock, connect};

/// How many checks are under way at a time.
const CHECKS: usize = 64;

/// Checks the endpoints of all services that ask for it, for as long as it is polled; other services may follow on them.
/// What it finds out is known to all workers at once.
pub async fn check(mut services: watch::Receiver<Arc<Services>>) {
    let places = Arc::new(Semaphore::new(CHECKS));
    let watching = async {
        loop {
            let mut checks = JoinSet::new();
            for service in services.borrow_and_update().iter() {
                let Some(config) = &service.health else { continue };
                for endpoint in &service.endpoints {
                    let protocol = service.limits.protocol;
                    checks.spawn_local(watch(endpoint.clone(), protocol, config.clone(), places.clone()));
                }
            }
            if services.changed().await.is_err() {
                // Nobody will follow on these.
                std::future::pending::<()>().await;
            }
        }
    };
    LocalSet::new().run_until(watching).await;
}

/// Checks one endpoint again and again.
async fn watch(endpoint: Endpoint, protocol: Protocol, config: HealthConfig, places: Arc<Semaphore>) {
    // Or all would be asked at the same time, for ever.
    sleep(config.interval.mul_f64(fastrand::f64())).await;
    loop {
        let Ok(place) = places.acquire().await else { return };
        let is_well = timeout(config.timeout, ask(&endpoint, protocol, &config)).await.unwrap_or(false);
        drop(place);
        endpoint.standing.checked(is_well, &config);
        sleep(config.interval.mul_f64(0.9 + fastrand::f64() / 5.0)).await;
    }
}

/// One question, on a connection of its own: that one can be made is part of the answer.
async fn ask(endpoint: &Endpoint, protocol: Protocol, config: &HealthConfig) -> bool {
    let Ok(stream) = connect::connect(&endpoint.address, config.timeout).await else { return false };
    let Ok(uri) = Uri::try_from(&*config.path) else { return false };
    let mut request = Request::new(Body::Empty);
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(HOST, endpoint.host.clone());
    headers.insert(USER_AGENT, HeaderValue::from_static("unanimo-health"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    match deliver(stream, protocol, request).await {
        Ok(Delivery::Answered(answer)) => config.statuses.contains(answer.status().as_u16()),
        Ok(Delivery::Unsent(..) | Delivery::Refused(_) | Delivery::Lost(_)) | Err(_) => false,
    }
}

async fn deliver(
    stream: TcpStream,
    protocol: Protocol,
    request: Request<Body>,
) -> Result<Delivery, hyper::Error> {
    Ok(match protocol {
        Protocol::Http1 => Connection::new(stream).await?.send(request).await,
        Protocol::H2c => Shared::new(stream, 1).await?.begin(clock::now()).send(request).await,
    })
}
