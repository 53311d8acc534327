//! The catalog's rules, pure: ids, money, products, seat maps, seats, holds. No tokio, sqlx, tonic or prost here.

pub mod ids;
pub mod money;
