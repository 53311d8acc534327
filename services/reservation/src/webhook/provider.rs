//! The payment provider's format: the one file to be written for another provider (docs/payments.md).
//!
//! Turns the bytes of an event, whose signature was good, into what it means for a booking. Owns no decision about bookings.

use api::field;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The header with the signature: `t=<seconds since 1970>,v1=<HMAC-SHA256 in hex>`, of the time, a dot and the body; several `v1`
/// while secrets are rotated.
pub(super) const SIGNATURE: &str = "webhook-signature";

/// The longest name of an event, a payment or a refund, in characters.
const MAX_NAME: usize = 255;

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// The provider's name for it: the same in every repeat.
    pub(super) id: String,
    /// The booking that it is about; none: it is not about one of ours.
    pub(super) booking_id: Option<Uuid>,
    /// What happened.
    pub(super) what: What,
}

/// What happened to a booking's money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The customer is paying.
    Started,
    /// Money was taken, by this payment.
    Succeeded(Named),
    /// An attempt took none; it is a payment of its own.
    Failed(Named),
    /// All of a payment's money went back.
    Refunded {
        /// By this refund.
        refund: Named,
        /// Of this payment.
        payment: Named,
    },
    /// Nothing that changes a booking.
    Other,
}

/// A payment or a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Ours: the provider's if that is a UUID, else one that is made of it (UUIDv8).
    pub(super) id: Uuid,
    /// The provider's.
    pub(super) name: String,
}

impl Named {
    fn of(what: &'static str, name: Option<&str>) -> Result<Self, Unreadable> {
        let name = name.filter(|name| !name.is_empty()).ok_or(Unreadable::Missing(what))?;
        check(what, name)?;
        Ok(Self { id: own_id(what, name), name: name.to_owned() })
    }

    /// Another id of it, for money whose own id stands for a payment that failed. There is one, so that it pays for one booking.
    pub(super) fn again(&self) -> Uuid {
        own_id("payment_id", &format!("again:{}", self.id))
    }
}

/// An event as it is sent. Other kinds have data of other kinds.
#[derive(Deserialize)]
struct Sent {
    id: String,
    r#type: String,
    #[serde(default)]
    data: Value,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(rename = "booking_id")]
    booking: Option<String>,
    #[serde(rename = "payment_id")]
    payment: Option<String>,
    #[serde(rename = "refund_id")]
    refund: Option<String>,
}

/// Why an event cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// Not the JSON that it should be.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// What it is about has no name.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// It has one that is none.
    #[error("{0} must have 1 to {MAX_NAME} characters, and no control characters")]
    Bad(&'static str),
}

/// A name of the provider's, as it may go into logs and histories.
fn check(what: &'static str, name: &str) -> Result<(), Unreadable> {
    let is_good = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if is_good { Ok(()) } else { Err(Unreadable::Bad(what)) }
}

