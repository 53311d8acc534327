//! Under which names the service may be asked for: who must not be taken in by DNS.
//!
//! A page of `evil.example` whose owner lets that name point to this machine (DNS rebinding) is, to the browser, of the same
//! origin as this service: nothing but the header Host tells. So a name that a stranger can own has to be known here.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, StatusCode, header, uri::Authority};
use tonic::Code;

use crate::error::Refused;

/// The ends of names that nobody can register. (Nobody reserved `.lan`; but no such domain is there, and home routers use it.)
const RESERVED: [&str; 8] =
    [".localhost", ".local", ".internal", ".svc", ".localdomain", ".home.arpa", ".test", ".lan"];

/// The names that are known.
#[derive(Debug)]
pub(crate) struct Hosts {
    known: Vec<String>,
}

impl Hosts {
    /// These, beside those that nobody can register; `*`: all that there are; `*.example`: all that end so.
    pub(crate) fn new(known: &[String]) -> Self {
        Self { known: known.iter().map(|name| name.trim().to_ascii_lowercase()).collect() }
    }

    /// Refuses a request for a name that is not known. Who sends no name is no browser.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(host) = headers.get(header::HOST) else { return Ok(()) };
        if host.to_str().ok().and_then(name).is_some_and(|name| self.knows(&name)) {
            return Ok(());
        }
        let message = "the service is not known by the name in the header Host: HOLDFAST_HTTP_HOSTS says by which it is";
        Err(Refused::new(StatusCode::FORBIDDEN, Code::PermissionDenied, message))
    }

    fn knows(&self, name: &str) -> bool {
        address(name).is_some()
            || !name.contains('.')
            || RESERVED.iter().any(|end| name.ends_with(end))
            || self.known.iter().any(|known| match known.strip_prefix('*') {
                Some(end) => name.ends_with(end),
                None => known == name,
            })
    }
}

/// Whether a host is this machine itself, by its address or its name.
pub(crate) fn is_loopback(host: &str) -> bool {
    name(host).is_some_and(|name| {
        address(&name).is_some_and(|address| address.is_loopback())
            || name == "localhost"
            || name.ends_with(".localhost")
    })
}

/// The name in `name:port`, as names are compared.
fn name(host: &str) -> Option<String> {
    let authority: Authority = host.parse().ok()?;
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    (!name.is_empty()).then_some(name)
}

fn address(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => name.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn is_known(host: &'static str, known: &[&str]) -> bool {
        let known: Vec<_> = known.iter().map(|&name| name.to_owned()).collect();
        let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        Hosts::new(&known).check(&headers).is_ok()
    }

    #[test]
    fn names_that_a_stranger_can_own_have_to_be_known() {
        for host in [
            "evil.example",
            "evil.example:8082",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8082",
            "evil.example.",
            "127.1.evil",
            "",
            "a b",
        ] {
            assert!(!is_known(host, &["api.example"]), "{host:?}");
        }
        assert!(is_known("API.example:443", &["api.example"]) && is_known("api.example.", &["API.example"]));
        assert!(!is_known("www.api.example", &["api.example"]) && is_known("evil.example", &["*"]));
        assert!(is_known("reservation.shop:8082", &["*.shop"]));
        assert!(!is_known("evilshop.example", &["*.shop"]) && !is_known("reservation.shop", &[]));
        assert!(Hosts::new(&[]).check(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn addresses_and_names_that_nobody_can_register_are_known() {
        for host in [
            "127.0.0.1:8082",
            "10.0.0.7",
            "[::1]:8082",
            "[fe80::1]",
            "localhost:8082",
            "reservation:8082",
            "nas.lan:8082",
            "reservation.holdfast.svc.cluster.local:8082",
        ] {
            assert!(is_known(host, &[]), "{host:?}");
        }
    }

    #[test]
    fn this_machine_is_known_by_its_names() {
        for host in ["localhost", "LOCALHOST:3000", "app.localhost", "127.0.0.1:8081", "127.1.2.3", "[::1]:1"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.evil.example", "[::2]", "reservation", "", "x y"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
