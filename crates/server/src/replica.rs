//! One replica of another service: a URL at one address, and the lazy connection to it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ::http::{Request, Response, Uri, uri::Scheme};
use anyhow::{Context as _, bail};
use tokio::time::Instant;
use tonic::{
    body::Body,
    transport::{Channel, Endpoint, Error},
};
use tower::ServiceExt as _;
use tracing::{Span, field};

use crate::Dialer;

/// How long a replica that could not be reached is passed over, while there are others.
const PASSED_OVER: Duration = Duration::from_secs(1);
/// How often the log says at most why.
const TOLD_AGAIN: Duration = Duration::from_mins(1);

/// How much of one answer may be on its way before it is read: a batch, whole.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same for all answers over a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// How long one try to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A silent connection is asked for a sign of life this often, and given up without one.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A URL of a service, whose host may have several addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    uri: Uri,
    scheme: Scheme,
    host: String,
    port: u16,
}

/// What a URL's host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host<'a> {
    /// An address, and no other.
    Address(SocketAddr),
    /// A name, to be looked up, and the port.
    Name(&'a str, u16),
}

impl Url {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let uri: Uri = text.parse().with_context(|| format!("read the URL {text:?}"))?;
        let (Some(scheme), Some(host)) = (uri.scheme(), uri.host()) else {
            bail!("{text:?} is not a URL such as http://127.0.0.1:50051");
        };
        let port = uri.port_u16().unwrap_or(if *scheme == Scheme::HTTPS { 443 } else { 80 });
        // IPv6 addresses stand in brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { scheme: scheme.clone(), host, port, uri })
    }

    /// Whether connections to it are secured.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    pub(crate) fn host(&self) -> Host<'_> {
        match self.host.parse::<IpAddr>() {
            Ok(address) => Host::Address(SocketAddr::new(address, self.port)),
            Err(_) => Host::Name(&self.host, self.port),
        }
    }
}

/// A replica. Its connection ends, once the calls on it are through, when it is dropped.
#[derive(Debug)]
pub(crate) struct Replica {
    url: Url,
    address: SocketAddr,
    channel: Channel,
    missed: Mutex<Missed>,
}

/// When it could not be reached.
#[derive(Debug, Default)]
struct Missed {
    passed_over_until: Option<Instant>,
    told_at: Option<Instant>,
}

impl Replica {
    /// What `url` leads to at `address`. `dialer` connects when it is first called.
    pub(crate) fn new(url: Url, address: SocketAddr, dialer: &Dialer) -> anyhow::Result<Self> {
        let uri = Uri::builder()
            .scheme(Scheme::HTTP) // whether it is secured is the dialer's business
            .authority(address.to_string())
            .path_and_query("/")
            .build()
            .with_context(|| format!("make a URL of {address}"))?;
        let endpoint = Endpoint::from(uri)
            .origin(url.uri.clone()) // calls carry the name that was asked for
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(KEEPALIVE_INTERVAL))
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let channel = dialer.dial(&endpoint, url.is_https(), &url.host, address)?;
        Ok(Self { url, address, channel, missed: Mutex::default() })
    }

    /// Whether it is what `url` leads to at `address`.
    pub(crate) fn is(&self, url: &Url, address: SocketAddr) -> bool {
        self.address == address && self.url == *url
    }

    /// Makes a call; the span that it is made in hears where to.
    pub(crate) async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        if telemetry::exports_traces() {
            let span = Span::current();
            span.record("server.address", field::display(self.address.ip()));
            span.record("server.port", i64::from(self.address.port())); // other numbers are exported as text
        }
        self.channel.clone().oneshot(request).await
    }

    /// It could not be reached.
    pub(crate) fn pass_over(&self, why: &Error) {
        let now = Instant::now();
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.passed_over_until = Some(now + PASSED_OVER);
        if missed.told_at.is_some_and(|at| now < at + TOLD_AGAIN) {
            return;
        }
        missed.told_at = Some(now);
        drop(missed);
        let (host, address, error) = (&self.url.host, self.address, telemetry::Chain(why));
        tracing::warn!(host, %address, %error, "another service cannot be reached");
    }

    pub(crate) fn is_passed_over(&self, now: Instant) -> bool {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.passed_over_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_an_address_or_a_name() {
        for (text, host) in [
            ("http://127.0.0.1:50051", Host::Address(([127, 0, 0, 1], 50051).into())),
            ("http://[::1]:50051", Host::Address("[::1]:50051".parse().unwrap())),
            ("http://catalog", Host::Name("catalog", 80)),
            ("https://catalog.shop.svc/", Host::Name("catalog.shop.svc", 443)),
        ] {
            assert_eq!(Url::parse(text).unwrap().host(), host, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_url_is_refused() {
        for text in ["", "catalog:50051", "/catalog", "http://", "http://a b"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
