//! GetBooking, ListBookings and ListBookingHistory.

use api::{
    Violations, field,
    page::{Page, Token},
};
use proto::reservation::{
    Booking, GetBookingRequest, ListBookingHistoryRequest, ListBookingHistoryResponse, ListBookingsRequest,
    ListBookingsResponse,
};
use uuid::Uuid;

use crate::{
    app::App,
    convert,
    domain::{actor::Actor, ids::BookingId},
    error::Error,
    store::{bookings, history},
};

pub(super) async fn get_booking(
    app: &App,
    (actor, request): (Actor, GetBookingRequest),
) -> Result<Booking, Error> {
    let id = convert::booking_id(&request.booking_id)?;
    Ok(convert::booking(&app.existing.get(id, &actor).await?))
}

pub(super) async fn list_bookings(
    app: &App,
    (actor, mut request): (Actor, ListBookingsRequest),
) -> Result<ListBookingsResponse, Error> {
    super::own(&actor, &mut request.customer_id)?;
    let mut bad = Violations::default();
    let customer_id = bad.keep(field::text("customer_id", &request.customer_id, 0..=128));
    let state = bad.keep(convert::state_filter(request.state));
    let token = Token::new("ListBookings", &[&request.customer_id, &request.state.to_string()]);
    let page = bad.keep_all(Page::<Uuid>::parse(token, request.page_size, &request.page_token));
    let (customer_id, state, page) = bad.complete((customer_id, state, page))?;
    let _turn = app.list_turn().await?;
    let (after, limit) = (page.after.map(BookingId::from), page.limit());
    let statement = async {
        let conn = &mut *app.pool.acquire().await?;
        if customer_id.is_empty() {
            bookings::list(conn, state, after, limit).await
        } else {
            bookings::list_of_customer(conn, &customer_id, state, after, limit).await
        }
    };
    let rows = postgres::traced(&app.pool, "ListBookings", statement).await?;
    let (bookings, next_page_token) =
        page.cut(rows, |seen| seen.booking.id.get(), |seen| convert::booking(&seen));
    Ok(ListBookingsResponse { bookings, next_page_token })
}

pub(super) async fn list_booking_history(
    app: &App,
    (actor, request): (Actor, ListBookingHistoryRequest),
) -> Result<ListBookingHistoryResponse, Error> {
    let mut bad = Violations::default();
    let id = bad.keep(convert::booking_id(&request.booking_id));
    let token = Token::new("ListBookingHistory", &[&request.booking_id]);
    let page = bad.keep_all(Page::<i32>::parse(token, request.page_size, &request.page_token));
    let (id, page) = bad.complete((id, page))?;
    if actor.only_own {
        app.existing.get(id, &actor).await?;
    }
    let _turn = app.list_turn().await?;
    let after = page.after.unwrap_or(0);
    let statement = async { history::list(&mut *app.pool.acquire().await?, id, after, page.limit()).await };
    let rows = postgres::traced(&app.pool, "ListBookingHistory", statement).await?;
    if rows.is_empty() && page.after.is_none() {
        return Err(Error::NotFound(id));
    }
    let (entries, next_page_token) =
        page.cut(rows, |entry| entry.sequence, |entry| convert::history_entry(&entry, &actor));
    Ok(ListBookingHistoryResponse { entries, next_page_token })
}
