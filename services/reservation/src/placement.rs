//! Placing holds with the catalog: many in one call, each with its own outcome.

use proto::catalog::{
    ErrorReason, HoldKey, HoldLine, HoldState, PlaceHold, PlaceHoldOutcome, PlaceHoldsRequest, PlacedHold,
    ProductItem, RefusedHold, SeatItem, hold_line, hold_service_client::HoldServiceClient,
    place_hold_outcome::Outcome,
};
use server::Channel;
use tonic::{Code, Status};

use crate::{
    domain::{
        booking::Booking,
        command::Placed,
        ids::{Attempt, BookingId},
        line::Item,
    },
    error::Failure,
    store::create::New,
};

/// A hold to place.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// For which booking.
    pub(crate) booking_id: BookingId,
    /// For which of its attempts.
    pub(crate) attempt: Attempt,
    /// Whose it is to be.
    pub(crate) customer_id: String,
    /// What to take.
    pub(crate) items: Vec<Item>,
    /// The longest that is wanted, in ms.
    pub(crate) asked_ttl_ms: Option<i64>,
}

impl Wanted {
    /// For a new booking.
    pub(crate) fn of(new: &New) -> Self {
        Self {
            booking_id: new.id,
            attempt: Attempt::FIRST,
            customer_id: new.customer_id.clone(),
            items: new.lines.iter().map(|line| line.item.clone()).collect(),
            asked_ttl_ms: new.asked_ttl_ms,
        }
    }

    /// For a draft.
    pub(crate) fn draft(booking: &Booking, asked_ttl_ms: Option<i64>) -> Self {
        Self {
            booking_id: booking.id,
            attempt: booking.attempt,
            customer_id: booking.customer_id.clone(),
            items: booking.lines.iter().map(|line| line.item.clone()).collect(),
            asked_ttl_ms,
        }
    }
}

/// What the catalog made of it.
#[derive(Clone, Debug)]
pub(crate) enum Placement {
    /// Its units are held.
    Active(Placed),
    /// The hold of this attempt was placed before and is settled already.
    Settled,
    /// Something else was placed under this attempt, by whoever named the booking's id. Nothing was taken.
    Reused,
    /// Nothing was taken.
    Refused(RefusedHold),
}

/// Places the holds; when the call fails, they all do.
pub(crate) async fn place(
    catalog: &HoldServiceClient<Channel>,
    wanted: &[Wanted],
) -> Vec<Result<Placement, Failure>> {
    match place_call(catalog.clone(), wanted).await {
        Ok(placements) => placements,
        Err(failure) => wanted.iter().map(|_| Err(failure)).collect(),
    }
}

/// Places the holds in one call. When it fails nobody knows what was placed: nothing is compensated, the sweep asks
/// for a verdict on whatever nobody claims.
async fn place_call(
    mut catalog: HoldServiceClient<Channel>,
    wanted: &[Wanted],
) -> Result<Vec<Result<Placement, Failure>>, Failure> {
    let request = PlaceHoldsRequest { holds: wanted.iter().map(encode).collect() };
    let response =
        catalog.place_holds(request).await.map_err(|status| failure(&status, wanted))?.into_inner();
    if response.outcomes.len() != wanted.len() {
        tracing::error!(asked = wanted.len(), answered = response.outcomes.len(), "the catalog miscounted");
        return Err(Failure::Defect);
    }
    let placement = |(wanted, outcome): (&Wanted, PlaceHoldOutcome)| match outcome.outcome {
        Some(Outcome::Placed(placed)) => decode(wanted, &placed),
        Some(Outcome::Refused(refused)) if refused.reason() == ErrorReason::IdReused => Ok(Placement::Reused),
        Some(Outcome::Refused(refused)) => Ok(Placement::Refused(refused)),
        Some(Outcome::Damaged(_)) => {
            let (booking_id, attempt) = (wanted.booking_id, wanted.attempt.get());
            tracing::error!(%booking_id, attempt, "the catalog has a hold that makes no sense");
            Err(Failure::Defect)
        }
        None => Err(Failure::Defect),
    };
    Ok(wanted.iter().zip(response.outcomes).map(placement).collect())
}

fn encode(wanted: &Wanted) -> PlaceHold {
    let lines = wanted.items.iter().map(|item| HoldLine { item: Some(encode_item(item)) }).collect();
    PlaceHold {
        key: Some(HoldKey { booking_id: wanted.booking_id.to_string(), attempt: wanted.attempt.get() }),
        lines,
        hold_ttl: wanted.asked_ttl_ms.map(api::time::to_duration_ms),
        customer_id: wanted.customer_id.clone(),
    }
}

/// A line as the catalog is asked for it.
pub(crate) fn encode_item(item: &Item) -> hold_line::Item {
    match item {
        Item::Product { product_id, quantity } => {
            hold_line::Item::Product(ProductItem { product_id: product_id.to_string(), quantity: *quantity })
        }
        Item::Seat { seat_map_id, label } => {
            hold_line::Item::Seat(SeatItem { seat_map_id: seat_map_id.to_string(), label: label.clone() })
        }
    }
}

fn decode(wanted: &Wanted, placed: &PlacedHold) -> Result<Placement, Failure> {
    if placed.state() != HoldState::Active {
        return Ok(Placement::Settled);
    }
    let currency = placed.unit_prices.first().map(|price| price.currency_code.clone());
    let ttl = placed.hold_ttl.as_ref().and_then(api::time::from_duration);
    match (currency, ttl) {
        (Some(currency), Some(ttl)) if placed.unit_prices.len() == wanted.items.len() => {
            let unit_prices_minor = placed.unit_prices.iter().map(|price| price.minor_units).collect();
            Ok(Placement::Active(Placed { attempt: wanted.attempt, ttl, currency, unit_prices_minor }))
        }
        _ => {
            tracing::error!(booking_id = %wanted.booking_id, "the catalog answered a hold without its terms");
            Err(Failure::Defect)
        }
    }
}

fn failure(status: &Status, wanted: &[Wanted]) -> Failure {
    let booking_ids = || telemetry::few(wanted.iter().map(|wanted| wanted.booking_id));
    match status.code() {
        Code::ResourceExhausted => Failure::Overload,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted | Code::Unknown => {
            tracing::warn!(booking_ids = booking_ids(), code = ?status.code(), message = status.message(), "the catalog is away");
            Failure::Outage
        }
        code @ (Code::Unauthenticated | Code::PermissionDenied) => {
            let booking_ids = booking_ids();
            tracing::error!(
                booking_ids,
                ?code,
                message = status.message(),
                "the catalog does not let reservation in"
            );
            Failure::Outage
        }
        code => {
            tracing::error!(
                booking_ids = booking_ids(),
                ?code,
                message = status.message(),
                "the catalog failed"
            );
            Failure::Defect
        }
    }
}
