//! What every call passes on its way to its service and back, known or not.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::Request;
use tonic::body::Body;
use tower::Service;
use tracing::Instrument as _;

use crate::{
    Admission, Services, deadline, malformed,
    observe::{Call, Observed},
    panic,
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
}

impl Guard {
    pub(crate) fn new(services: Services, admission: Admission) -> Self {
        Self(Arc::new(Guarded { services, admission }))
    }

    /// Answers a call, or refuses it.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Observed {
        let Guarded { services, admission } = &*self.0;
        let mut call = Call::begin(request.uri().path(), request.headers());
        match admission.admit(request.uri().path()) {
            Ok(admitted) => call.admitted(admitted),
            Err(status) => return call.observe(status.into_http()),
        }
        let limit = deadline::limit(request.headers());
        let answer = async { malformed::blame_caller(services.call(request).await) };
        let handler = panic::caught(deadline::within(limit, answer));
        let response = handler.instrument(call.span()).await;
        call.observe(response)
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
