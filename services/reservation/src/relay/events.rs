//! Events to the topic exchange: one message for each row, with an event for each of its bookings.

use amqp::{CloudEvent, Message};
use prost::Message as _;
use proto::events::{BookingEvent, BookingEvents};

use crate::store::outbox::Row;

/// The CloudEvents source of every event.
const SOURCE: &str = "/holdfast/reservation";
/// The type of the body.
const BODY: &str = "holdfast.events.v1.BookingEvents";
/// The most events in one message.
const MAX_EVENTS: usize = 1_000;

/// The messages for these rows. The id of an event is that of its row: the same whenever it is sent again.
pub(super) fn messages(rows: &[Row]) -> Vec<Message> {
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let events: Vec<BookingEvent> = (0..row.booking_ids.len()).map(|i| event(row, i)).collect();
        for (part, events) in events.chunks(MAX_EVENTS).enumerate() {
            let id = format!("{}-{part}", row.outbox_id);
            let attributes = CloudEvent { id: &id, kind: &row.subject, source: SOURCE, time: row.created_at };
            let body = BookingEvents { events: events.to_vec() }.encode_to_vec();
            messages.push(Message::event(&attributes, BODY, body, row.traceparent.as_deref()));
        }
    }
    messages
}

fn event(row: &Row, i: usize) -> BookingEvent {
    let customer_id = row.customer_ids.as_ref().and_then(|ids| ids.get(i));
    let deadline = row.deadlines.as_ref().and_then(|deadlines| deadlines.get(i));
    let reference = row.reference_ids.as_ref().and_then(|ids| ids.get(i));
    BookingEvent {
        booking_id: row.booking_ids[i].to_string(),
        customer_id: customer_id.cloned().unwrap_or_default(),
        event_time: Some(api::time::to_timestamp(row.created_at)),
        expire_time: deadline.copied().map(api::time::to_timestamp),
        reference_id: reference.map(ToString::to_string).unwrap_or_default(),
    }
}
