//! A collector of traces, as OpenTelemetry's: it takes what is exported, and keeps it to be looked at.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// A span, and the service that it is from.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The service.
    pub service: String,
    /// The span.
    pub span: Span,
}

/// The collector. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    spans: Arc<Mutex<Vec<Traced>>>,
}

impl Collector {
    /// Starts it, on a port of its own. Answers its URL, too.
    pub async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let serving = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(serving);
        (collector, url)
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Traced> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for part in request.into_inner().resource_spans {
            let resource = part.resource.unwrap_or_default();
            let service = text(&resource.attributes, "service.name").unwrap_or_default();
            let new = part.scope_spans.into_iter().flat_map(|scope| scope.spans);
            spans.extend(new.map(|span| Traced { service: service.clone(), span }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Traced {
    /// An attribute that is a text, or a number as text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        text(&self.span.attributes, name)
    }

    /// An attribute that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        let value = self.span.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref();
        match value?.value {
            Some(Value::IntValue(number)) => Some(number),
            _ => None,
        }
    }

    /// Whether it is called this, from this service, and of this kind.
    #[must_use]
    pub fn is(&self, service: &str, kind: SpanKind, name: &str) -> bool {
        self.service == service && self.span.kind() == kind && self.span.name == name
    }

    /// Whether it is a part of `parent`.
    #[must_use]
    pub fn is_child_of(&self, parent: &Self) -> bool {
        self.span.trace_id == parent.span.trace_id && self.span.parent_span_id == parent.span.span_id
    }

    /// Whether it begins a trace, and is linked to `other`.
    #[must_use]
    pub fn follows(&self, other: &Self) -> bool {
        let links = &self.span.links;
        self.span.parent_span_id.is_empty()
            && links
                .iter()
                .any(|link| link.trace_id == other.span.trace_id && link.span_id == other.span.span_id)
    }

    /// Whether it ended well.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.span.status.as_ref().is_none_or(|status| status.code() != StatusCode::Error)
    }
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref();
    match value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text.clone()),
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => Some(number.to_string()),
        _ => None,
    }
}
