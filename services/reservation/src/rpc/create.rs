//! CreateBooking and HoldBooking.

use api::{Violation, Violations, field};
use proto::reservation::{Booking, CreateBookingRequest, HoldBookingRequest};

use crate::{
    app::App,
    convert,
    domain::{actor::Actor, ids::BookingId},
    error::Error,
    store::create::New,
};

pub(super) async fn create_booking(
    app: &App,
    (actor, mut request): (Actor, CreateBookingRequest),
) -> Result<Booking, Error> {
    super::own(&actor, &mut request.customer_id)?;
    let hold = request.hold;
    let new = parse(&request, actor)?;
    Ok(convert::booking(&app.creator.create(new, hold).await?))
}

fn parse(request: &CreateBookingRequest, actor: Actor) -> Result<New, Violations> {
    let mut bad = Violations::default();
    let id = bad.keep(field::optional_uuid("booking_id", &request.booking_id));
    let customer_id = bad.keep(field::text("customer_id", &request.customer_id, 1..=128));
    let lines = bad.keep_all(convert::lines(&request.lines));
    let ttl = request.hold_ttl.as_ref();
    let asked_ttl_ms = bad.keep(field::optional_duration_ms("hold_ttl", ttl, convert::HOLD_TTL_MS));
    if ttl.is_some() && !request.hold {
        bad.add(Violation::new("hold_ttl", "goes with hold"));
    }
    let (id, customer_id, lines, asked_ttl_ms) = bad.complete((id, customer_id, lines, asked_ttl_ms))?;
    let id = id.map_or_else(BookingId::generate, BookingId::from);
    Ok(New { id, customer_id, lines, asked_ttl_ms, held: None, actor })
}

pub(super) async fn hold_booking(
    app: &App,
    (actor, request): (Actor, HoldBookingRequest),
) -> Result<Booking, Error> {
    let mut bad = Violations::default();
    let id = bad.keep(convert::booking_id(&request.booking_id));
    let ttl = request.hold_ttl.as_ref();
    let ttl = bad.keep(field::optional_duration_ms("hold_ttl", ttl, convert::HOLD_TTL_MS));
    let (id, asked_ttl_ms) = bad.complete((id, ttl))?;
    Ok(convert::booking(&app.existing.hold(id, asked_ttl_ms, &actor).await?))
}
