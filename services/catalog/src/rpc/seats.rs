//! Seats of a map.

use std::collections::HashSet;

use api::{
    Violation,
    page::{Page, Token},
};
use postgres::UnitOfWork;
use proto::catalog::{ListSeatsRequest, ListSeatsResponse, UpdateSeatsRequest, UpdateSeatsResponse};
use sqlx::{PgConnection, PgPool};

use crate::{
    Error,
    convert::seat::{self as convert, SeatsChange},
    domain::{
        ids::SeatMapId,
        seat::{Seat, SeatState},
    },
    store::{seat_maps, seats as store},
};

pub(super) async fn list(pool: &PgPool, request: &ListSeatsRequest) -> Result<ListSeatsResponse, Error> {
    let (id, state) = convert::filter(request)?;
    let state_name = state.map(SeatState::as_str).unwrap_or_default();
    let token = Token::new("ListSeats", &[&id.to_string(), state_name]);
    let page = Page::parse(token, request.page_size, &request.page_token)?;
    let statements = async {
        let conn = &mut *pool.acquire().await?;
        if !seat_maps::is_present(conn, id).await? {
            return Err(Error::SeatMapNotFound(id));
        }
        store::list(conn, id, state, page.after, page.limit()).await
    };
    let seats = postgres::traced(pool, "ListSeats", statements).await?;
    let (seats, next_page_token) = page.cut(seats, |seat| seat.position, |seat| convert::to_proto(id, seat));
    Ok(ListSeatsResponse { seats, next_page_token })
}

pub(super) async fn update(
    pool: &PgPool,
    request: &UpdateSeatsRequest,
) -> Result<UpdateSeatsResponse, Error> {
    let change = convert::change(request)?;
    let mut seats = postgres::transact(pool, &change).await?;
    seats.sort_by_key(|seat| seat.position);
    Ok(UpdateSeatsResponse { seats: encode(change.seat_map_id, seats) })
}

/// Changes all of the seats or none, under their locks; answers them in the order of their labels.
impl UnitOfWork for SeatsChange {
    type Output = Vec<Seat>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Vec<Seat>, Error> {
        let id = self.seat_map_id;
        let map = seat_maps::lock(conn, id).await?.filter(|map| !map.deleted);
        let currency = map.ok_or(Error::SeatMapNotFound(id))?.currency;
        if self.price.is_some_and(|price| price.currency() != currency) {
            return Err(Violation::new("price.currency_code", "must be the currency of the seat map").into());
        }
        let seats = store::lock(conn, id, currency, &self.labels).await?;
        if let Some(label) = missing(&self.labels, &seats) {
            return Err(Error::SeatNotFound { seat_map_id: id, label: label.clone() });
        }
        let changed = seats.into_iter().map(|seat| {
            let label = seat.label.clone();
            seat.change(self.action, self.price).map_err(|_| Error::SeatTaken { seat_map_id: id, label })
        });
        let changed = changed.collect::<Result<Vec<_>, _>>()?;
        if store::update(conn, id, &changed).await? > 0 {
            seat_maps::touch(conn, id).await?;
        }
        Ok(changed)
    }
}

/// The first label that no seat has.
fn missing<'a>(labels: &'a [String], seats: &[Seat]) -> Option<&'a String> {
    let found: HashSet<_> = seats.iter().map(|seat| &seat.label).collect();
    labels.iter().find(|label| !found.contains(label))
}

fn encode(id: SeatMapId, seats: Vec<Seat>) -> Vec<proto::catalog::Seat> {
    seats.into_iter().map(|seat| convert::to_proto(id, seat)).collect()
}
