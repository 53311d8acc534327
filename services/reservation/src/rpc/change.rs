//! The RPCs that change a booking that is there: one command each.

use api::{Violations, field};
use proto::reservation::{
    Booking, CancelBookingRequest, CompletePaymentRequest, ExtendHoldRequest, PayBookingRequest,
    RefundBookingRequest, StartPaymentRequest,
};
use time::Duration;
use uuid::Uuid;

use crate::{
    app::App,
    convert,
    domain::{
        actor::Actor,
        command::{Command, Payment},
        ids::{BookingId, PaymentId, RefundId},
    },
    error::Error,
};

/// How much later than its first deadline a hold may be asked to run out, in ms.
const EXTENSION_MS: std::ops::RangeInclusive<i64> = 1..=86_400_000;

async fn command(app: &App, id: BookingId, command: Command, actor: &Actor) -> Result<Booking, Error> {
    Ok(convert::booking(&app.existing.command(id, command, actor).await?))
}

pub(super) async fn extend_hold(
    app: &App,
    (actor, request): (Actor, ExtendHoldRequest),
) -> Result<Booking, Error> {
    let mut bad = Violations::default();
    let id = bad.keep(convert::booking_id(&request.booking_id));
    let by = bad.keep(field::duration_ms("extension", request.extension.as_ref(), EXTENSION_MS));
    let (id, by) = bad.complete((id, by))?;
    command(app, id, Command::Extend(Duration::milliseconds(by)), &actor).await
}

pub(super) async fn start_payment(
    app: &App,
    (actor, request): (Actor, StartPaymentRequest),
) -> Result<Booking, Error> {
    command(app, convert::booking_id(&request.booking_id)?, Command::StartPayment, &actor).await
}

pub(super) async fn complete_payment(
    app: &App,
    (actor, request): (Actor, CompletePaymentRequest),
) -> Result<Booking, Error> {
    let (id, payment) = payment(&request.booking_id, &request.payment_id, request.success)?;
    command(app, id, Command::CompletePayment(payment), &actor).await
}

pub(super) async fn pay_booking(
    app: &App,
    (actor, request): (Actor, PayBookingRequest),
) -> Result<Booking, Error> {
    let (id, payment) = payment(&request.booking_id, &request.payment_id, request.success)?;
    command(app, id, Command::Pay(payment), &actor).await
}

pub(super) async fn cancel_booking(
    app: &App,
    (actor, request): (Actor, CancelBookingRequest),
) -> Result<Booking, Error> {
    command(app, convert::booking_id(&request.booking_id)?, Command::Cancel, &actor).await
}

pub(super) async fn refund_booking(
    app: &App,
    (actor, request): (Actor, RefundBookingRequest),
) -> Result<Booking, Error> {
    let (id, refund_id) = with_reference(&request.booking_id, "refund_id", &request.refund_id)?;
    let refund_id = refund_id.map_or_else(|| RefundId::from(id), RefundId::from);
    command(app, id, Command::Refund(refund_id), &actor).await
}

/// A payment without a name that took money is named after its booking, so that its repeat is the same payment. One
/// that took none may be followed by others like it.
fn payment(booking_id: &str, payment_id: &str, success: bool) -> Result<(BookingId, Payment), Error> {
    let (booking_id, payment_id) = with_reference(booking_id, "payment_id", payment_id)?;
    let id = match payment_id {
        Some(id) => id.into(),
        None if success => booking_id.into(),
        None => PaymentId::generate(),
    };
    Ok((booking_id, Payment { id, success }))
}

fn with_reference(booking_id: &str, name: &str, id: &str) -> Result<(BookingId, Option<Uuid>), Violations> {
    let mut bad = Violations::default();
    let booking_id = bad.keep(convert::booking_id(booking_id));
    let id = bad.keep(field::optional_uuid(name, id));
    bad.complete((booking_id, id))
}
