//! Events to the topic exchange: one message for each row, with an event for each of its bookings.

use amqp::{CloudEvent, Message};
use prost::Message as _;
use proto::events::{BookingEvent, BookingEvents};
use time::OffsetDateTime;

use crate::{error::Error, store::outbox::Row};

/// The CloudEvents source of every event.
const SOURCE: &str = "/holdfast/reservation";
/// The type of the body.
const BODY: &str = "holdfast.events.v1.BookingEvents";
/// The most events in one message.
const MAX_EVENTS: usize = 1_000;

/// The messages for these rows. The id of an event is that of its row: the same whenever it is sent again.
pub(super) fn messages(rows: &[Row]) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let made_at = row.made_at()?;
        let events = (0..row.booking_ids.len()).map(|i| event(row, i, made_at));
        let events: Vec<BookingEvent> = events.collect::<Result<_, _>>()?;
        for (part, events) in events.chunks(MAX_EVENTS).enumerate() {
            let id = format!("{}-{part}", row.outbox_id);
            let attributes = CloudEvent { id: &id, kind: row.routing_key()?, source: SOURCE, time: made_at };
            let body = BookingEvents { events: events.to_vec() }.encode_to_vec();
            messages.push(Message::event(&attributes, BODY, body, row.trace()));
        }
    }
    Ok(messages)
}

fn event(row: &Row, i: usize, made_at: OffsetDateTime) -> Result<BookingEvent, Error> {
    let customer_id = row.customer_ids.as_ref().and_then(|ids| ids.get(i));
    let reference = row.reference_ids.as_ref().and_then(|ids| ids.get(i));
    Ok(BookingEvent {
        booking_id: row.booking_ids[i].to_string(),
        customer_id: customer_id.cloned().unwrap_or_default(),
        event_time: Some(api::time::to_timestamp(made_at)),
        expire_time: row.deadline(i)?.map(api::time::to_timestamp),
        reference_id: reference.map(ToString::to_string).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};
    use uuid::Uuid;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-22 10:00:00 UTC);

    fn row(bookings: usize) -> Row {
        Row {
            outbox_id: 7,
            subject: "booking.held".to_owned(),
            booking_ids: (0..bookings).map(|n| Uuid::from_u128(n as u128)).collect(),
            attempts: None,
            customer_ids: Some((0..bookings).map(|n| format!("customer {n}")).collect()),
            deadlines: Some(vec![(NOW + Duration::MINUTE).into(); bookings]),
            reference_ids: None,
            traceparent: None,
            created_at: NOW.into(),
            now: NOW,
        }
    }

    #[test]
    fn each_booking_of_a_row_gets_its_own_event() {
        let event = event(&row(2), 1, NOW).unwrap();
        assert_eq!(event.booking_id, Uuid::from_u128(1).to_string());
        assert_eq!(event.customer_id, "customer 1");
        assert_eq!(event.event_time, Some(api::time::to_timestamp(NOW)));
        assert_eq!(event.expire_time, Some(api::time::to_timestamp(NOW + Duration::MINUTE)));
        assert_eq!(event.reference_id, "");
    }

    #[test]
    fn a_row_whose_subject_no_message_can_have_is_refused() {
        for subject in [String::new(), "x".repeat(256)] {
            assert!(messages(&[Row { subject, ..row(1) }]).is_err());
        }
    }

    #[test]
    fn a_long_row_becomes_several_messages_that_differ() {
        let messages = messages(&[row(MAX_EVENTS + 1)]).unwrap();
        assert_eq!(messages.len(), 2);
        assert_ne!(messages[0], messages[1]);
    }
}
