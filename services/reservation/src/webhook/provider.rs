//! The payment provider's format: the one file to be written for another provider (docs/payments.md).
//!
//! Turns the bytes of an event, whose signature was good, into what it means for a booking. Owns no decision about bookings.

use api::field;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The header with the signature: `t=<seconds since 1970>,v1=<HMAC-SHA256 in hex>`, of the time, a dot and the body; several `v1`
/// while secrets are rotated.
pub(super) const SIGNATURE: &str = "webhook-signature";

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
    Succeeded(Uuid),
    /// An attempt took none; it is a payment of its own.
    Failed(Uuid),
    /// All of it went back, by this refund.
    Refunded(Uuid),
    /// Nothing that changes a booking.
    Other,
}

/// An event as it is sent.
#[derive(Deserialize)]
struct Sent {
    id: String,
    r#type: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default, rename = "booking_id")]
    booking: String,
    #[serde(default, rename = "payment_id")]
    payment: String,
    #[serde(default, rename = "refund_id")]
    refund: String,
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
}

/// Reads an event.
pub(super) fn read(body: &[u8]) -> Result<Event, Unreadable> {
    let Sent { id, r#type: kind, data } = serde_json::from_slice(body)?;
    let name = |what: &'static str, id: &str| {
        if id.is_empty() { Err(Unreadable::Missing(what)) } else { Ok(own_id(what, id)) }
    };
    let what = match kind.as_str() {
        "payment.started" => What::Started,
        "payment.succeeded" => What::Succeeded(name("payment_id", &data.payment)?),
        // The provider tries a payment again under the same name: each failure is named by its event.
        "payment.failed" => What::Failed(name("id", &id)?),
        "payment.refunded" => What::Refunded(name("refund_id", &data.refund)?),
        _ => What::Other,
    };
    let booking_id = field::uuid("booking_id", &data.booking).ok();
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
        assert_eq!(what("payment.started"), (BOOKING.to_owned(), What::Started));
        assert_eq!(what("payment.succeeded").1, What::Succeeded(own_id("payment_id", "pay_1")));
        assert_eq!(what("payment.failed").1, What::Failed(own_id("id", "evt_1")));
        assert_eq!(what("payment.refunded").1, What::Refunded(own_id("refund_id", "re_1")));
        assert_eq!(what("customer.created").1, What::Other);
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
    }

    #[test]
    fn names_that_are_uuids_are_kept_and_others_make_one_each() {
        assert_eq!(own_id("payment_id", BOOKING).to_string(), BOOKING);
        let made = own_id("payment_id", "pay_1");
        assert_eq!(made, own_id("payment_id", "pay_1"));
        assert_ne!(made, own_id("payment_id", "pay_2"));
        assert_ne!(made, own_id("refund_id", "pay_1"));
        assert_eq!(made.get_version_num(), 8);
    }
}
