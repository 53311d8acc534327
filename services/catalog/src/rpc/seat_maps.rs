//! Seat maps.

use api::{
    content, field,
    page::{Page, Token},
};
use postgres::UnitOfWork;
use proto::catalog::{
    CreateSeatMapRequest, CreateSeatMapResponse, DeleteSeatMapRequest, DeleteSeatMapResponse,
    GetSeatMapRequest, GetSeatMapResponse, ListSeatMapsRequest, ListSeatMapsResponse, UpdateSeatMapRequest,
    UpdateSeatMapResponse,
};
use sqlx::{PgConnection, PgPool};

use crate::{
    Error,
    convert::seat_map as convert,
    domain::{
        ids::SeatMapId,
        revision::Expected,
        seat_map::{NewSeatMap, SeatMap},
    },
    store::{RequestHash, seat_maps as store, seats},
};

/// The most maps of a page: the seats of each are counted, 10,000 at most.
const MAX_PAGE: u16 = 200;

pub(super) async fn create(
    pool: &PgPool,
    request: &CreateSeatMapRequest,
) -> Result<CreateSeatMapResponse, Error> {
    let new = convert::new(request)?;
    let hash = content::digest(&convert::to_request(&new));
    let found = postgres::transact(pool, &Create { new: &new, hash: &hash }).await?;
    if found.as_ref().is_some_and(|found| found.request_hash != hash) {
        return Err(Error::IdReused { name: "seat_map_id", id: new.id.into() });
    }
    Ok(CreateSeatMapResponse { seat_map: Some(convert::to_proto(present(new.id, found)?)) })
}

/// Inserts the map and its seats, unless the id was used before.
struct Create<'a> {
    new: &'a NewSeatMap,
    hash: &'a RequestHash,
}

impl UnitOfWork for Create<'_> {
    type Output = Option<store::Found>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        if store::insert(conn, self.new, self.hash).await? {
            seats::insert(conn, self.new.id, &self.new.seats).await?;
        }
        store::find(conn, self.new.id).await
    }
}

pub(super) async fn get(pool: &PgPool, request: &GetSeatMapRequest) -> Result<GetSeatMapResponse, Error> {
    let id = SeatMapId::from(field::uuid("seat_map_id", &request.seat_map_id)?);
    let statement = async { store::find(&mut *pool.acquire().await?, id).await };
    let found = postgres::traced(pool, "GetSeatMap", statement).await?;
    Ok(GetSeatMapResponse { seat_map: Some(convert::to_proto(present(id, found)?)) })
}

pub(super) async fn list(
    pool: &PgPool,
    request: &ListSeatMapsRequest,
) -> Result<ListSeatMapsResponse, Error> {
    let page = Page::parse(Token::new("ListSeatMaps", &[]), request.page_size, &request.page_token)?
        .capped(MAX_PAGE);
    let statement = async { store::list(&mut *pool.acquire().await?, page.after, page.limit()).await };
    let seat_maps = postgres::traced(pool, "ListSeatMaps", statement).await?;
    let (seat_maps, next_page_token) = page.cut(seat_maps, |seat_map| seat_map.id, convert::to_proto);
    Ok(ListSeatMapsResponse { seat_maps, next_page_token })
}

pub(super) async fn update(
    pool: &PgPool,
    request: &UpdateSeatMapRequest,
) -> Result<UpdateSeatMapResponse, Error> {
    let (id, expected, change) = convert::change(request)?;
    let statements = async {
        let conn = &mut *pool.acquire().await?;
        let changed = store::update(conn, id, expected, &change).await?;
        Ok::<_, Error>((changed, store::find(conn, id).await?))
    };
    let (changed, found) = postgres::traced(pool, "UpdateSeatMap", statements).await?;
    let seat_map = present(id, found)?;
    // Unchanged: it has another revision, or it is so already.
    if !changed && !expected.admits(seat_map.revision) {
        return Err(Error::EtagMismatch { etag: seat_map.revision.etag() });
    }
    Ok(UpdateSeatMapResponse { seat_map: Some(convert::to_proto(seat_map)) })
}

pub(super) async fn delete(
    pool: &PgPool,
    request: &DeleteSeatMapRequest,
) -> Result<DeleteSeatMapResponse, Error> {
    let id = SeatMapId::from(field::uuid("seat_map_id", &request.seat_map_id)?);
    let expected = Expected::from_etag(&request.etag);
    postgres::transact(pool, &Delete { id, expected }).await?;
    Ok(DeleteSeatMapResponse {})
}

/// Blocks the free seats before the map goes, all under their locks: a hold that races this is refused, or refuses it.
struct Delete {
    id: SeatMapId,
    expected: Expected,
}

impl UnitOfWork for Delete {
    type Output = ();
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<(), Error> {
        let id = self.id;
        let locked = store::lock(conn, id).await?.ok_or(Error::SeatMapNotFound(id))?;
        if locked.deleted {
            return Ok(());
        }
        if !self.expected.admits(locked.revision) {
            return Err(Error::EtagMismatch { etag: locked.revision.etag() });
        }
        if seats::lock_all(conn, id).await? {
            return Err(Error::HasOpenHolds { name: "seat_map_id", id: id.into() });
        }
        seats::block_free(conn, id).await?;
        store::mark_deleted(conn, id).await
    }
}

/// The seat map that was found, unless it was deleted.
fn present(id: SeatMapId, found: Option<store::Found>) -> Result<SeatMap, Error> {
    match found {
        Some(found) if !found.deleted => Ok(found.seat_map),
        _ => Err(Error::SeatMapNotFound(id)),
    }
}
