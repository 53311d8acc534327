//! The RPCs: parse, act, encode. One file per resource; `HoldService` is in [`holds`].

pub mod audit;
pub mod holds;

mod product_reader;
mod products;
mod seat_maps;
mod seats;
mod stock;

use proto::catalog::{
    AdjustStockRequest, AdjustStockResponse, CreateProductRequest, CreateProductResponse,
    CreateSeatMapRequest, CreateSeatMapResponse, DeleteProductRequest, DeleteProductResponse,
    DeleteSeatMapRequest, DeleteSeatMapResponse, GetProductRequest, GetProductResponse, GetSeatMapRequest,
    GetSeatMapResponse, ListProductsRequest, ListProductsResponse, ListSeatMapsRequest, ListSeatMapsResponse,
    ListSeatsRequest, ListSeatsResponse, UpdateProductRequest, UpdateProductResponse, UpdateSeatMapRequest,
    UpdateSeatMapResponse, UpdateSeatsRequest, UpdateSeatsResponse, catalog_service_server::CatalogService,
};
use server::{Health, Jobs, Share};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use self::product_reader::ProductReader;
use crate::{Error, error::Failure};

type Answer<T> = Result<Response<T>, Status>;

/// Calls of each kind that use the database at a time, so that holds keep connections whoever reads or tends the shop: lists and
/// maps, changes. Products are read in batches, of which [`product_reader`] has as few.
const READS: usize = 2;
const CHANGES: usize = 2;
/// Calls of each kind that wait for their turn.
const WAITING: usize = 128;

/// Products, stock, seat maps and seats, for clients.
#[derive(Clone, Debug)]
pub struct CatalogRpc {
    pool: PgPool,
    products: ProductReader,
    reads: Queue,
    changes: Queue,
}

impl CatalogRpc {
    /// On this database, of which `health` says whether it is there. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(pool: PgPool, health: &Health) -> Self {
        let queue = |users| Queue { share: Share::new(users, WAITING), health: health.clone() };
        let products = ProductReader::start(pool.clone());
        Self { pool, products, reads: queue(READS), changes: queue(CHANGES) }
    }

    /// Makes the end of the batcher the end of the process, until `until`: no product could be read any more.
    pub fn supervise(&self, jobs: &Jobs, until: &CancellationToken) {
        self.products.supervise(jobs, until);
    }
}

/// Where calls of one kind wait for the database.
#[derive(Clone, Debug)]
struct Queue {
    share: Share,
    health: Health,
}

/// Acts as soon as it is this call's turn at the database. A queue that does not move for want of the database is no overload.
async fn in_turn<T>(queue: &Queue, act: impl Future<Output = Result<T, Error>>) -> Answer<T> {
    let _turn = queue.share.turn().await.map_err(|busy| {
        if queue.health.is_up("database") { Error::from(busy) } else { Error::Failed(Failure::Outage) }
    })?;
    answer(act.await)
}

fn answer<T>(outcome: Result<T, Error>) -> Answer<T> {
    outcome.map(Response::new).map_err(Status::from)
}

#[tonic::async_trait]
impl CatalogService for CatalogRpc {
    async fn create_product(&self, request: Request<CreateProductRequest>) -> Answer<CreateProductResponse> {
        in_turn(&self.changes, products::create(&self.pool, request.get_ref())).await
    }

    async fn get_product(&self, request: Request<GetProductRequest>) -> Answer<GetProductResponse> {
        answer(products::get(&self.products, request.get_ref()).await)
    }

    async fn list_products(&self, request: Request<ListProductsRequest>) -> Answer<ListProductsResponse> {
        in_turn(&self.reads, products::list(&self.pool, request.get_ref())).await
    }

    async fn update_product(&self, request: Request<UpdateProductRequest>) -> Answer<UpdateProductResponse> {
        in_turn(&self.changes, products::update(&self.pool, request.get_ref())).await
    }

    async fn delete_product(&self, request: Request<DeleteProductRequest>) -> Answer<DeleteProductResponse> {
        in_turn(&self.changes, products::delete(&self.pool, request.get_ref())).await
    }

    async fn adjust_stock(&self, request: Request<AdjustStockRequest>) -> Answer<AdjustStockResponse> {
        in_turn(&self.changes, stock::adjust(&self.pool, request.get_ref())).await
    }

    async fn create_seat_map(&self, request: Request<CreateSeatMapRequest>) -> Answer<CreateSeatMapResponse> {
        in_turn(&self.changes, seat_maps::create(&self.pool, request.get_ref())).await
    }

    async fn get_seat_map(&self, request: Request<GetSeatMapRequest>) -> Answer<GetSeatMapResponse> {
        in_turn(&self.reads, seat_maps::get(&self.pool, request.get_ref())).await
    }

    async fn list_seat_maps(&self, request: Request<ListSeatMapsRequest>) -> Answer<ListSeatMapsResponse> {
        in_turn(&self.reads, seat_maps::list(&self.pool, request.get_ref())).await
    }

    async fn update_seat_map(&self, request: Request<UpdateSeatMapRequest>) -> Answer<UpdateSeatMapResponse> {
        in_turn(&self.changes, seat_maps::update(&self.pool, request.get_ref())).await
    }

    async fn delete_seat_map(&self, request: Request<DeleteSeatMapRequest>) -> Answer<DeleteSeatMapResponse> {
        in_turn(&self.changes, seat_maps::delete(&self.pool, request.get_ref())).await
    }

    async fn list_seats(&self, request: Request<ListSeatsRequest>) -> Answer<ListSeatsResponse> {
        in_turn(&self.reads, seats::list(&self.pool, request.get_ref())).await
    }

    async fn update_seats(&self, request: Request<UpdateSeatsRequest>) -> Answer<UpdateSeatsResponse> {
        in_turn(&self.changes, seats::update(&self.pool, request.get_ref())).await
    }
}
