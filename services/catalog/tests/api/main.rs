//! The catalog's public API, driven through its client against a real PostgreSQL: `DATABASE_URL` names a server on which
//! databases may be made and dropped.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod app;
mod limits;
mod overdue_holds;
mod placing;
mod product_deletion;
mod product_pages;
mod products;
mod seat_maps;
mod seats;
mod stock;
