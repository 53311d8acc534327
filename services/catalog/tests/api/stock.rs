//! Adjusting stock.

use proto::catalog::AdjustStockRequest;
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

use crate::app::{App, assert_bad_field, assert_refused, units};

fn adjustment(product_id: &str, delta: i64) -> AdjustStockRequest {
    let adjustment_id = Uuid::now_v7().to_string();
    AdjustStockRequest { adjustment_id, product_id: product_id.to_owned(), delta, reason: "count".to_owned() }
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn an_adjustment_counts_once_however_often_it_is_sent(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let product = app.product(10).await;
    let request = adjustment(&product.product_id, -4);
    let repeats = (0..8).map(|_| {
        let (mut client, request) = (app.client.clone(), request.clone());
        tokio::spawn(async move { client.adjust_stock(request).await })
    });
    for repeat in repeats.collect::<Vec<_>>() {
        let adjusted = repeat.await.unwrap().unwrap().into_inner();
        assert_eq!(adjusted.adjustment_id, request.adjustment_id);
        assert_eq!(adjusted.product.unwrap().on_hand, 6);
    }
    // Also when it could not be applied any more.
    app.adjust(&product.product_id, -6).await.unwrap();
    let repeat = app.client.adjust_stock(request.clone()).await.unwrap().into_inner().product.unwrap();
    assert_eq!((repeat.on_hand, repeat.etag), (0, product.etag));

    for other in [
        AdjustStockRequest { delta: 4, ..request.clone() },
        AdjustStockRequest { reason: "theft".to_owned(), ..request.clone() },
        AdjustStockRequest { product_id: app.product(1).await.product_id, ..request },
    ] {
        assert_refused(app.client.adjust_stock(other).await, Code::AlreadyExists, "ID_REUSED");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn concurrent_adjustments_never_take_more_than_there_is(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let id = app.product(10).await.product_id;
    let adjustments = (0..20).map(|_| {
        let (mut client, request) = (app.client.clone(), adjustment(&id, -1));
        tokio::spawn(async move { client.adjust_stock(request).await })
    });
    let mut taken = 0;
    for adjustment in adjustments.collect::<Vec<_>>() {
        match adjustment.await.unwrap() {
            Ok(_) => taken += 1,
            refused => drop(assert_refused(refused, Code::FailedPrecondition, "STOCK_IN_USE")),
        }
    }
    assert_eq!((taken, app.get_product(&id).await.on_hand), (10, 0));
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn the_books_balance_while_holds_are_placed_and_stock_changes(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let id = app.product(20).await.product_id;
    let adjusters = (0..6).map(|_| {
        let (mut client, id) = (app.client.clone(), id.clone());
        tokio::spawn(async move {
            let mut change = 0;
            for delta in [5, -3, -9, 4, -20, 7, -6, 2, -15, -1] {
                if client.adjust_stock(adjustment(&id, delta)).await.is_ok() {
                    change += delta;
                }
            }
            change
        })
    });
    let (mut held, mut on_hand) = (0, 20);
    let adjusters: Vec<_> = adjusters.collect();
    for _ in 0..30 {
        held += i64::from(app.hold(units(&id, 1)).await.is_some());
    }
    for adjuster in adjusters {
        on_hand += adjuster.await.unwrap();
    }
    let product = app.get_product(&id).await;
    assert_eq!((product.held, product.on_hand, product.available), (held, on_hand, on_hand - held));
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn units_in_use_cannot_be_taken_away(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let id = app.product(10).await.product_id;
    app.hold(units(&id, 4)).await.unwrap();
    let before = app.get_product(&id).await;
    let outcome = app.client.adjust_stock(adjustment(&id, -7)).await;
    let status = assert_refused(outcome, Code::FailedPrecondition, "STOCK_IN_USE");
    let metadata = api::metadata_of(&status);
    assert_eq!((&*metadata["on_hand"], &*metadata["held"], &*metadata["delta"]), ("10", "4", "-7"));
    assert_eq!(app.get_product(&id).await, before);
    assert_eq!(app.adjust(&id, -6).await.unwrap().available, 0);
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn bad_adjustments_are_refused(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let id = app.product(10).await.product_id;
    let good = adjustment(&id, 1);
    for (field, request) in [
        ("adjustment_id", AdjustStockRequest { adjustment_id: "x".to_owned(), ..good.clone() }),
        ("product_id", AdjustStockRequest { product_id: String::new(), ..good.clone() }),
        ("delta", AdjustStockRequest { delta: 0, ..good.clone() }),
        ("delta", AdjustStockRequest { delta: i64::MIN, ..good.clone() }),
        ("delta", AdjustStockRequest { delta: 1_000_000_000_000, ..good.clone() }),
        ("reason", AdjustStockRequest { reason: "x".repeat(201), ..good.clone() }),
        ("reason", AdjustStockRequest { reason: "\0".to_owned(), ..good.clone() }),
    ] {
        assert_bad_field(app.client.adjust_stock(request).await, field);
    }
    let unknown = adjustment(&Uuid::now_v7().to_string(), 1);
    assert_refused(app.client.adjust_stock(unknown).await, Code::NotFound, "PRODUCT_NOT_FOUND");
    assert_eq!(app.get_product(&id).await.on_hand, 10);
    app.stop().await;
}
