//! Answers what comes over one connection of HTTP/1.1: notes what is under way, from where, and whether there is a place for it.

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::{HeaderValue, Request, header};
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use http_body::{Frame, SizeHint};
use tower::Service;

use crate::{
    Address, Crowded, Health,
    places::{Seat, Use},
};

/// The service of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Answering {
    pub(crate) router: Router,
    pub(crate) health: Health,
    /// Where it comes from.
    pub(crate) address: IpAddr,
    /// None: it is a spare one.
    pub(crate) seat: Option<Arc<Seat>>,
}

impl<B> Service<Request<B>> for Answering
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let under_way = self.seat.as_ref().map(|seat| seat.begin());
        request.extensions_mut().insert(Address(self.address));
        if self.seat.is_none() {
            request.extensions_mut().insert(Crowded);
        }
        let answer = self.router.call(request.map(Body::new));
        let health = self.health.clone();
        Box::pin(async move {
            let Ok(mut response) = answer.await;
            if health.is_draining() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|body| Body::new(UnderWay { body, _use: under_way })))
        })
    }
}

/// The body of an answer: its request is under way until it is dropped.
struct UnderWay {
    body: Body,
    _use: Option<Use>,
}

impl HttpBody for UnderWay {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
