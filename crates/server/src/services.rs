//! The gRPC services of a process, by their full names.
//!
//! In place of tonic's `Routes`, which leads each call through a router for any paths at all: here the name of a service is all
//! that tells where a call goes, and this stands on the way of every call (docs/performance.md).

use std::{collections::HashMap, convert::Infallible, fmt};

use ::http::{Request, Response};
use tonic::{Status, body::Body, codegen::BoxFuture, server::NamedService};
use tower::Service;

/// Services as tonic generates them; a call to any other is UNIMPLEMENTED.
#[derive(Default)]
pub struct Services {
    by_name: HashMap<&'static str, Box<dyn Serve>>,
}

/// What tonic generates, whatever it serves. It is always ready.
pub trait Serve: Send + Sync {
    /// Answers a call.
    fn serve(&self, request: Request<Body>) -> BoxFuture<Response<Body>, Infallible>;
}

impl<S> Serve for S
where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future = BoxFuture<Response<Body>, Infallible>,
        > + Clone
        + Send
        + Sync,
{
    fn serve(&self, request: Request<Body>) -> BoxFuture<Response<Body>, Infallible> {
        self.clone().call(request)
    }
}

impl Services {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// And this one.
    #[must_use]
    pub fn with<S: Serve + NamedService + 'static>(mut self, service: S) -> Self {
        self.by_name.insert(S::NAME, Box::new(service));
        self
    }

    /// Has the service answer whose path it is: `/package.Service/Method`.
    pub(crate) async fn call(&self, request: Request<Body>) -> Response<Body> {
        match self.by_name.get(name(request.uri().path())) {
            Some(service) => {
                let Ok(response) = service.serve(request).await;
                response
            }
            None => Status::unimplemented("there is no such service here").into_http(),
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.by_name.keys()).finish()
    }
}

/// The full name of the service that is called at this path.
pub(crate) fn name(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}
