//! Who is calling, and whether they may: before anything of a request is read.
//!
//! A bearer token says who calls, or the client certificate of a service; `auth` has the rules and the table. Behind it every call
//! has its [`Caller`] in the request's extensions. Where nobody is asked, every caller is this machine's own operator.

use std::sync::{Arc, LazyLock};

use ::http::{HeaderMap, HeaderValue, Request, header};
use auth::{AuthConfig, Authority, Known, Refusal, Role};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::Span;

use crate::{
    Address, Admission, Health, Name, PartState, Peer, PeerCertificate, methods,
    rate::Key,
    refusals::{self, Refused},
};

/// Which request this is, in the words of its caller or of a proxy.
const REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";
/// The longest of these ids.
const MAX_REQUEST_ID: usize = 64;

/// The part of a process's health that tells whether there are keys to check tokens with.
const PART: &str = "keys";

static NOBODY: LazyLock<Arc<str>> = LazyLock::new(|| "".into());

/// Who makes a call. In the extensions of every request that a service is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who, by their issuer's name for them, or by that of their certificate; empty where nobody is asked.
    pub subject: Arc<str>,
    /// What they are.
    pub role: Role,
    /// Which request it is: `x-request-id`, or else the trace that it is part of.
    pub request_id: Option<Arc<str>>,
}

impl Caller {
    /// Whoever calls where nobody is asked: may do everything.
    #[must_use]
    pub fn local(request_id: Option<Arc<str>>) -> Self {
        Self { subject: Arc::clone(&NOBODY), role: Role::Operator, request_id }
    }
}

/// Who may call.
#[derive(Clone, Debug)]
pub struct Access {
    /// None: nobody is asked.
    authority: Option<Authority>,
    /// The names of certificates that are those of services.
    services: Arc<[Name]>,
}

/// What a caller shows to say who they are.
enum Shown {
    Nothing,
    Token(HeaderValue),
    /// The name of a service's certificate.
    Certificate(Arc<str>),
    /// Something that is no bearer token.
    Nonsense,
}

impl Access {
    /// As the configuration has it.
    ///
    /// # Errors
    /// It cannot be used, or its keys cannot be read.
    pub fn new(config: &AuthConfig) -> anyhow::Result<Self> {
        refusals::show();
        Authority::show_metrics();
        let authority = if config.is_on() { Some(Authority::start(config)?) } else { None };
        if authority.is_none() {
            tracing::warn!(
                "no authentication: whoever reaches the ports may do everything (HOLDFAST_AUTH_JWKS asks callers who they are)"
            );
        }
        Ok(Self { authority, services: config.service_names().map(Name::parse).collect() })
    }

    /// For everyone.
    #[must_use]
    pub fn open() -> Self {
        Self { authority: None, services: Arc::default() }
    }

    /// Adds to `health` what callers cannot be known without: a process that asks who calls is not ready before it had keys. Whoever
    /// had some and lost them stays: services, which have certificates, and the payment provider need none.
    #[must_use]
    pub fn required_in(&self, health: Health) -> Health {
        if self.authority.is_some() { health.require(PART) } else { health }
    }

    /// Follows the keys that tokens are checked with, and says in `health` whether there are any, until `stop`.
    pub async fn follow(self, health: Health, stop: CancellationToken) {
        let Some(authority) = self.authority else { return stop.cancelled().await };
        let tell = |keys: Result<(), String>| {
            let were_there = keys.is_ok();
            health.set(PART, keys.map_or_else(PartState::Down, |()| PartState::Up));
            if were_there {
                health.waive(PART);
            }
        };
        authority.follow(tell, stop).await;
    }

