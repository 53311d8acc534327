//! Listing products.

use proto::catalog::{ListProductsRequest, ListSeatMapsRequest};
use sqlx::PgPool;

use crate::app::{App, assert_bad_field};

fn page(page_size: i32, page_token: &str) -> ListProductsRequest {
    ListProductsRequest { page_size, page_token: page_token.to_owned() }
}

/// Reads all pages; `between` runs after the first one.
async fn walk(app: &mut App, page_size: i32, between: impl AsyncFnOnce(&mut App)) -> Vec<String> {
    let first = app.client.list_products(page(page_size, "")).await.unwrap().into_inner();
    let mut ids: Vec<_> = first.products.into_iter().map(|product| product.product_id).collect();
    between(app).await;
    let mut next = first.next_page_token;
    while !next.is_empty() {
        let listed = app.client.list_products(page(page_size, &next)).await.unwrap().into_inner();
        assert!(listed.products.len() <= usize::try_from(page_size).unwrap());
        ids.extend(listed.products.into_iter().map(|product| product.product_id));
        next = listed.next_page_token;
    }
    ids
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn pages_hold_every_product_once_in_order(pool: PgPool) {
    let mut app = App::start(&pool).await;
    assert_eq!(walk(&mut app, 2, async |_| ()).await, Vec::<String>::new());
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(app.product(1).await.product_id);
    }
    for page_size in [1, 2, 3, 6, 7] {
        assert_eq!(walk(&mut app, page_size, async |_| ()).await, ids, "{page_size}");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn pages_stay_correct_while_products_come_and_go(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(app.product(1).await.product_id);
    }
    // Between two pages: one before the token's place, one after it, and the row of the token itself goes.
    let mut late = String::new();
    let gone = ids[1].clone();
    let seen = walk(&mut app, 2, async |app| {
        let mut early = crate::app::new_product();
        early.product_id = "00000000-0000-7000-8000-000000000001".to_owned();
        app.client.create_product(early).await.unwrap();
        late = app.product(1).await.product_id;
        let request = proto::catalog::DeleteProductRequest { product_id: gone, etag: String::new() };
        app.client.delete_product(request).await.unwrap();
    })
    .await;
    ids.push(late);
    assert_eq!(seen, ids);
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn bad_pages_are_refused(pool: PgPool) {
    let mut app = App::start(&pool).await;
    app.product(1).await;
    app.product(1).await;
    assert_bad_field(app.client.list_products(page(-1, "")).await, "page_size");
    assert_bad_field(app.client.list_products(page(0, "garbage")).await, "page_token");
    let token = app.client.list_products(page(1, "")).await.unwrap().into_inner().next_page_token;
    let elsewhere = ListSeatMapsRequest { page_size: 1, page_token: token.clone() };
    assert_bad_field(app.client.list_seat_maps(elsewhere).await, "page_token");
    app.client.list_products(page(i32::MAX, &token)).await.unwrap();
    app.stop().await;
}
