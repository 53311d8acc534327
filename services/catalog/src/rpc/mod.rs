//! The RPCs: parse, act, encode. One file per resource; `HoldService` is in [`holds`].

pub mod audit;
pub mod holds;

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
use sqlx::PgPool;
use tonic::{Request, Response, Status};

use crate::Error;

type Answer<T> = Result<Response<T>, Status>;

/// Products, stock, seat maps and seats, for clients.
#[derive(Clone, Debug)]
pub struct CatalogRpc {
    pool: PgPool,
}

impl CatalogRpc {
    /// On this database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

fn answer<T>(outcome: Result<T, Error>) -> Answer<T> {
    outcome.map(Response::new).map_err(Status::from)
}

#[tonic::async_trait]
impl CatalogService for CatalogRpc {
    async fn create_product(&self, request: Request<CreateProductRequest>) -> Answer<CreateProductResponse> {
        answer(products::create(&self.pool, request.get_ref()).await)
    }

    async fn get_product(&self, request: Request<GetProductRequest>) -> Answer<GetProductResponse> {
        answer(products::get(&self.pool, request.get_ref()).await)
    }

    async fn list_products(&self, request: Request<ListProductsRequest>) -> Answer<ListProductsResponse> {
        answer(products::list(&self.pool, request.get_ref()).await)
    }

    async fn update_product(&self, request: Request<UpdateProductRequest>) -> Answer<UpdateProductResponse> {
        answer(products::update(&self.pool, request.get_ref()).await)
    }

    async fn delete_product(&self, request: Request<DeleteProductRequest>) -> Answer<DeleteProductResponse> {
        answer(products::delete(&self.pool, request.get_ref()).await)
    }

    async fn adjust_stock(&self, request: Request<AdjustStockRequest>) -> Answer<AdjustStockResponse> {
        answer(stock::adjust(&self.pool, request.get_ref()).await)
    }

    async fn create_seat_map(&self, request: Request<CreateSeatMapRequest>) -> Answer<CreateSeatMapResponse> {
        answer(seat_maps::create(&self.pool, request.get_ref()).await)
    }

    async fn get_seat_map(&self, request: Request<GetSeatMapRequest>) -> Answer<GetSeatMapResponse> {
        answer(seat_maps::get(&self.pool, request.get_ref()).await)
    }

    async fn list_seat_maps(&self, request: Request<ListSeatMapsRequest>) -> Answer<ListSeatMapsResponse> {
        answer(seat_maps::list(&self.pool, request.get_ref()).await)
    }

    async fn update_seat_map(&self, request: Request<UpdateSeatMapRequest>) -> Answer<UpdateSeatMapResponse> {
        answer(seat_maps::update(&self.pool, request.get_ref()).await)
    }

    async fn delete_seat_map(&self, request: Request<DeleteSeatMapRequest>) -> Answer<DeleteSeatMapResponse> {
        answer(seat_maps::delete(&self.pool, request.get_ref()).await)
    }

    async fn list_seats(&self, request: Request<ListSeatsRequest>) -> Answer<ListSeatsResponse> {
        answer(seats::list(&self.pool, request.get_ref()).await)
    }

    async fn update_seats(&self, request: Request<UpdateSeatsRequest>) -> Answer<UpdateSeatsResponse> {
        answer(seats::update(&self.pool, request.get_ref()).await)
    }
}