    /// Finds out who calls, and notes it in the request, or refuses the call.
    ///
    /// What is refused is charged to its address, and nothing else is: so whoever shares it with somebody who sends bad tokens all the
    /// time, behind a gateway for one, is let in with a good one, and told of one that has expired.
    pub(crate) async fn admit<B>(
        &self,
        request: &mut Request<B>,
        admission: &Admission,
    ) -> Result<(), Status> {
        // Nothing that comes over a connection has one: the process itself says who calls.
        if request.extensions().get::<Caller>().is_some() {
            return Ok(());
        }
        let Some(authority) = &self.authority else {
            let request_id = request_id(request.headers());
            request.extensions_mut().insert(Caller::local(request_id));
            return Ok(());
        };
        let access = auth::access(request.uri().path());
        if access == Some(auth::Access::Everyone) {
            return Ok(());
        }
        let shown = self.shown(request);
        let known = if let Some(known) = shown.known_before(authority) {
            known
        } else {
            // Apart: where nobody is asked, calls are not to have room for it.
            match Box::pin(identify(authority, shown)).await {
                Ok(known) => known,
                Err(refused) => {
                    if refused.is_their_doing() {
                        admission.charge(Key::of_address(request))?;
                    }
                    return Err(refuse(refused, request));
                }
            }
        };
        // What is not in the table is for nobody.
        let role = known.role.filter(|role| access.is_some_and(|access| access.allows(*role)));
        let Some(role) = role else {
            admission.charge(Some(Key::Subject(known.subject)))?;
            return Err(refuse(Refused::Role(known.role), request));
        };
        let request_id = request_id(request.headers());
        request.headers_mut().remove(header::AUTHORIZATION);
        request.extensions_mut().insert(Caller { subject: known.subject, role, request_id });
        Ok(())
    }

    fn shown<B>(&self, request: &Request<B>) -> Shown {
        let mut headers = request.headers().get_all(header::AUTHORIZATION).iter();
        match (headers.next(), headers.next()) {
            (Some(header), None) => Shown::Token(header.clone()),
            (Some(_), Some(_)) => Shown::Nonsense,
            (None, _) => {
                let certificate =
                    request.extensions().get::<Peer>().and_then(|peer| peer.certificate.as_ref());
                let mut names = certificate.into_iter().flat_map(PeerCertificate::names);
                let service = names.find(|name| self.services.contains(name));
                service.map_or(Shown::Nothing, |name| Shown::Certificate(name.as_str().into()))
            }
        }
    }
}

impl Shown {
    /// Whom it is of, where that needs no close look.
    fn known_before(&self, authority: &Authority) -> Option<Known> {
        match self {
            Self::Certificate(subject) => {
                Some(Known { subject: Arc::clone(subject), role: Some(Role::Service) })
            }
            Self::Token(header) => authority.recall(bearer(header)?),
            Self::Nothing | Self::Nonsense => None,
        }
    }
}

/// Notes a refusal, and says what its caller hears.
fn refuse<B>(refused: Refused, request: &Request<B>) -> Status {
    let method = methods::label(request.uri().path()).value;
    refused.status(&method.as_str(), Address::of(request))
}

async fn identify(authority: &Authority, shown: Shown) -> Result<Known, Refused> {
    let header = match shown {
        Shown::Nothing => return Err(Refused::NoCredentials),
        Shown::Nonsense => return Err(Refused::BadCredentials(Refusal::Malformed)),
        Shown::Certificate(subject) => return Ok(Known { subject, role: Some(Role::Service) }),
        Shown::Token(header) => header,
    };
    let token = bearer(&header).ok_or(Refused::BadCredentials(Refusal::Malformed))?;
    authority.authenticate(token).await.map_err(|refusal| match refusal {
        Refusal::NoKeys => Refused::NoKeys,
        Refusal::Crowded => Refused::KeysCrowded,
        refusal => Refused::BadCredentials(refusal),
    })
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1).
fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

