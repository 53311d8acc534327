//! Responses to customers on their way. Each keeps the place of its call until it is sent; so where there is no place, and who was
//! answered long ago still does not take the answer, that connection is closed.
//!
//! Calls that keep no such place are not among them: health that is watched, reflection, the calls between services.
//! HTTP/2 lets a client shut the window of a stream: what it asked for then waits for ever, whatever else goes on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::places::Line;

/// How long a response may be on its way where others wait for its place.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same where half of all places are taken by such.
const LITTLE_PATIENCE: Duration = Duration::from_millis(500);

/// The responses on their way. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Responses(Arc<Mutex<UnderWay>>);

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    /// Since when, and over which connection; the oldest first.
    lines: BTreeMap<u64, (Instant, Arc<Line>)>,
}

/// A response on its way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Sending {
    responses: Responses,
    number: u64,
}

impl Responses {
    /// One begins to be sent over this connection.
    pub(crate) fn begin(&self, line: Arc<Line>) -> Sending {
        let mut under_way = self.under_way();
        let number = under_way.next;
        under_way.next += 1;
        under_way.lines.insert(number, (Instant::now(), line));
        drop(under_way);
        Sending { responses: self.clone(), number }
    }

    /// There is no place for a call, of so many: closes the connection that has not taken an answer for longest, if that is long.
    pub(crate) fn make_place(&self, places: usize) {
        let under_way = self.under_way();
        let patience = if under_way.lines.len() * 2 >= places { LITTLE_PATIENCE } else { PATIENCE };
        if let Some((since, line)) = under_way.lines.values().next()
            && since.elapsed() >= patience
        {
            tracing::debug!("a connection that takes no answers is closed");
            line.put_out();
        }
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.responses.under_way().lines.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use ::http::Request;
    use futures::{FutureExt as _, StreamExt as _, stream};
    use tokio::time::advance;
    use tonic::{
        body::Body,
        codegen::{BoxFuture, Service},
        server::NamedService,
    };

    use crate::{
        Access, Admission, Peer, Services,
        guard::Guard,
        places::{Places, Seat},
    };

    use super::*;

    /// A service whose answers have no end.
    #[derive(Clone)]
    struct Endless<const NUMBER: u8>;

    impl NamedService for Endless<0> {
        const NAME: &'static str = "test.Test";
    }

    impl NamedService for Endless<1> {
        const NAME: &'static str = "test.Internal";
    }

    impl NamedService for Endless<2> {
        const NAME: &'static str = "grpc.health.v1.Health";
    }

    impl<const NUMBER: u8> Service<Request<Body>> for Endless<NUMBER> {
        type Response = ::http::Response<Body>;
        type Error = std::convert::Infallible;
        type Future = BoxFuture<Self::Response, Self::Error>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            let never = stream::pending::<Result<http_body::Frame<axum::body::Bytes>, Self::Error>>();
            let body = Body::new(http_body_util::StreamBody::new(never.boxed()));
            Box::pin(async move { Ok(::http::Response::new(body)) })
        }
    }

    fn is_lost(seat: &Seat) -> bool {
        seat.lost().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_keeps_a_place_that_customers_want_loses_the_connection() {
        let services = Services::new().with(Endless::<0>).with(Endless::<1>).with(Endless::<2>);
        let guard = Guard::new(services, Admission::new(2, &["test.Internal"]), Access::open());
        let places = Places::new(10, Duration::from_hours(1));
        let call = async |path: &str| {
            let seat = places.enter([127, 0, 0, 1].into()).unwrap();
            let mut request = Request::post(path).body(Body::empty()).unwrap();
            request.extensions_mut().insert(Peer { line: Some(seat.line()), ..Peer::default() });
            (guard.answer(request).await, seat)
        };
        // Older than all others, and open for as long as they like.
        let (watch, watches) = call("/grpc.health.v1.Health/Watch").await;
        let (settled, settles) = call("/test.Internal/Call").await;
        let (first, takes_nothing) = call("/test.Test/Call").await;
        let (second, takes_nothing_either) = call("/test.Test/Call").await;
        advance(PATIENCE).await;
        let (refused, asks) = call("/test.Test/Call").await;
        assert_eq!(refused.headers()["grpc-status"], "8");
        let lost = [&watches, &settles, &takes_nothing, &takes_nothing_either, &asks].map(is_lost);
        assert_eq!(lost, [false, false, true, false, false]);
        drop((watch, settled, first, second));
    }
}
