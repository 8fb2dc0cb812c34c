//! One worker's way to all services.

use std::rc::Rc;
use std::sync::Arc;

use http::header::HOST;
use http::{Request, Response};

use crate::pool::{Attempt, Wanted};
use crate::rotation::Rotation;
use crate::{Answer, Body, Error, ServiceId, Services, Trial};

/// One worker's way to all services. It stays on its thread, in a `LocalSet`; clones share their connections.
#[derive(Clone)]
pub struct Upstream {
    worker: Rc<Worker>,
}

struct Worker {
    services: Arc<Services>,
    /// For each service.
    rotations: Box<[Rotation]>,
}

impl Upstream {
    /// Connects to nothing yet.
    pub fn new(services: Arc<Services>) -> Self {
        let rotations = services.iter().map(|service| Rotation::new(service, None)).collect();
        Self { worker: Rc::new(Worker { services, rotations }) }
    }

    /// The way to the services of a new configuration. Where a service keeps an endpoint, its connections are kept, and
    /// what is known of its health. This one still works: what is under way on it ends as it began.
    pub fn succeeded_by(&self, services: Arc<Services>) -> Self {
        let before = |name| Some(&self.worker.rotations[self.worker.services.id(name)?.index()]);
        let rotations = services.iter().map(|service| Rotation::new(service, before(service.name())));
        let rotations = rotations.collect();
        Self { worker: Rc::new(Worker { services, rotations }) }
    }

    /// The services it was made for: ids come from there.
    pub fn services(&self) -> &Arc<Services> {
        &self.worker.services
    }

    /// Sends the request to one of the service's endpoints, and returns as soon as the answer's head is there.
    ///
    /// The request has a path as its URI. Without a `Host` it gets the endpoint as its host. The headers that
    /// say how long the body is are replaced where they disagree with it. There is no time limit but that for
    /// connecting: dropping the future, or the answer's body before its end, closes the connection.
    ///
    /// # Panics
    ///
    /// Outside of a `LocalSet`, and with an id of other services than these.
    pub async fn send(&self, service: ServiceId, request: Request<Body>) -> Result<Response<Answer>, Error> {
        self.try_out(&Trial::new(), service, request).await
    }

    /// Sends the request as [`Upstream::send`] does, with whom it belongs to and what became of it so far: an endpoint that
    /// it was sent to before is asked again only where there is no other.
    ///
    /// # Panics
    ///
    /// As [`Upstream::send`] does.
    pub async fn try_out(
        &self,
        trial: &Trial,
        service: ServiceId,
        request: Request<Body>,
    ) -> Result<Response<Answer>, Error> {
        let rotation = &self.worker.rotations[service.index()];
        let names_host = request.headers().contains_key(HOST);
        let is_streaming = matches!(request.body(), Body::Streaming(_));
        let lease = rotation.lease(trial, Wanted::Any).await?;
        lease.count();
        let again = lease.again();
        let request = match settle(trial, is_streaming, lease.send(request, names_host).await)? {
            Attempt::Answered(answer) => return Ok(answer),
            // The service had closed the connection while it was idle, or is about to. Once more, and then no more.
            Attempt::Unsent(request, _) => request,
        };
        let lease = rotation.lease(trial, again).await?;
        match settle(trial, is_streaming, lease.send(request, names_host).await)? {
            Attempt::Answered(answer) => Ok(answer),
            Attempt::Unsent(_, error) => Err(error),
        }
    }
}

/// Tells the endpoint's circuit what came of the request.
fn settle(trial: &Trial, is_streaming: bool, sent: Result<Attempt, Error>) -> Result<Attempt, Error> {
    match &sent {
        Ok(Attempt::Answered(answer)) => {
            trial.take().into_iter().for_each(|passage| passage.answered(answer.status().as_u16()));
        }
        Ok(Attempt::Unsent(..)) => drop(trial.take()),
        // Whether it was the body that broke off, only its owner knows.
        Err(_) if is_streaming => {}
        Err(_) => trial.failed(),
    }
    sent
}
