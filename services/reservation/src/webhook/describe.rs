//! The webhook as OpenAPI describes it.

use serde_json::{Value, json};

use super::{MAX_BODY_BYTES, outcome::Outcome, provider};

/// The operation at its path.
pub(super) fn path() -> Value {
    let error = |name: &str| json!({ "$ref": format!("#/components/responses/{name}") });
    let settled =
        [Outcome::Applied, Outcome::RefundDue, Outcome::Ignored, Outcome::Unclaimed, Outcome::ClaimedTwice]
            .map(Outcome::as_str);
    let unsigned = json!({
        "description": "There is no signature that is good, or it is older than 5 minutes. Nothing was done.",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    });
    json!({ "post": {
        "operationId": "ReceivePaymentEvent",
        "tags": ["Booking"],
        "summary": "Takes an event of the payment provider.",
        "description": format!(
            "For the payment provider alone. Events come at least once and in any order; repeats change nothing. 200: it is settled, \
             not to be sent again. {MAX_BODY_BYTES} bytes at most."
        ),
        "parameters": [{
            "name": provider::SIGNATURE,
            "in": "header",
            "required": true,
            "description": "`t=<seconds since 1970>,v1=<hex>`: HMAC-SHA256, with a secret of the provider, of the time, a dot and the body.",
            "schema": { "type": "string" },
            "example": "t=1700000000,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
        }],
        "requestBody": { "required": true, "content": { "application/json": {
            "schema": {
                "type": "object",
                "required": ["id", "type"],
                "properties": {
                    "id": { "type": "string", "description": "The event: the same in every repeat." },
                    "type": { "type": "string", "description": "What happened: `payment.started`, `payment.succeeded`, `payment.failed`, `payment.refunded`. Others are ignored." },
                    "data": { "type": "object", "description": "What it is about: `booking_id`, `payment_id`, and the `refund_id` of a refund." },
                },
            },
            "example": {
                "id": "evt_1",
                "type": "payment.succeeded",
                "data": { "booking_id": "b0000000-0000-4000-8000-000000000001", "payment_id": "pay_1" },
            },
        } } },
        "responses": {
            "200": {
                "description": "Settled.",
                "content": { "application/json": { "schema": {
                    "type": "object",
                    "required": ["outcome"],
                    "properties": { "outcome": { "type": "string", "enum": settled } },
                } } },
            },
            "400": error("BadRequest"),
            "401": unsigned,
            "408": error("RequestTimeout"),
            "409": error("Conflict"),
            "413": error("PayloadTooLarge"),
            "429": error("TooManyRequests"),
            "500": error("InternalServerError"),
            "503": error("ServiceUnavailable"),
            "504": error("GatewayTimeout"),
        },
    } })
}
