//! Taking products off sale.

use proto::catalog::{
    DeleteProductRequest, GetProductRequest, ListProductsRequest,
    settle_hold::Verdict,
    settle_hold::{Commit, Release},
};
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

use crate::app::{App, assert_bad_field, assert_refused, new_product, units};

fn delete(product_id: &str) -> DeleteProductRequest {
    DeleteProductRequest { product_id: product_id.to_owned(), etag: String::new() }
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_deleted_product_is_gone_and_deleting_it_again_is_a_success(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let request = new_product();
    let product = app.client.create_product(request.clone()).await.unwrap().into_inner().product.unwrap();
    let id = &product.product_id;
    let stale = DeleteProductRequest { etag: "r0".to_owned(), ..delete(id) };
    assert_refused(app.client.delete_product(stale).await, Code::Aborted, "ETAG_MISMATCH");
    let fresh = DeleteProductRequest { etag: product.etag.clone(), ..delete(id) };
    app.client.delete_product(fresh.clone()).await.unwrap();
    app.client.delete_product(fresh).await.unwrap();
    app.client.delete_product(delete(id)).await.unwrap();

    let get = app.client.get_product(GetProductRequest { product_id: id.clone() }).await;
    assert_refused(get, Code::NotFound, "PRODUCT_NOT_FOUND");
    let list = app.client.list_products(ListProductsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.products, []);
    assert_eq!(app.adjust(id, 1).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(app.hold(units(id, 1)).await, None);
    let again = app.client.create_product(request.clone()).await;
    assert_refused(again, Code::NotFound, "PRODUCT_NOT_FOUND");
    // Its id is used up, its sku is not.
    let mut successor = new_product();
    successor.product.as_mut().unwrap().sku = product.sku;
    app.client.create_product(successor).await.unwrap();
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_product_with_open_holds_cannot_be_deleted(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let id = app.product(10).await.product_id;
    let (first, second) = (app.hold(units(&id, 3)).await.unwrap(), app.hold(units(&id, 2)).await.unwrap());
    assert_refused(app.client.delete_product(delete(&id)).await, Code::FailedPrecondition, "HAS_OPEN_HOLDS");
    app.settle(first, Verdict::Commit(Commit {})).await;
    assert_refused(app.client.delete_product(delete(&id)).await, Code::FailedPrecondition, "HAS_OPEN_HOLDS");
    assert_eq!(app.get_product(&id).await.available, 5);
    app.settle(second, Verdict::Release(Release {})).await;
    app.client.delete_product(delete(&id)).await.unwrap();
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_deletion_and_a_hold_never_both_succeed(pool: PgPool) {
    let mut app = App::start(&pool).await;
    for head_start in 0..40 {
        let id = app.product(1).await.product_id;
        let mut client = app.client.clone();
        let deletion = async {
            for _ in 0..head_start {
                tokio::task::yield_now().await;
            }
            client.delete_product(delete(&id)).await
        };
        let (hold, deletion) = tokio::join!(app.hold(units(&id, 1)), deletion);
        assert_ne!(deletion.is_ok(), hold.is_some());
        if hold.is_some() {
            assert_refused(deletion, Code::FailedPrecondition, "HAS_OPEN_HOLDS");
            assert_eq!(app.get_product(&id).await.held, 1);
        }
    }
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn deleting_what_never_was_is_not_found(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let outcome = app.client.delete_product(delete(&Uuid::now_v7().to_string())).await;
    assert_refused(outcome, Code::NotFound, "PRODUCT_NOT_FOUND");
    assert_bad_field(app.client.delete_product(delete("")).await, "product_id");
    app.stop().await;
}
