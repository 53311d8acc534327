//! The catalog's rules, pure: ids, money, products, seat maps, seats, holds, customers' counts. No tokio, sqlx, tonic or prost here.

pub mod customer;
pub mod hold;
pub mod hold_ttl;
pub mod ids;
pub mod money;
pub mod place;
pub mod product;
pub mod restore;
pub mod revision;
pub mod seat;
pub mod seat_map;
pub mod settle;
