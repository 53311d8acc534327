//! Operators change products and stock while customers hold them.

use std::time::Duration;

use futures::future::join_all;
use prost_types::FieldMask;
use proto::catalog::{DeleteProductRequest, Product, UpdateProductRequest};
use system_tests::{
    Outcome, Stock, World, assert_bad_field, assert_refused, euros, fresh_id, sample_product, times, units,
};
use tonic::{Code, Status};

const MINUTE: Duration = Duration::from_mins(1);

async fn update(world: &World, product: Product, paths: &[&str]) -> Result<Product, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = UpdateProductRequest { product: Some(product), update_mask: Some(FieldMask { paths }) };
    let answer = world.catalog.clone().update_product(request).await?.into_inner();
    Ok(answer.product.expect("the answer has the product"))
}

#[tokio::test]
async fn stock_that_changes_under_open_holds_still_balances() -> Outcome {
    let (world, other) = (World::shared(), World::shared_by_others());
    let meal = world.product(40, Duration::from_secs(2)).await;
    let line = [units(&meal, 2)];
    let customers = (0..30).map(|n| {
        let (world, line) = (&world, &line);
        async move {
            let Ok(booking) = world.hold(line).await else { return 0 };
            match n % 3 {
                0 => world.pay(&booking.booking_id).await.map_or(0, |_| 2),
                1 => world.cancel(&booking.booking_id).await.map_or(0, |_| 0),
                _ => 0,
            }
        }
    });
    let admin = async {
        let mut change = 0;
        for delta in [5, -3, 7, -9, -40, 11, -2, 1, -1, 4] {
            let adjusted = other.adjust(&fresh_id(), &meal.product_id, delta).await;
            match adjusted {
                Ok(product) => {
                    assert_eq!(product.on_hand, product.held + product.sold + product.available);
                    change += delta;
                }
                refused => drop(assert_refused(refused, Code::FailedPrecondition, "STOCK_IN_USE")),
            }
        }
        change
    };
    let (sold, change) = tokio::join!(join_all(customers), admin);
    world.await_stock(&meal, Stock::new(40 + change, 0, sold.into_iter().sum())).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn stock_never_falls_below_what_is_held_and_sold() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    world.hold(&[units(&meal, 3)]).await?;
    let sold = world.hold(&[units(&meal, 2)]).await?;
    world.pay(&sold.booking_id).await?;
    world.await_stock(&meal, Stock::new(10, 3, 2)).await;

    let refused = world.adjust(&fresh_id(), &meal.product_id, -6).await;
    let said = assert_refused(refused, Code::FailedPrecondition, "STOCK_IN_USE");
    let counts = ["on_hand", "held", "sold", "delta"].map(|name| said[name].as_str());
    assert_eq!(counts, ["10", "3", "2", "-6"]);
    assert_eq!(world.stock(&meal).await, Stock::new(10, 3, 2));

    assert_eq!(world.adjust(&fresh_id(), &meal.product_id, -5).await?.available, 0);
    assert_refused(world.hold(&[units(&meal, 1)]).await, Code::FailedPrecondition, "INSUFFICIENT_STOCK");
    world.adjust(&fresh_id(), &meal.product_id, 1).await?;
    world.hold(&[units(&meal, 1)]).await?;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_product_with_open_holds_cannot_be_deleted() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 1)]).await?;
    let before = world.get_product(&meal.product_id).await?;
    let refused = world.delete_product(&meal.product_id).await;
    let said = assert_refused(refused, Code::FailedPrecondition, "HAS_OPEN_HOLDS");
    assert_eq!(said["product_id"], meal.product_id);
    assert_eq!(world.get_product(&meal.product_id).await?, before);

    world.cancel(&booking.booking_id).await?;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    world.delete_product(&meal.product_id).await?;
    world.delete_product(&meal.product_id).await?;
    for refused in [
        world.get_product(&meal.product_id).await.map(drop),
        world.adjust(&fresh_id(), &meal.product_id, 1).await.map(drop),
        update(&world, meal.clone(), &["description"]).await.map(drop),
        world.delete_product(&fresh_id()).await,
    ] {
        assert_refused(refused, Code::NotFound, "PRODUCT_NOT_FOUND");
    }
    assert_refused(world.hold(&[units(&meal, 1)]).await, Code::NotFound, "PRODUCT_NOT_FOUND");
    Ok(())
}

#[tokio::test]
async fn a_sold_product_can_be_deleted_and_its_bookings_still_refunded() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 1)]).await?;
    world.pay(&booking.booking_id).await?;
    world.await_stock(&meal, Stock::new(10, 0, 1)).await;
    world.delete_product(&meal.product_id).await?;
    world.refund(&booking.booking_id).await?;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_hold_and_a_deletion_at_the_same_time_have_one_winner() -> Outcome {
    let (world, other) = (World::shared(), World::shared_by_others());
    for _ in 0..20 {
        let meal = world.product(10, MINUTE).await;
        let line = [units(&meal, 1)];
        let (held, deleted) = tokio::join!(world.hold(&line), other.delete_product(&meal.product_id));
        match (held, deleted) {
            (Ok(_), refused @ Err(_)) => {
                assert_refused(refused, Code::FailedPrecondition, "HAS_OPEN_HOLDS");
                assert_eq!(world.stock(&meal).await, Stock::new(10, 1, 0));
            }
            (refused, Ok(())) => drop(assert_refused(refused, Code::NotFound, "PRODUCT_NOT_FOUND")),
            both => panic!("neither: {both:?}"),
        }
        world.assert_books_balance(&meal).await;
    }
    Ok(())
}

