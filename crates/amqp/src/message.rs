//! Messages on their way to RabbitMQ.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    Route,
    timer::{self, Timer},
    topology,
};

/// The header that carries the W3C trace context of whoever caused the message.
pub(crate) const TRACEPARENT: &str = "traceparent";

/// AMQP's mark for a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// A message to publish: persistent, protobuf.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub(crate) exchange: &'static str,
    pub(crate) routing_key: String,
    /// Whether it must reach a queue. Not so an event, which nobody may be waiting for.
    pub(crate) mandatory: bool,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Vec<u8>,
}

/// The CloudEvents attributes of an event, sent as headers (`cloudEvents:id`, ..).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent<'a> {
    /// The same whenever the event is sent again.
    pub id: &'a str,
    /// What happened, which is the routing key too: `booking.held`.
    pub kind: &'a str,
    /// Who says so.
    pub source: &'a str,
    /// When it happened.
    pub time: OffsetDateTime,
}

impl Message {
    /// The trace context of whoever caused it.
    pub(crate) fn traceparent(&self) -> Option<&str> {
        traceparent(&self.properties)
    }

    /// A timer message to where `route` says. `timers` are 1 .. [`MAX_TIMERS`](crate::MAX_TIMERS).
    #[must_use]
    pub fn timer(route: Route, timers: &[Timer], traceparent: Option<&str>) -> Self {
        let mut headers = FieldTable::default();
        headers.insert(timer::VERSION_HEADER.into(), AMQPValue::LongInt(timer::VERSION));
        trace(&mut headers, traceparent);
        Self {
            exchange: topology::TIMERS,
            routing_key: match route {
                Route::Lane(ttl) => topology::lane(ttl),
                Route::Due => topology::DUE.to_owned(),
            },
            mandatory: true,
            properties: properties(timer::TYPE, headers),
            body: timer::encode(timers),
        }
    }

    /// An event for other services. `body` is an encoded protobuf message of the type `body_type`.
    ///
    /// # Panics
    /// When the event's time has a year of more than four digits, which RFC 3339 does not have either.
    #[must_use]
    pub fn event(event: &CloudEvent<'_>, body_type: &str, body: Vec<u8>, traceparent: Option<&str>) -> Self {
        let time = event.time.format(&Rfc3339).expect("the year has four digits");
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("cloudEvents:specversion", "1.0"),
            ("cloudEvents:id", event.id),
            ("cloudEvents:type", event.kind),
            ("cloudEvents:source", event.source),
            ("cloudEvents:time", &time),
        ] {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        trace(&mut headers, traceparent);
        Self {
            exchange: topology::BOOKINGS,
            routing_key: event.kind.to_owned(),
            mandatory: false,
            properties: properties(body_type, headers).with_message_id(event.id.into()),
            body,
        }
    }
}

fn properties(body_type: &str, headers: FieldTable) -> BasicProperties {
    BasicProperties::default()
        .with_content_type(timer::PROTOBUF.into())
        .with_type(body_type.into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers)
}

/// The trace context in the headers of a message.
pub(crate) fn traceparent(properties: &BasicProperties) -> Option<&str> {
    let headers = properties.headers().as_ref()?;
    let value = headers.inner().get(TRACEPARENT)?.as_long_string()?;
    std::str::from_utf8(value.as_bytes()).ok()
}

fn trace(headers: &mut FieldTable, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT.into(), AMQPValue::LongString(traceparent.into()));
    }
}