/// Reads an event.
pub(super) fn read(body: &[u8]) -> Result<Event, Unreadable> {
    let Sent { id, r#type: kind, data } = serde_json::from_slice(body)?;
    let is_ours = ["payment.started", "payment.succeeded", "payment.failed", "payment.refunded"]
        .contains(&kind.as_str());
    if !is_ours {
        return Ok(Event { id, booking_id: None, what: What::Other });
    }
    check("id", &id)?;
    let data = serde_json::from_value::<Option<Data>>(data)?.unwrap_or_default();
    let payment = || Named::of("payment_id", data.payment.as_deref());
    let what = match kind.as_str() {
        "payment.succeeded" => What::Succeeded(payment()?),
        // The provider tries a payment again under the same name: each failure is named by its event.
        "payment.failed" => What::Failed(Named::of("id", Some(&id))?),
        "payment.refunded" => {
            What::Refunded { refund: Named::of("refund_id", data.refund.as_deref())?, payment: payment()? }
        }
        _ => What::Started,
    };
    let booking_id = data.booking.and_then(|booking| field::uuid("booking_id", &booking).ok());
    Ok(Event { id, booking_id, what })
}

/// Our name for what the provider calls so: the same UUID if it is one, else one that is made of it (UUIDv8).
fn own_id(what: &str, id: &str) -> Uuid {
    if let Ok(id) = field::uuid(what, id) {
        return id;
    }
    let digest = Sha256::new().chain_update(what).chain_update(":").chain_update(id).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOKING: &str = "0198a000-0000-7000-8000-000000000001";

    fn event(kind: &str, data: &str) -> Result<Event, Unreadable> {
        read(format!(r#"{{"id": "evt_1", "type": "{kind}", "more": 7, "data": {{{data}}}}}"#).as_bytes())
    }

    #[test]
    fn an_event_says_what_happened_to_which_booking() {
        let data = format!(r#""booking_id": "{BOOKING}", "payment_id": "pay_1", "refund_id": "re_1""#);
        let what = |kind| {
            event(kind, &data).map(|event| (event.booking_id.unwrap().to_string(), event.what)).unwrap()
        };
        let named = |what, name| Named::of(what, Some(name)).unwrap();
        let payment = named("payment_id", "pay_1");
        assert_eq!(what("payment.started"), (BOOKING.to_owned(), What::Started));
        assert_eq!(what("payment.succeeded").1, What::Succeeded(payment.clone()));
        assert_eq!(what("payment.failed").1, What::Failed(named("id", "evt_1")));
        let refunded = What::Refunded { refund: named("refund_id", "re_1"), payment };
        assert_eq!(what("payment.refunded").1, refunded);
    }

    #[test]
    fn other_kinds_may_carry_what_they_like() {
        for data in ["null", "7", "[]", r#"{"booking_id": 7, "payment_id": null}"#] {
            let sent =
                |kind| read(format!(r#"{{"id": "evt_1", "type": "{kind}", "data": {data}}}"#).as_bytes());
            assert_eq!(sent("customer.created").unwrap().what, What::Other, "{data}");
        }
        assert_eq!(event("payment.started", r#""booking_id": null"#).unwrap().booking_id, None);
        assert!(read(br#"{"id": "evt_1", "type": "payment.started", "data": null}"#).is_ok());
    }

    #[test]
    fn what_is_not_about_a_booking_of_ours_names_none() {
        for data in [r#""payment_id": "pay_1""#, r#""payment_id": "pay_1", "booking_id": "order-7""#] {
            assert_eq!(event("payment.succeeded", data).unwrap().booking_id, None);
        }
    }

    #[test]
    fn what_cannot_be_understood_is_said_to_be() {
        assert!(read(b"{").is_err() && read(b"{}").is_err() && read(b"[]").is_err());
        let error = event("payment.succeeded", "").unwrap_err();
        assert_eq!(error.to_string(), "payment_id is missing");
        let error = event("payment.refunded", r#""refund_id": "re_1""#).unwrap_err();
        assert_eq!(error.to_string(), "payment_id is missing");
    }

    #[test]
    fn names_that_are_none_are_refused_and_said_to_be() {
        let long = "x".repeat(256);
        for bad in ["a\\u0000b", "a\\nb", "\\u009b", &long] {
            let sent = |id: &str, data: &str| {
                let text = format!(r#"{{"id": "{id}", "type": "payment.refunded", "data": {{{data}}}}}"#);
                read(text.as_bytes()).map(drop).map_err(|error| error.to_string())
            };
            let data = |payment: &str, refund: &str| {
                format!(r#""payment_id": "{payment}", "refund_id": "{refund}""#)
            };
            let said = |name| Err(format!("{name} must have 1 to 255 characters, and no control characters"));
            assert_eq!(sent(bad, &data("pay_1", "re_1")), said("id"));
            assert_eq!(sent("evt_1", &data(bad, "re_1")), said("payment_id"));
            assert_eq!(sent("evt_1", &data("pay_1", bad)), said("refund_id"));
            assert_eq!(sent("evt_1", &data(&long[1..], "ré_1")), Ok(()));
        }
        assert!(event("payment.started", "").is_ok());
        assert!(read(br#"{"id": "", "type": "payment.started"}"#).is_err());
    }

    #[test]
    fn names_that_are_uuids_are_kept_and_others_make_one_each() {
        assert_eq!(own_id("payment_id", BOOKING).to_string(), BOOKING);
        let made = own_id("payment_id", "pay_1");
        assert_eq!(made, own_id("payment_id", "pay_1"));
        assert_ne!(made, own_id("payment_id", "pay_2"));
        assert_ne!(made, own_id("refund_id", "pay_1"));
        assert_eq!(made.get_version_num(), 8);
        // As docs/payments.md has it.
        assert_eq!(made.to_string(), "e4784ffd-f26a-86c8-a31b-32711c90f0cf");
    }
}