/// Which request this is: what its caller says, if that is short and plain; else its trace.
fn request_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_plain = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(plain)
    };
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_trace = |id: &&str| id.len() == 32 && id.bytes().all(is_hex);
    let trace = || text(TRACEPARENT)?.split('-').nth(1).filter(is_trace);
    if let Some(id) = text(REQUEST_ID).filter(is_plain).or_else(trace) {
        return Some(id.into());
    }
    let traced = telemetry::exports_traces();
    traced.then(|| telemetry::propagation::trace_id(&Span::current())).flatten().map(Into::into)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn every_rpc_that_is_served_has_its_entry_in_the_table_and_nothing_else_has() {
        let sets = [
            proto::DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let files = sets.into_iter().flat_map(|set| FileDescriptorSet::decode(set).unwrap().file);
        let served: BTreeSet<String> = files
            .flat_map(|file| {
                let package = file.package().to_owned();
                file.service.into_iter().map(move |service| (package.clone(), service))
            })
            .flat_map(|(package, service)| {
                let service_name = format!("/{package}.{}", service.name());
                service.method.into_iter().map(move |method| format!("{service_name}/{}", method.name()))
            })
            .collect();
        let listed: BTreeSet<String> = auth::entries().map(|(path, _)| path).collect();
        assert_eq!(served, listed);
    }

    #[test]
    fn a_bearer_token_is_what_stands_behind_its_scheme() {
        let read = |text: &'static str| bearer(&HeaderValue::from_static(text)).map(str::to_owned);
        assert_eq!(read("Bearer a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(read("bearer  a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(read("Basic a"), None);
        assert_eq!(read("Bearer"), None);
        assert_eq!(bearer(&HeaderValue::from_bytes(b"Bearer \xe9").unwrap()), None);
    }

    #[test]
    fn a_request_is_known_by_what_its_caller_calls_it_or_by_its_trace() {
        let trace = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let read = |pairs: &[_]| request_id(&headers(pairs)).map(|id| id.to_string());
        assert_eq!(read(&[("x-request-id", "order-7"), trace]).as_deref(), Some("order-7"));
        assert_eq!(read(&[trace]).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(read(&[]), None);
        let long = "x".repeat(65);
        for bad in ["", "two words", "a\tb", &long] {
            assert_eq!(read(&[("x-request-id", bad)]), None, "{bad:?}");
        }
        let long = format!("00-{}-00f067aa0ba902b7-01", "z ".repeat(16));
        for bad in ["nonsense", &long, "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"] {
            assert_eq!(read(&[("traceparent", bad)]), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn where_nobody_is_asked_everyone_is_the_operator_of_this_machine() {
        let mut request = Request::new(());
        Access::open().admit(&mut request, &Admission::new(1, &[])).await.unwrap();
        assert_eq!(request.extensions().get::<Caller>(), Some(&Caller::local(None)));
    }

    #[test]
    fn a_certificate_is_a_services_by_a_name_of_the_same_kind() {
        let services = ["reservation", "spiffe://shop/expirer"].map(Name::parse).into();
        let access = Access { authority: None, services };
        let shown = |names: Vec<Name>| {
            let mut request = Request::new(());
            let certificate = Some(PeerCertificate::named(names));
            request.extensions_mut().insert(Peer { certificate, ..Peer::default() });
            match access.shown(&request) {
                Shown::Certificate(name) => Some(name.to_string()),
                _ => None,
            }
        };
        let (dns, uri) = (|name: &str| Name::Dns(name.to_owned()), |name: &str| Name::Uri(name.to_owned()));
        assert_eq!(shown(vec![dns("localhost"), dns("reservation")]).as_deref(), Some("reservation"));
        assert_eq!(shown(vec![uri("spiffe://shop/expirer")]).as_deref(), Some("spiffe://shop/expirer"));
        assert_eq!(shown(vec![uri("reservation"), dns("spiffe://shop/expirer"), dns("other")]), None);
    }

    #[tokio::test]
    async fn who_calls_from_within_the_process_is_believed() {
        let caller = Caller { subject: "payments".into(), role: Role::Operator, request_id: None };
        let mut request = Request::new(());
        request.extensions_mut().insert(caller.clone());
        Access::open().admit(&mut request, &Admission::new(1, &[])).await.unwrap();
        assert_eq!(request.extensions().get::<Caller>(), Some(&caller));
    }
}
