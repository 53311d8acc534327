//! Calls to other services: deadlines and trace context passed on, failures told apart.

use std::{
    error::Error,
    iter,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use ::http::{Request, Response, header};
use anyhow::ensure;
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use tonic::{Status, TimeoutExpired, body::Body, transport};
use tower::Service;
use tracing::Instrument as _;

use crate::{
    Dialer,
    deadline::{self, GRPC_TIMEOUT},
    directory::{self, Lookup},
    outgoing::Outgoing,
    replica::Url,
    replicas::Replicas,
    token::TokenFile,
    trailers::{self, Coded as _},
};

/// The way to another service, for its generated client: `HoldServiceClient<server::Channel>`. Clones share a connection.
///
/// Each call carries the current span, and ends by itself: after the channel's timeout, the time left to the call that
/// is being handled ([`time_left`](crate::time_left)), or the request's own timeout, whichever is least. Then it fails
/// with `DEADLINE_EXCEEDED`. A service that cannot be reached, or is lost on the way, is `UNAVAILABLE` once a few tries, over
/// all of its replicas, have failed; what the call did is unknown in both cases.
#[derive(Clone, Debug)]
pub struct Channel {
    replicas: Arc<Replicas>,
    timeout: Duration,
    token: Option<TokenFile>,
}

/// Makes a channel to `urls` (`http://127.0.0.1:50051`), one or several parted by commas. Every address that the host of one of
/// them has is a replica of one service, and they get calls in turn. Names are looked up again and again: new replicas are
/// found, and gone ones dropped. It connects when it is first used, and again whenever it must: the service need not be there
/// yet. Call it inside the runtime. In plain text: see [`Dialer`] for `https`.
///
/// # Errors
/// One of `urls` is not a URL, or is of `https`.
pub fn channel(urls: &str, timeout: Duration) -> anyhow::Result<Channel> {
    channel_by(urls, timeout, directory::of_the_system())
}

/// The same, over connections that `dialer` makes.
pub(crate) fn channel_over(
    urls: &str,
    timeout: Duration,
    lookup: Lookup,
    dialer: &Dialer,
) -> anyhow::Result<Channel> {
    check_schemes(urls, dialer.is_secured())?;
    Ok(Channel { replicas: directory::replicas(urls, lookup, dialer)?, timeout, token: None })
}

/// The same, with names that are looked up by `lookup`.
///
/// # Errors
/// One of `urls` is not a URL.
pub fn channel_by(urls: &str, timeout: Duration, lookup: Lookup) -> anyhow::Result<Channel> {
    channel_over(urls, timeout, lookup, &Dialer::default())
}

/// Whether these may be called where there are certificates for it, or none: all of them secured, or none of them.
pub(crate) fn check_schemes(urls: &str, has_certificates: bool) -> anyhow::Result<()> {
    for url in urls.split(',') {
        let secured = Url::parse(url.trim())?.is_https();
        ensure!(
            has_certificates || !secured,
            "an https:// URL needs HOLDFAST_CALLS_CA_FILE: who signs the certificates there"
        );
        ensure!(
            secured || !has_certificates,
            "HOLDFAST_CALLS_CA_FILE is good for nothing with an http:// URL: it would be called in plain text"
        );
    }
    Ok(())
}

/// Whether a channel can be made to `urls`, without making one.
///
/// # Errors
/// One of them is not a URL.
pub fn check_urls(urls: &str) -> anyhow::Result<()> {
    urls.split(',').try_for_each(|url| Url::parse(url.trim()).map(drop))
}

impl Channel {
    /// The same way, with this token shown on each call.
    #[must_use]
    pub fn with_token(self, token: Option<TokenFile>) -> Self {
        Self { token, ..self }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(())) // the wait for the connection is part of the call, within its limit
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let asked = request.headers().get(GRPC_TIMEOUT).and_then(deadline::parse);
        let limit = [asked, deadline::time_left()].into_iter().flatten().fold(self.timeout, Duration::min);
        request.headers_mut().insert(GRPC_TIMEOUT, deadline::format(limit));
        if let Some(token) = self.token.as_ref().and_then(TokenFile::header) {
            request.headers_mut().insert(header::AUTHORIZATION, token);
        }
        let replicas = Arc::clone(&self.replicas);
        let mut call = Outgoing::begin(request.uri().path());
        let span = call.span();
        telemetry::propagation::inject_headers(&span, request.headers_mut());
        let calling = async move {
            let answer = timeout(limit, replicas.call(request)).await.unwrap_or_else(|_| Err(too_late()));
            match answer {
                Ok(response) => {
                    let response = response.map(|body| body.map_err(lost));
                    Ok(trailers::watched(call, response).map(Body::new))
                }
                Err(status) => {
                    call.coded(status.code());
                    Err(status)
                }
            }
        };
        Box::pin(calling.instrument(span))
    }
}

pub(crate) fn too_late() -> Status {
    Status::deadline_exceeded("the other service did not answer in time")
}

pub(crate) fn unreachable(error: transport::Error) -> Status {
    let mut status = Status::unavailable("the other service cannot be reached");
    status.set_source(Arc::new(error));
    status
}

/// No address of it is known.
pub(crate) fn unknown() -> Status {
    Status::unavailable("the other service cannot be found")
}

/// The connection broke in the middle of the answer.
fn lost(error: Status) -> Status {
    let mut status = Status::unavailable("the other service was lost on the way");
    status.set_source(Arc::new(error));
    status
}

/// Whether tonic's own timeout ended the call: it reads the same header.
pub(crate) fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    iter::successors(Some(error), |&error| error.source()).any(<dyn Error>::is::<TimeoutExpired>)
}
