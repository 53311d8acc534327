//! What every call passes on its way to its service and back, known or not.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::Request;
use http_body_util::Full;
use tonic::{Status, body::Body};
use tower::Service;
use tracing::Instrument as _;

use crate::{
    Access, Address, Admission, Peer, Services,
    admission::{Admitted, Kind},
    arrivals::Rooms,
    calls::Upload,
    deadline, malformed,
    observe::{Call, Observed},
    panic,
    responses::Responses,
};

/// The response of a service.
pub(crate) type Response = ::http::Response<Body>;

/// The services, and what stands before them. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Guard(Arc<Guarded>);

#[derive(Debug)]
struct Guarded {
    services: Services,
    admission: Admission,
    access: Access,
    arrivals: Rooms,
    responses: Responses,
}

impl Guard {
    pub(crate) fn new(services: Services, admission: Admission, access: Access) -> Self {
        Self(Arc::new(Guarded {
            services,
            admission,
            access,
            arrivals: Rooms::default(),
            responses: Responses::default(),
        }))
    }

    /// Answers a call, or refuses it.
    pub(crate) async fn answer(&self, mut request: Request<Body>) -> Observed {
        let mut call = Call::begin(request.uri().path(), request.headers());
        let limit = deadline::limit(request.headers());
        let line = request.extensions().get::<Peer>().and_then(|peer| peer.line.clone());
        let mut leave = None;
        let answer = async {
            if let Err(status) = self.0.ask(&mut request).await {
                return status.into_http();
            }
            match self.0.receive(request).await {
                Ok((request, admitted)) => {
                    leave = Some(admitted);
                    malformed::blame_caller(self.0.services.call(request).await)
                }
                Err(status) => status.into_http(),
            }
        };
        let handler = panic::caught(deadline::within(limit, answer));
        let response = handler.instrument(call.span()).await;
        if let Some(admitted) = leave {
            if let (Some(line), true) = (line, admitted.is_of_customer()) {
                call.sending(self.0.responses.begin(line));
            }
            call.admitted(admitted);
        }
        call.observe(response)
    }
}

impl Guarded {
    /// Asks who calls, and how often they do, before anything of the request is read.
    async fn ask(&self, request: &mut Request<Body>) -> Result<(), Status> {
        self.access.admit(request, &self.admission).await?;
        self.admission.check_rate(request)
    }

    /// Reads all of a request, and lets its call in: who sends slowly takes no place meanwhile. Where there is none at its
    /// beginning, nothing is read.
    async fn receive(&self, request: Request<Body>) -> Result<(Request<Body>, Admitted), Status> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path();
        if let Err(status) = self.admission.check(path) {
            if let Some(places) = self.admission.places(path) {
                self.responses.make_place(places);
            }
            return Err(status);
        }
        let kind = self.admission.kind(path);
        if kind == Kind::Open {
            let admitted = self.admission.admit(path)?;
            return Ok((Request::from_parts(parts, body), admitted));
        }
        let upload = parts.extensions.remove::<Upload>();
        let (arrivals, most) = self.arrivals.of(kind);
        let limit = upload.as_ref().map_or(most, |upload| upload.limit);
        let arrived = arrivals.whole(body, limit, || Address::among(&parts.extensions)).await;
        // What did not arrive makes no message.
        let admitted = if arrived.is_ok() { self.admission.admit(path)? } else { Admitted::without_leave() };
        let message = match upload {
            Some(upload) => upload.decode(arrived)?,
            None => arrived?,
        };
        Ok((Request::from_parts(parts, Body::new(Full::new(message))), admitted))
    }
}

impl Service<Request<Body>> for Guard {
    type Response = Observed;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Observed, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let guard = self.clone();
        Box::pin(async move { Ok(guard.answer(request).await) })
    }
}
