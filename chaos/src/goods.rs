//! What there is to be had: some of it hot, some of it scarce, some of it plenty.

use std::time::Duration;

use proto::catalog::{Product, SeatMap};
use proto::reservation::Line;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use system_tests::World;

use crate::history::Item;

/// On-hand units and hold time in milliseconds of each product, and how often in 100 bookings it is asked for.
const PRODUCTS: [(i64, u64, u32); 4] =
    [(40, 600, 30), (12, 1_000, 12), (1_000_000, 1_800, 45), (300, 3_000, 20)];
/// Rows of six seats and the hold time in milliseconds of each seat map.
const MAPS: [(usize, u64); 2] = [(4, 1_000), (1, 1_800)];
/// What one customer may have of each: counted all the time, and never too little.
const LIMIT: i64 = 1_000_000;
/// The letters of a row.
const LETTERS: [char; 6] = ['A', 'B', 'C', 'D', 'E', 'F'];

/// Products and seats.
#[derive(Clone, Debug)]
pub struct Goods {
    /// The products.
    pub products: Vec<Product>,
    /// The seats: their maps and labels.
    pub seats: Vec<(SeatMap, String)>,
}

impl Goods {
    /// Puts them on sale.
    pub async fn create(world: &World) -> Self {
        let mut goods = Self { products: Vec::new(), seats: Vec::new() };
        for (on_hand, ttl_ms, _) in PRODUCTS {
            goods.products.push(world.limited_product(on_hand, Duration::from_millis(ttl_ms), LIMIT).await);
        }
        for (rows, ttl_ms) in MAPS {
            let labels: Vec<String> = (1..=rows)
                .flat_map(|row| LETTERS.iter().map(move |letter| format!("{row}{letter}")))
                .collect();
            let names: Vec<&str> = labels.iter().map(String::as_str).collect();
            let map = world.limited_seat_map(&names, Duration::from_millis(ttl_ms), LIMIT).await;
            goods.seats.extend(labels.into_iter().map(|label| (map.clone(), label)));
        }
        goods
    }

    /// What a customer wants: one to a few lines.
    #[must_use]
    pub fn pick(&self, dice: &mut StdRng) -> Vec<Item> {
        let mut items = Vec::new();
        for (product, (_, _, share)) in PRODUCTS.iter().enumerate() {
            if dice.random_ratio(*share, 100) {
                items.push(Item::Units { product, quantity: dice.random_range(1..=3) });
            }
        }
        if items.is_empty() || dice.random_ratio(1, 4) {
            let seats: Vec<usize> = (0..self.seats.len()).collect();
            let count = dice.random_range(1..=2);
            items.extend(seats.sample(dice, count).map(|seat| Item::Seat(*seat)));
        }
        items
    }

    /// Whether any of it runs out, so that it must come back for others.
    #[must_use]
    pub fn is_scarce(&self, items: &[Item]) -> bool {
        items.iter().any(|item| match item {
            Item::Units { product, .. } => self.products[*product].on_hand < 1_000_000,
            Item::Seat(_) => true,
        })
    }

    /// As lines of a request.
    #[must_use]
    pub fn lines(&self, items: &[Item]) -> Vec<Line> {
        let line = |item: &Item| match *item {
            Item::Units { product, quantity } => system_tests::units(&self.products[product], quantity),
            Item::Seat(seat) => system_tests::seat(&self.seats[seat].0, &self.seats[seat].1),
        };
        items.iter().map(line).collect()
    }
}
