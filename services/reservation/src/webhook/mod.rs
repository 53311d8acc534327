//! The webhook of a payment provider: `POST /v1/payments/webhook` on the HTTP port, where secrets for it are set.
//!
//! What the provider tells becomes the calls that anybody else would make (`outcome`), through the same stack as theirs, in the
//! provider's name. Events come at least once and in no order. Only `provider` knows the provider's format, and `signature` how
//! its events are signed. Decisions: `docs/adr/0015`; how to connect a provider: `docs/payments.md`.

mod describe;
mod outcome;
mod provider;
mod signature;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
    routing::post,
};
use http::{HeaderValue, Method, StatusCode, header};
use rest::Refused;
use serde_json::json;
use server::{Address, Arrivals, Calls, Crowded, Late, MAX_HTTP_CONNECTIONS, Penalties};
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::metrics;
use outcome::{Outcome, Provider};
use signature::Secrets;

/// Where the provider sends its events.
const PATH: &str = "/v1/payments/webhook";
/// The largest event.
const MAX_BODY_BYTES: usize = 64 << 10;
/// Events that are awaited at a time: as many as there are connections, so that nobody is put out for having sent little. And what
/// they have sent so far: of that those go who have the most.
const ARRIVALS: (usize, usize) = (MAX_HTTP_CONNECTIONS, 2 << 20);
/// In which one has to arrive.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The webhook.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct WebhookConfig {
    /// The secrets with which the payment provider signs what it sends to /v1/payments/webhook: one a line, several while they are
    /// rotated; read again when the file changes. Not set: there is no webhook.
    #[arg(long, env = "HOLDFAST_WEBHOOK_SECRETS_FILE", value_name = "FILE")]
    pub webhook_secrets_file: Option<PathBuf>,
    /// How many requests to the webhook that have no good signature, or do not come to their end, an address may make a second; twice
    /// as many at once. Then all of its requests are refused for a while, before anything of them is read. Not set: as many as come.
    /// Set it where the provider does not share its address with others, as it does behind a proxy.
    #[arg(long, env = "HOLDFAST_WEBHOOK_RATE_LIMIT", value_name = "REQUESTS",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub webhook_rate_limit: Option<u32>,
}

impl WebhookConfig {
    /// Whether it can be used.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.webhook_secrets_file.as_ref().map_or(Ok(()), |file| Secrets::read(file).map(drop))
    }

    /// What OpenAPI has to say of it.
    pub(crate) fn description(&self) -> Vec<(String, serde_json::Value)> {
        let path = self.webhook_secrets_file.as_ref().map(|_| (PATH.to_owned(), describe::path()));
        path.into_iter().collect()
    }

    /// Its route, where there is one. What it asks for goes to `calls`.
    ///
    /// # Errors
    /// The secrets cannot be read, or there are none.
    pub(crate) fn router(&self, calls: &Calls) -> anyhow::Result<Router> {
        let Some(file) = &self.webhook_secrets_file else { return Ok(Router::new()) };
        let webhook = Webhook {
            secrets: Secrets::read(file)?,
            arrivals: Arrivals::new(ARRIVALS.0, ARRIVALS.1),
            penalties: Penalties::new(self.webhook_rate_limit),
            provider: Provider::new(calls),
        };
        let route = post(receive).fallback(only_post);
        Ok(Router::new().route(PATH, route).with_state(Arc::new(webhook)))
    }
}

#[derive(Debug)]
struct Webhook {
    secrets: Secrets,
    arrivals: Arrivals,
    penalties: Penalties,
    provider: Provider,
}

/// Why an event is not settled.
enum Unsettled {
    /// It came to no call.
    Refused(Outcome, Refused),
    /// The same, and nothing shows that it is of the provider.
    Strange(Outcome, Refused),
    /// A call refused it, and was counted.
    ByCall(Status),
}

async fn receive(State(webhook): State<Arc<Webhook>>, request: Request) -> Response {
    match webhook.handle(request).await {
        Ok(outcome) => {
            metrics::webhook(outcome.as_str());
            answer(outcome)
        }
        Err(Unsettled::ByCall(status)) => {
            metrics::webhook(Outcome::Later.as_str());
            Refused::from(status).into_response()
        }
        Err(Unsettled::Refused(outcome, refused) | Unsettled::Strange(outcome, refused)) => {
            metrics::webhook(outcome.as_str());
            let mut response = refused.answer();
            // What was not read of it ends the connection.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

async fn only_post() -> Response {
    Refused::method(&[Method::POST]).answer()
}

impl Webhook {
    /// What came of an event; or why it was not taken, and what the provider is to hear.
    async fn handle(&self, request: Request) -> Result<Outcome, Unsettled> {
        if request.extensions().get::<Crowded>().is_some() {
            return Err(Unsettled::Refused(Outcome::Later, api::overloaded().into()));
        }
        let address = Address::of(&request);
        let checked = self.penalties.check(address);
        checked.map_err(|status| Unsettled::Refused(Outcome::Later, status.into()))?;
        let done = self.take(address, request).await;
        if let Err(Unsettled::Strange(..)) = done {
            self.penalties.add(address);
        }
        done
    }

    /// The same, whoever sends it.
    async fn take(&self, address: Option<Address>, request: Request) -> Result<Outcome, Unsettled> {
        let (parts, body) = request.into_parts();
        let signature = parts.headers.get(provider::SIGNATURE).and_then(|value| value.to_str().ok());
        // Before the body takes a place.
        let signature = signature.filter(|text| signature::is_of_now(text)).ok_or_else(unsigned)?;
        let body = self.arrive(address, body).await?;
        if !self.secrets.verify(signature, &body).await {
            return Err(unsigned());
        }
        let event = provider::read(&body).map_err(|error| {
            tracing::error!(%error, "an event of the payment provider that cannot be read");
            let message = format!("the event cannot be read: {error}");
            let refused = Refused::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message);
            Unsettled::Refused(Outcome::Malformed, refused)
        })?;
        self.provider.tell(event).await.map_err(Unsettled::ByCall)
    }

    /// The whole of an event.
    async fn arrive(&self, address: Option<Address>, body: Body) -> Result<Bytes, Unsettled> {
        let whole = self.arrivals.whole(body, MAX_BODY_BYTES, || address);
        let Ok(body) = timeout(ARRIVAL_TIMEOUT, whole).await else {
            let message = format!("the event did not come within {} s", ARRIVAL_TIMEOUT.as_secs());
            let refused = Refused::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message);
            return Err(Unsettled::Strange(Outcome::Later, refused));
        };
        body.map_err(|late| match late {
            // Whether its signature is good cannot be told.
            Late::TooLarge(_) => Unsettled::Strange(Outcome::Unsigned, late.into()),
            Late::Silent | Late::BrokeOff => Unsettled::Strange(Outcome::Later, late.into()),
            Late::PutOut => Unsettled::Refused(Outcome::Later, late.into()),
        })
    }
}

fn unsigned() -> Unsettled {
    let message = "the signature is not that of a secret that is known, or is older than 5 minutes";
    let refused = Refused::new(StatusCode::UNAUTHORIZED, Code::Unauthenticated, message);
    Unsettled::Strange(Outcome::Unsigned, refused)
}

fn answer(outcome: Outcome) -> Response {
    let mut response = Response::new(Body::from(json!({ "outcome": outcome.as_str() }).to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// All outcomes by their labels.
pub(crate) fn outcomes() -> impl Iterator<Item = &'static str> {
    Outcome::ALL.into_iter().map(Outcome::as_str)
}