#[tokio::test]
async fn an_update_changes_the_fields_of_its_mask_and_no_others() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let wanted = Product {
        display_name: "A feast".to_owned(),
        price: Some(euros(5_000)),
        description: "not in the mask".to_owned(),
        on_hand: 99,
        ..meal.clone()
    };
    let updated = update(&world, wanted, &["display_name", "price"]).await?;
    let expected = Product {
        display_name: "A feast".to_owned(),
        price: Some(euros(5_000)),
        etag: updated.etag.clone(),
        update_time: updated.update_time,
        ..meal.clone()
    };
    assert_eq!(updated, expected);
    assert_ne!(updated.etag, meal.etag);
    assert_eq!(world.get_product(&meal.product_id).await?, updated);

    let hold_ttl =
        Product { hold_ttl: Some(times(Duration::from_secs(7))), etag: String::new(), ..meal.clone() };
    let updated = update(&world, hold_ttl, &["hold_ttl"]).await?;
    assert_eq!(updated.hold_ttl, Some(times(Duration::from_secs(7))));
    assert_eq!(updated.display_name, "A feast");
    Ok(())
}

#[tokio::test]
async fn an_etag_changes_with_updates_only_and_a_stale_one_is_refused() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 1)]).await?;
    world.pay(&booking.booking_id).await?;
    world.adjust(&fresh_id(), &meal.product_id, 1).await?;
    assert_eq!(world.get_product(&meal.product_id).await?.etag, meal.etag);

    let renamed = Product { display_name: "A feast".to_owned(), ..meal.clone() };
    let updated = update(&world, renamed, &["display_name"]).await?;
    world.await_stock(&meal, Stock::new(11, 0, 1)).await;
    let before = world.get_product(&meal.product_id).await?;
    let stale = Product { display_name: "A bite".to_owned(), ..meal.clone() };
    let delete = DeleteProductRequest { product_id: meal.product_id.clone(), etag: meal.etag.clone() };
    for refused in [
        update(&world, stale, &["display_name"]).await.map(drop),
        world.catalog.clone().delete_product(delete).await.map(drop),
    ] {
        let said = assert_refused(refused, Code::Aborted, "ETAG_MISMATCH");
        assert_eq!(said["etag"], updated.etag);
    }
    assert_eq!(world.get_product(&meal.product_id).await?, before);

    let delete = DeleteProductRequest { product_id: meal.product_id, etag: updated.etag };
    world.catalog.clone().delete_product(delete).await?;
    Ok(())
}

#[tokio::test]
async fn of_ten_updates_that_read_the_same_one_wins() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let names = (0..10).map(|n| Product { display_name: format!("name {n}"), ..meal.clone() });
    let answers = join_all(names.map(|wanted| update(&world, wanted, &["display_name"]))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1, "{won:?}");
    for refused in lost {
        assert_refused(refused, Code::Aborted, "ETAG_MISMATCH");
    }
    Ok(())
}

#[tokio::test]
async fn a_sku_belongs_to_one_product_until_that_is_deleted() -> Outcome {
    let world = World::shared();
    let (first, second) = (world.product(10, MINUTE).await, world.product(10, MINUTE).await);
    let same_sku = Product { sku: first.sku.clone(), ..sample_product() };
    let renamed = Product { sku: first.sku.clone(), ..second.clone() };
    for refused in [
        world.create_product(&fresh_id(), same_sku.clone()).await,
        world.create_product("", same_sku.clone()).await,
        update(&world, renamed, &["sku"]).await,
    ] {
        let said = assert_refused(refused, Code::AlreadyExists, "SKU_TAKEN");
        assert_eq!(said["sku"], first.sku);
    }
    assert_eq!(world.get_product(&second.product_id).await?, second);
    world.delete_product(&first.product_id).await?;
    world.create_product(&fresh_id(), same_sku).await?;
    // A deleted id is not free for another product.
    let refused = world.create_product(&first.product_id, sample_product()).await;
    assert_refused(refused, Code::AlreadyExists, "ID_REUSED");
    Ok(())
}

#[tokio::test]
async fn an_update_without_a_usable_mask_is_refused() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    for paths in [&[][..], &["on_hand"], &["held"], &["product_id"], &["display_name", "nonsense"], &["*"]] {
        assert_bad_field(update(&world, meal.clone(), paths).await, "update_mask");
    }
    assert_eq!(world.get_product(&meal.product_id).await?, meal);
    Ok(())
}
