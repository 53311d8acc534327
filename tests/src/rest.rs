//! The services over HTTP, as any client of JSON sees them.

use http::{HeaderMap, Method, Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::bytes::Bytes;
use serde_json::Value;
use stack::Stack;

use crate::shared;

/// A client of one stack: of its first catalog and its first reservation service.
#[derive(Clone, Debug)]
pub struct Rest {
    client: Client<HttpConnector, Full<Bytes>>,
    catalog: String,
    reservation: String,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub bytes: Bytes,
    /// The body as JSON; null where it is none.
    pub json: Value,
}

impl Rest {
    /// Of the shared stack. To be made inside the runtime of the test that uses it.
    #[must_use]
    pub fn shared() -> Self {
        Self::of(shared())
    }

    /// Of this stack.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, catalog: stack.catalog().http_url(), reservation: stack.reservation().http_url() }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &Value::Null).await
    }

    /// POST with this body; null: with none.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, body).await
    }

    /// PATCH with this body.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PATCH, path, body).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, &Value::Null).await
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = match body {
            Value::Null => request.body(Bytes::new()),
            body => request.header(CONTENT_TYPE, "application/json").body(body.to_string().into()),
        };
        self.send(request.expect("a request")).await
    }

    /// Sends a request to the service that its path belongs to: bookings to reservation, the rest to the catalog.
    pub async fn send(&self, request: Request<Bytes>) -> Answer {
        let path = request.uri().to_string();
        let is_of_reservation =
            ["/v1/bookings", "/v1/payments", "/holdfast.reservation"].iter().any(|own| path.starts_with(own));
        let service = if is_of_reservation { &self.reservation } else { &self.catalog };
        self.send_to(service, request).await
    }

    /// Sends a request to this service.
    pub async fn send_to(&self, service: &str, request: Request<Bytes>) -> Answer {
        let (mut parts, body) = request.into_parts();
        parts.uri = format!("{service}{}", parts.uri).parse().expect("a URL");
        let answer = self.client.request(Request::from_parts(parts, Full::new(body))).await;
        let (parts, body) = answer.expect("an answer").into_parts();
        let bytes = body.collect().await.expect("the whole of it").to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, bytes, json }
    }
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.json
    }

    /// The call was refused with this status of HTTP and name of gRPC's code, in JSON. Answers the details.
    #[track_caller]
    pub fn refused(&self, http: u16, status: &str) -> &Vec<Value> {
        let told = (self.status.as_u16(), self.json["code"].as_u64(), self.json["status"].as_str());
        assert_eq!(told, (http, Some(http.into()), Some(status)), "{self:?}");
        assert_eq!(self.headers[CONTENT_TYPE], "application/json");
        assert!(self.json["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        self.json["details"].as_array().expect("there are details, or none")
    }

    /// The call was refused by the rules, for this reason. Answers the reason's metadata.
    #[track_caller]
    pub fn refused_because(&self, http: u16, status: &str, reason: &str) -> &Value {
        let details = self.refused(http, status);
        let detail = details.iter().find(|detail| detail["reason"] == reason);
        let detail = detail.unwrap_or_else(|| panic!("another reason: {self:?}"));
        assert_eq!(detail["domain"], "holdfast");
        &detail["metadata"]
    }

    /// The call was refused because of these fields, in this order.
    #[track_caller]
    pub fn refused_fields(&self, fields: &[&str]) {
        let details = self.refused(400, "INVALID_ARGUMENT");
        let bad = details.iter().find_map(|detail| detail["fieldViolations"].as_array());
        let bad: Vec<_> =
            bad.into_iter().flatten().map(|bad| bad["field"].as_str().expect("a path")).collect();
        assert_eq!(bad, fields, "{self:?}");
    }
}
