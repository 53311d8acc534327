//! A catalog in this process, and requests to vary.

use api::{fields_of, reason_of};
use catalog::{Config, serve};
use clap::Parser as _;
use proto::catalog::{
    AdjustStockRequest, CreateProductRequest, CreateSeatMapRequest, GetProductRequest, GetSeatMapRequest,
    HoldKey, HoldLine, ListSeatsRequest, Money, PlaceHold, PlaceHoldsRequest, Product, ProductItem, Seat,
    SeatItem, SeatMap, SettleHold, SettleHoldsRequest, catalog_service_client::CatalogServiceClient,
    hold_line::Item, hold_service_client::HoldServiceClient, place_hold_outcome::Outcome,
    settle_hold::Verdict,
};
use server::Endpoints;
use sqlx::{ConnectOptions as _, PgPool};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Response, Status, transport::Channel};
use uuid::Uuid;

pub(crate) struct App {
    pub(crate) client: CatalogServiceClient<Channel>,
    pub(crate) holds: HoldServiceClient<Channel>,
    stop: CancellationToken,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl App {
    /// Serves the catalog on the pool's database.
    pub(crate) async fn start(pool: &PgPool) -> Self {
        let url = pool.connect_options().to_url_lossy().to_string();
        let config = Config::parse_from(["catalog", "--database-connections", "6", "--database-url", &url]);
        let endpoints = Endpoints {
            grpc: TcpListener::bind("127.0.0.1:0").await.unwrap().into(),
            http: TcpListener::bind("127.0.0.1:0").await.unwrap().into(),
        };
        let address = format!("http://{}", endpoints.grpc.local_addr().unwrap());
        let stop = CancellationToken::new();
        let serving = tokio::spawn({
            let stop = stop.clone();
            async move { serve(endpoints, &config, stop).await }
        });
        let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
        let (client, holds) = (CatalogServiceClient::new(channel.clone()), HoldServiceClient::new(channel));
        Self { client, holds, stop, serving }
    }

    /// Drains and ends, so that the database can be dropped.
    pub(crate) async fn stop(self) {
        let Self { client, holds, stop, serving } = self;
        drop((client, holds));
        stop.cancel();
        serving.await.unwrap().unwrap();
    }

    /// Creates a product with so many units on hand.
    pub(crate) async fn product(&mut self, on_hand: i64) -> Product {
        let mut request = new_product();
        request.product.as_mut().unwrap().on_hand = on_hand;
        self.client.create_product(request).await.unwrap().into_inner().product.unwrap()
    }

    pub(crate) async fn get_product(&mut self, product_id: &str) -> Product {
        let request = GetProductRequest { product_id: product_id.to_owned() };
        self.client.get_product(request).await.unwrap().into_inner().product.unwrap()
    }

    pub(crate) async fn adjust(&mut self, product_id: &str, delta: i64) -> Result<Product, Status> {
        let request = AdjustStockRequest { product_id: product_id.to_owned(), delta, ..Default::default() };
        self.client.adjust_stock(request).await.map(|adjusted| adjusted.into_inner().product.unwrap())
    }

    /// Creates a seat map with seats of these labels.
    pub(crate) async fn seat_map(&mut self, labels: &[&str]) -> SeatMap {
        let request = new_seat_map(labels);
        self.client.create_seat_map(request).await.unwrap().into_inner().seat_map.unwrap()
    }

    pub(crate) async fn get_seat_map(&mut self, seat_map_id: &str) -> SeatMap {
        let request = GetSeatMapRequest { seat_map_id: seat_map_id.to_owned() };
        self.client.get_seat_map(request).await.unwrap().into_inner().seat_map.unwrap()
    }

    pub(crate) async fn seats(&mut self, seat_map_id: &str) -> Vec<Seat> {
        let request = ListSeatsRequest { seat_map_id: seat_map_id.to_owned(), ..Default::default() };
        self.client.list_seats(request).await.unwrap().into_inner().seats
    }

    /// Holds one thing for a new booking; `None` when it was refused.
    pub(crate) async fn hold(&self, item: Item) -> Option<HoldKey> {
        let key = HoldKey { booking_id: Uuid::now_v7().to_string(), attempt: 1 };
        let hold = PlaceHold {
            key: Some(key.clone()),
            lines: vec![HoldLine { item: Some(item) }],
            hold_ttl: None,
            ..Default::default()
        };
        let request = PlaceHoldsRequest { holds: vec![hold] };
        let outcomes = self.holds.clone().place_holds(request).await.unwrap().into_inner().outcomes;
        matches!(outcomes[0].outcome, Some(Outcome::Placed(_))).then_some(key)
    }

    /// Carries a verdict over to a hold.
    pub(crate) async fn settle(&mut self, key: HoldKey, verdict: Verdict) {
        let request =
            SettleHoldsRequest { holds: vec![SettleHold { key: Some(key), verdict: Some(verdict) }] };
        self.holds.settle_holds(request).await.unwrap();
    }
}

pub(crate) fn units(product_id: &str, quantity: i64) -> Item {
    Item::Product(ProductItem { product_id: product_id.to_owned(), quantity })
}

pub(crate) fn seat(seat_map_id: &str, label: &str) -> Item {
    Item::Seat(SeatItem { seat_map_id: seat_map_id.to_owned(), label: label.to_owned() })
}

pub(crate) fn euros(minor_units: i64) -> Money {
    Money { currency_code: "EUR".to_owned(), minor_units }
}

/// A good request for a product of its own.
pub(crate) fn new_product() -> CreateProductRequest {
    let product_id = Uuid::now_v7().to_string();
    let product = Product {
        sku: product_id.clone(),
        display_name: "Meal".to_owned(),
        price: Some(euros(1_250)),
        on_hand: 10,
        ..Default::default()
    };
    CreateProductRequest { product_id, product: Some(product) }
}

/// A good request for a seat map of its own.
pub(crate) fn new_seat_map(labels: &[&str]) -> CreateSeatMapRequest {
    let seats = labels.iter().map(|&label| Seat {
        label: label.to_owned(),
        section: "Economy".to_owned(),
        row: "12".to_owned(),
        number: 7,
        price: Some(euros(9_900)),
        ..Default::default()
    });
    CreateSeatMapRequest {
        seat_map_id: Uuid::now_v7().to_string(),
        seat_map: Some(SeatMap { display_name: "Flight".to_owned(), ..Default::default() }),
        seats: seats.collect(),
    }
}

/// That a call was refused with this code and reason.
#[track_caller]
pub(crate) fn assert_refused<T: std::fmt::Debug>(
    outcome: Result<Response<T>, Status>,
    code: Code,
    reason: &str,
) -> Status {
    let status = outcome.unwrap_err();
    assert_eq!((status.code(), &*reason_of(&status)), (code, reason), "{status:?}");
    status
}

/// That a call was refused for this one bad field.
#[track_caller]
pub(crate) fn assert_bad_field<T: std::fmt::Debug>(outcome: Result<Response<T>, Status>, field: &str) {
    let status = outcome.unwrap_err();
    assert_eq!(
        (status.code(), fields_of(&status)),
        (Code::InvalidArgument, vec![field.to_owned()]),
        "{status:?}"
    );
}
