//! Products and seat maps to sell: made fresh for each test.

use std::time::Duration;

use proto::catalog::{
    AdjustStockRequest, CreateProductRequest, CreateSeatMapRequest, DeleteProductRequest,
    DeleteSeatMapRequest, GetProductRequest, GetSeatMapRequest, ListSeatsRequest, Money, Product, Seat,
    SeatMap, SeatState,
};
use tonic::Status;

use crate::{PATIENCE, Stock, World, bookings::times, eventually, fresh_id, when};

/// So many euro cents.
#[must_use]
pub fn euros(minor_units: i64) -> Money {
    Money { currency_code: "EUR".to_owned(), minor_units }
}

/// A product of 10 units at 12.50 EUR, with a sku of its own, whose holds last a minute.
#[must_use]
pub fn sample_product() -> Product {
    Product {
        sku: format!("sku-{}", fresh_id()),
        display_name: "A meal".to_owned(),
        description: "With a drink".to_owned(),
        price: Some(euros(1_250)),
        on_hand: 10,
        hold_ttl: Some(times(Duration::from_mins(1))),
        ..Product::default()
    }
}

/// Seats with these labels, in row 12, at 100 EUR each.
#[must_use]
pub fn sample_seats(labels: &[&str]) -> Vec<Seat> {
    let seat = |(number, label): (i32, &&str)| Seat {
        label: (*label).to_owned(),
        section: "Economy".to_owned(),
        row: "12".to_owned(),
        number,
        price: Some(euros(10_000)),
        ..Seat::default()
    };
    (1..).zip(labels).map(seat).collect()
}

impl World {
    /// A new product with so many units, whose holds last so long.
    pub async fn product(&self, on_hand: i64, hold_ttl: Duration) -> Product {
        self.limited_product(on_hand, hold_ttl, 0).await
    }

    /// The same, of which one customer may have so many.
    pub async fn limited_product(&self, on_hand: i64, hold_ttl: Duration, limit: i64) -> Product {
        let product = Product {
            on_hand,
            hold_ttl: Some(times(hold_ttl)),
            max_units_per_customer: limit,
            ..sample_product()
        };
        self.create_product(&fresh_id(), product).await.expect("a product can be made")
    }

    /// CreateProduct.
    pub async fn create_product(&self, product_id: &str, product: Product) -> Result<Product, Status> {
        let request = CreateProductRequest { product_id: product_id.to_owned(), product: Some(product) };
        let answer = self.catalog.clone().create_product(request).await?.into_inner();
        Ok(answer.product.expect("the answer has the product"))
    }

    /// GetProduct.
    pub async fn get_product(&self, product_id: &str) -> Result<Product, Status> {
        let request = GetProductRequest { product_id: product_id.to_owned() };
        let answer = self.catalog.clone().get_product(request).await?.into_inner();
        Ok(answer.product.expect("the answer has the product"))
    }

    /// DeleteProduct, whatever its etag.
    pub async fn delete_product(&self, product_id: &str) -> Result<(), Status> {
        let request = DeleteProductRequest { product_id: product_id.to_owned(), etag: String::new() };
        self.catalog.clone().delete_product(request).await.map(drop)
    }

    /// AdjustStock.
    pub async fn adjust(&self, adjustment_id: &str, product_id: &str, delta: i64) -> Result<Product, Status> {
        let (adjustment_id, product_id) = (adjustment_id.to_owned(), product_id.to_owned());
        let request = AdjustStockRequest { adjustment_id, product_id, delta, reason: "a count".to_owned() };
        let answer = self.catalog.clone().adjust_stock(request).await?.into_inner();
        Ok(answer.product.expect("the answer has the product"))
    }

    /// The counts of a product.
    pub async fn stock(&self, product: &Product) -> Stock {
        Stock::of(&self.get_product(&product.product_id).await.expect("the product is there"))
    }

    /// Waits until the counts of a product are these.
    pub async fn await_stock(&self, product: &Product, wanted: Stock) {
        eventually("the stock is as it should be", PATIENCE, async || {
            let stock = self.stock(product).await;
            when(stock == wanted, stock)
        })
        .await;
    }

    /// A new seat map with seats of these labels, whose holds last so long.
    pub async fn seat_map(&self, labels: &[&str], hold_ttl: Duration) -> SeatMap {
        self.limited_seat_map(labels, hold_ttl, 0).await
    }

    /// The same, of which one customer may have so many seats.
    pub async fn limited_seat_map(&self, labels: &[&str], hold_ttl: Duration, limit: i64) -> SeatMap {
        let seat_map = SeatMap {
            display_name: "A flight".to_owned(),
            hold_ttl: Some(times(hold_ttl)),
            max_units_per_customer: limit,
            ..SeatMap::default()
        };
        let created = self.create_seat_map(&fresh_id(), seat_map, sample_seats(labels)).await;
        created.expect("a seat map can be made")
    }

    /// CreateSeatMap.
    pub async fn create_seat_map(
        &self,
        seat_map_id: &str,
        seat_map: SeatMap,
        seats: Vec<Seat>,
    ) -> Result<SeatMap, Status> {
        let (seat_map_id, seat_map) = (seat_map_id.to_owned(), Some(seat_map));
        let request = CreateSeatMapRequest { seat_map_id, seat_map, seats };
        let answer = self.catalog.clone().create_seat_map(request).await?.into_inner();
        Ok(answer.seat_map.expect("the answer has the map"))
    }

    /// GetSeatMap.
    pub async fn get_seat_map(&self, seat_map_id: &str) -> Result<SeatMap, Status> {
        let request = GetSeatMapRequest { seat_map_id: seat_map_id.to_owned() };
        let answer = self.catalog.clone().get_seat_map(request).await?.into_inner();
        Ok(answer.seat_map.expect("the answer has the map"))
    }

    /// DeleteSeatMap, whatever its etag.
    pub async fn delete_seat_map(&self, seat_map_id: &str) -> Result<(), Status> {
        let request = DeleteSeatMapRequest { seat_map_id: seat_map_id.to_owned(), etag: String::new() };
        self.catalog.clone().delete_seat_map(request).await.map(drop)
    }

    /// All seats of a map that fits on one page, in its order.
    pub async fn seats(&self, map: &SeatMap) -> Vec<Seat> {
        let request = ListSeatsRequest {
            seat_map_id: map.seat_map_id.clone(),
            page_size: 1_000,
            ..ListSeatsRequest::default()
        };
        let answer = self.catalog.clone().list_seats(request).await.expect("the map is there").into_inner();
        answer.seats
    }

    /// The states of all seats of a map, in its order.
    pub async fn seat_states(&self, map: &SeatMap) -> Vec<SeatState> {
        self.seats(map).await.iter().map(Seat::state).collect()
    }

    /// Waits until the seats of a map are in these states.
    pub async fn await_seats(&self, map: &SeatMap, wanted: &[SeatState]) {
        eventually("the seats are as they should be", PATIENCE, async || {
            let states = self.seat_states(map).await;
            when(states == wanted, states)
        })
        .await;
    }
}
