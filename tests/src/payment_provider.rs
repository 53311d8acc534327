//! A payment provider that sends signed events.

use std::{
    env, fs,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use serde_json::{Value, json};
use sha2::Sha256;
use stack::Options;

use crate::{Answer, Rest, fresh_id};

/// The provider, and the file with its secrets.
#[derive(Debug)]
pub struct PaymentProvider {
    file: PathBuf,
    /// With which it signs.
    pub secret: String,
}

impl Default for PaymentProvider {
    fn default() -> Self {
        let file = env::temp_dir().join(format!("holdfast-webhook-{}", fresh_id()));
        let provider = Self { file, secret: "the-first-secret-of-it".to_owned() };
        provider.agree(&[&provider.secret]);
        provider
    }
}

impl PaymentProvider {
    /// The same options for a stack that takes its events.
    #[must_use]
    pub fn known_to(&self, options: Options) -> Options {
        options.env("HOLDFAST_WEBHOOK_SECRETS_FILE", self.file.to_str().expect("a path of ASCII"))
    }

    /// Makes these the secrets that are good.
    pub fn agree(&self, secrets: &[&str]) {
        let next = self.file.with_extension("next");
        fs::write(&next, format!("# of the provider\n{}\n", secrets.join("\n"))).expect("it can be written");
        fs::rename(&next, &self.file).expect("it can be renamed");
    }

    /// Sends an event of this kind about a booking, and a payment or its refund. The same again is its repeat.
    pub async fn send(&self, rest: &Rest, kind: &str, booking_id: &str, payment: &str) -> Answer {
        let data =
            json!({ "booking_id": booking_id, "payment_id": payment, "refund_id": format!("re_{payment}") });
        self.send_as(rest, &format!("evt_{kind}_{payment}"), kind, &data).await
    }

    /// Sends an event under this name.
    pub async fn send_as(&self, rest: &Rest, id: &str, kind: &str, data: &Value) -> Answer {
        let event = json!({ "id": id, "type": kind, "data": data });
        self.send_at(rest, now(), &event.to_string()).await
    }

    /// Sends this, as if it were that many seconds since 1970.
    pub async fn send_at(&self, rest: &Rest, seconds: u64, body: &str) -> Answer {
        let request = Request::post("/v1/payments/webhook")
            .header("content-type", "application/json")
            .header("webhook-signature", self.sign(seconds, body))
            .body(body.to_owned().into());
        rest.send(request.expect("a request")).await
    }

    /// The signature of this, as of that many seconds since 1970.
    #[must_use]
    pub fn sign(&self, seconds: u64, body: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("any length will do");
        let mac = mac.chain_update(format!("{seconds}.{body}")).finalize().into_bytes();
        let hex = mac.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        format!("t={seconds},v1={hex}")
    }
}

impl Answer {
    /// What came of an event.
    #[track_caller]
    pub fn outcome(self) -> String {
        let told: Value = self.ok();
        told["outcome"].as_str().expect("it is told").to_owned()
    }
}

impl Drop for PaymentProvider {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
