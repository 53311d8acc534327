//! Holds that are refused: with the reason, and nothing is taken for any of their lines.

use std::time::Duration;

use api::fields_of;
use proto::{
    catalog::{Money, Product, SeatAction, SeatMap, SeatState, UpdateSeatsRequest},
    reservation::{Booking, Line},
};
use system_tests::{Outcome, Stock, World, assert_refused, fresh_id, sample_product, seat, units};
use tonic::{Code, Status};

const MINUTE: Duration = Duration::from_mins(1);

/// A meal, three seats of which the first is taken, and what was there before the refusals.
struct Shop {
    world: World,
    meal: Product,
    map: SeatMap,
}

impl Shop {
    async fn open() -> Result<Self, Status> {
        let world = World::shared();
        let meal = world.product(10, MINUTE).await;
        let map = world.seat_map(&["12A", "12B", "12C"], MINUTE).await;
        world.hold(&[seat(&map, "12A")]).await?;
        Ok(Self { world, meal, map })
    }

    /// Two meals and another line that cannot be had.
    async fn refused(&self, line: Line) -> Result<Booking, Status> {
        self.world.hold(&[units(&self.meal, 2), seat(&self.map, "12B"), line]).await
    }

    /// Neither the meals nor the seat beside were taken.
    async fn assert_untouched(&self) {
        assert_eq!(self.world.stock(&self.meal).await, Stock::new(10, 0, 0));
        let states = self.world.seat_states(&self.map).await;
        assert_eq!(states[..2], [SeatState::Held, SeatState::Free]);
    }
}

#[tokio::test]
async fn a_mixed_booking_fails_as_a_whole_when_one_seat_is_taken() -> Outcome {
    let shop = Shop::open().await?;
    let said =
        assert_refused(shop.refused(seat(&shop.map, "12A")).await, Code::FailedPrecondition, "SEAT_TAKEN");
    assert_eq!((&*said["seat_map_id"], &*said["label"]), (&*shop.map.seat_map_id, "12A"));
    shop.assert_untouched().await;
    Ok(())
}

#[tokio::test]
async fn a_mixed_booking_fails_as_a_whole_when_one_product_runs_short() -> Outcome {
    let shop = Shop::open().await?;
    let said = assert_refused(
        shop.refused(units(&shop.meal, 9)).await,
        Code::FailedPrecondition,
        "INSUFFICIENT_STOCK",
    );
    assert_eq!((&*said["requested"], &*said["available"]), ("11", "10"));
    shop.assert_untouched().await;
    Ok(())
}

#[tokio::test]
async fn a_seat_that_the_operator_blocked_cannot_be_held() -> Outcome {
    let shop = Shop::open().await?;
    let block = UpdateSeatsRequest {
        seat_map_id: shop.map.seat_map_id.clone(),
        labels: vec!["12C".to_owned()],
        action: SeatAction::Block.into(),
        price: None,
    };
    shop.world.catalog.clone().update_seats(block).await?;
    let said =
        assert_refused(shop.refused(seat(&shop.map, "12C")).await, Code::FailedPrecondition, "SEAT_BLOCKED");
    assert_eq!(said["label"], "12C");
    shop.assert_untouched().await;
    Ok(())
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_and_the_line_is_named() -> Outcome {
    let shop = Shop::open().await?;
    let no_product = Product { product_id: fresh_id(), ..Product::default() };
    let no_map = SeatMap { seat_map_id: fresh_id(), ..SeatMap::default() };
    for (line, reason, field) in [
        (units(&no_product, 1), "PRODUCT_NOT_FOUND", "lines[2].product.product_id"),
        (seat(&no_map, "12A"), "SEAT_MAP_NOT_FOUND", "lines[2].seat.seat_map_id"),
        (seat(&shop.map, "99Z"), "SEAT_NOT_FOUND", "lines[2].seat.label"),
    ] {
        let status = shop.refused(line).await.expect_err("it does not exist");
        assert_eq!(fields_of(&status), [field]);
        assert_refused(Err::<(), _>(status), Code::NotFound, reason);
    }
    shop.assert_untouched().await;
    Ok(())
}

#[tokio::test]
async fn what_was_deleted_is_not_found() -> Outcome {
    let shop = Shop::open().await?;
    let gone = shop.world.product(10, MINUTE).await;
    let gone_map = shop.world.seat_map(&["1A"], MINUTE).await;
    shop.world.delete_product(&gone.product_id).await?;
    shop.world.delete_seat_map(&gone_map.seat_map_id).await?;
    assert_refused(shop.refused(units(&gone, 1)).await, Code::NotFound, "PRODUCT_NOT_FOUND");
    // The seats of a deleted map are off sale: either answer says so.
    let status = shop.refused(seat(&gone_map, "1A")).await.expect_err("the map is gone");
    let reason = api::reason_of(&status);
    assert!(["SEAT_MAP_NOT_FOUND", "SEAT_BLOCKED"].contains(&&*reason), "{status:?}");
    shop.assert_untouched().await;
    Ok(())
}

#[tokio::test]
async fn lines_in_several_currencies_are_refused() -> Outcome {
    let shop = Shop::open().await?;
    let dollars = Money { currency_code: "USD".to_owned(), minor_units: 100 };
    let drink = Product { price: Some(dollars), ..sample_product() };
    let drink = shop.world.create_product(&fresh_id(), drink).await?;
    let status = shop.refused(units(&drink, 1)).await.expect_err("it is priced in another currency");
    assert_eq!(fields_of(&status), ["lines[2]"]);
    let said = assert_refused(Err::<(), _>(status), Code::InvalidArgument, "CURRENCY_MISMATCH");
    let mut currencies: Vec<_> = said.values().map(String::as_str).collect();
    currencies.sort_unstable();
    assert_eq!(currencies, ["EUR", "USD"]);
    shop.assert_untouched().await;
    assert_eq!(shop.world.stock(&drink).await, Stock::new(10, 0, 0));
    Ok(())
}

#[tokio::test]
async fn a_total_that_cannot_be_counted_is_refused() -> Outcome {
    let shop = Shop::open().await?;
    let price = system_tests::euros(1_000_000_000_000);
    let diamond = Product { price: Some(price), on_hand: 10_000_000, ..sample_product() };
    let diamond = shop.world.create_product(&fresh_id(), diamond).await?;
    assert_refused(shop.refused(units(&diamond, 1_000_000)).await, Code::InvalidArgument, "TOTAL_TOO_LARGE");
    shop.assert_untouched().await;
    assert_eq!(shop.world.stock(&diamond).await, Stock::new(10_000_000, 0, 0));
    Ok(())
}

#[tokio::test]
async fn a_refused_booking_leaves_no_trace_and_its_id_can_be_used_again() -> Outcome {
    let world = World::shared();
    let meal = world.product(1, MINUTE).await;
    let id = fresh_id();
    let with_id = |quantity| proto::reservation::CreateBookingRequest {
        booking_id: id.clone(),
        customer_id: system_tests::customer(),
        lines: vec![units(&meal, quantity)],
        hold: true,
        hold_ttl: None,
    };
    assert_refused(world.create(with_id(2)).await, Code::FailedPrecondition, "INSUFFICIENT_STOCK");
    assert_refused(world.get(&id).await, Code::NotFound, "BOOKING_NOT_FOUND");
    world.create(with_id(1)).await?;
    assert_eq!(world.stock(&meal).await, Stock::new(1, 1, 0));
    Ok(())
}
