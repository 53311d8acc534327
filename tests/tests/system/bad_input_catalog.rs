//! Requests to the catalog with one bad field each: INVALID_ARGUMENT naming that field, and nothing happens.

use std::time::Duration;

use prost_types::FieldMask;
use proto::catalog::{
    AdjustStockRequest, CreateProductRequest, CreateSeatMapRequest, GetProductRequest, HoldKey, HoldLine,
    ListOverdueHoldsRequest, ListProductsRequest, ListSeatMapsRequest, ListSeatsRequest, Money, PlaceHold,
    PlaceHoldsRequest, Product, ProductItem, SeatAction, SeatMap, SettleHold, SettleHoldsRequest,
    UpdateProductRequest, UpdateSeatMapRequest, UpdateSeatsRequest, hold_line, settle_hold,
};
use system_tests::{Outcome, World, assert_bad_field, euros, fresh_id, sample_product, sample_seats, times};

const MINUTE: Duration = Duration::from_mins(1);
const TOO_MUCH: i64 = 1_000_000_000_001;

fn money(currency_code: &str, minor_units: i64) -> Money {
    Money { currency_code: currency_code.to_owned(), minor_units }
}

#[tokio::test]
async fn a_new_product_with_one_bad_field_is_refused_naming_it() -> Outcome {
    let world = World::shared();
    let good = CreateProductRequest { product_id: fresh_id(), product: Some(sample_product()) };
    let mut client = world.catalog.clone();
    assert_bad_field(
        client.create_product(CreateProductRequest { product: None, ..good.clone() }).await,
        "product",
    );
    let id = CreateProductRequest { product_id: "meal".to_owned(), ..good.clone() };
    assert_bad_field(client.create_product(id).await, "product_id");
    let cases = cases!(sample_product();
        "product.sku": |p| p.sku.clear(),
        "product.sku": |p| p.sku = "s".repeat(65),
        "product.sku": |p| p.sku = "a\0b".to_owned(),
        "product.display_name": |p| p.display_name.clear(),
        "product.display_name": |p| p.display_name = "é".repeat(201),
        "product.description": |p| p.description = "d".repeat(1_001),
        "product.price": |p| p.price = None,
        "product.price.currency_code": |p| p.price = Some(money("", 1)),
        "product.price.currency_code": |p| p.price = Some(money("eur", 1)),
        "product.price.currency_code": |p| p.price = Some(money("EURO", 1)),
        "product.price.minor_units": |p| p.price = Some(euros(-1)),
        "product.price.minor_units": |p| p.price = Some(euros(TOO_MUCH)),
        "product.on_hand": |p| p.on_hand = -1,
        "product.on_hand": |p| p.on_hand = TOO_MUCH,
        "product.hold_ttl": |p| p.hold_ttl = Some(times(Duration::from_millis(99))),
        "product.hold_ttl": |p| p.hold_ttl = Some(times(Duration::from_millis(86_400_001))),
        "product.hold_ttl": |p| p.hold_ttl = Some(prost_types::Duration { seconds: 1, nanos: 1 }),
        "product.hold_ttl": |p| p.hold_ttl = Some(prost_types::Duration { seconds: i64::MIN, nanos: i32::MIN }),
    );
    for (field, product) in cases {
        assert_bad_field(world.create_product(&good.product_id, product).await, field);
    }
    let created = client.create_product(good).await?.into_inner().product;
    assert_eq!(created.map(|product| product.on_hand), Some(10));
    Ok(())
}

#[tokio::test]
async fn a_change_of_a_product_with_one_bad_field_is_refused_naming_it() -> Outcome {
    let world = World::shared();
    let before = world.product(10, MINUTE).await;
    let mut client = world.catalog.clone();
    let changes: [(&str, &str, Product); 8] = [
        ("sku", "product.sku", Product { sku: String::new(), ..before.clone() }),
        ("display_name", "product.display_name", Product { display_name: "n".repeat(201), ..before.clone() }),
        ("description", "product.description", Product { description: "\0".to_owned(), ..before.clone() }),
        ("price", "product.price", Product { price: None, ..before.clone() }),
        ("price", "product.price.minor_units", Product { price: Some(euros(-5)), ..before.clone() }),
        ("hold_ttl", "product.hold_ttl", Product { hold_ttl: None, ..before.clone() }),
        ("hold_ttl", "product.hold_ttl", Product { hold_ttl: Some(times(Duration::ZERO)), ..before.clone() }),
        ("sku", "product.product_id", Product { product_id: "x".to_owned(), ..before.clone() }),
    ];
    for (path, field, product) in changes {
        let update_mask = Some(FieldMask { paths: vec![path.to_owned()] });
        let request = UpdateProductRequest { product: Some(product), update_mask };
        assert_bad_field(client.update_product(request).await, field);
    }
    assert_bad_field(client.update_product(UpdateProductRequest::default()).await, "product");
    let no_mask = UpdateProductRequest { product: Some(before.clone()), update_mask: None };
    assert_bad_field(client.update_product(no_mask).await, "update_mask");

    let good = AdjustStockRequest {
        adjustment_id: fresh_id(),
        product_id: before.product_id.clone(),
        delta: 1,
        reason: String::new(),
    };
    let adjustments = cases!(good;
        "adjustment_id": |r| r.adjustment_id = "x".to_owned(),
        "product_id": |r| r.product_id.clear(),
        "delta": |r| r.delta = 0,
        "delta": |r| r.delta = TOO_MUCH,
        "delta": |r| r.delta = -TOO_MUCH,
        "delta": |r| r.delta = i64::MIN,
        "delta": |r| r.delta = 1_000_000_000_000, // with the ten that are there
        "reason": |r| r.reason = "r".repeat(201),
    );
    for (field, request) in adjustments {
        assert_bad_field(client.adjust_stock(request).await, field);
    }
    assert_bad_field(world.get_product("x").await, "product_id");
    assert_bad_field(client.get_product(GetProductRequest::default()).await, "product_id");
    assert_bad_field(world.delete_product("").await, "product_id");
    assert_eq!(world.get_product(&before.product_id).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_new_seat_map_with_one_bad_field_is_refused_naming_it() -> Outcome {
    let world = World::shared();
    let map = SeatMap { display_name: "A flight".to_owned(), ..SeatMap::default() };
    let good = CreateSeatMapRequest {
        seat_map_id: fresh_id(),
        seat_map: Some(map.clone()),
        seats: sample_seats(&["1A", "1B"]),
    };
    let many: Vec<String> = (0..10_001).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases = cases!(good;
        "seat_map_id": |r| r.seat_map_id = "x".to_owned(),
        "seat_map": |r| r.seat_map = None,
        "seat_map.display_name": |r| r.seat_map = Some(SeatMap::default()),
        "seat_map.display_name": |r| r.seat_map = Some(SeatMap { display_name: "n".repeat(201), ..map.clone() }),
        "seat_map.hold_ttl": |r| r.seat_map = Some(SeatMap { hold_ttl: Some(times(Duration::ZERO)), ..map.clone() }),
        "seats": |r| r.seats.clear(),
        "seats": |r| r.seats = sample_seats(&many),
        "seats[1].label": |r| r.seats[1].label.clear(),
        "seats[1].label": |r| r.seats[1].label = "1".repeat(17),
        "seats[1].label": |r| r.seats[1].label = "1A".to_owned(),
        "seats[0].section": |r| r.seats[0].section = "s".repeat(65),
        "seats[0].row": |r| r.seats[0].row = "r".repeat(17),
        "seats[0].number": |r| r.seats[0].number = -1,
        "seats[0].number": |r| r.seats[0].number = 100_001,
        "seats[1].price": |r| r.seats[1].price = None,
        "seats[1].price.minor_units": |r| r.seats[1].price = Some(euros(-1)),
        "seats[1].price.currency_code": |r| r.seats[1].price = Some(money("USD", 1)),
        "seats[1].price.currency_code": |r| r.seats[1].price = Some(money("usd", 1)),
    );
    let mut client = world.catalog.clone();
    for (field, request) in cases {
        assert_bad_field(client.create_seat_map(request).await, field);
    }
    client.create_seat_map(good).await?;
    Ok(())
}

#[tokio::test]
async fn a_change_of_seats_with_one_bad_field_is_refused_naming_it() -> Outcome {
    let world = World::shared();
    let map = world.seat_map(&["1A", "1B"], MINUTE).await;
    let mut client = world.catalog.clone();
    let good = UpdateSeatsRequest {
        seat_map_id: map.seat_map_id.clone(),
        labels: vec!["1A".to_owned(), "1B".to_owned()],
        action: SeatAction::Block.into(),
        price: None,
    };
    let cases = cases!(good;
        "seat_map_id": |r| r.seat_map_id.clear(),
        "labels": |r| r.labels.clear(),
        "labels": |r| r.labels = (0..1_001).map(|n| n.to_string()).collect(),
        "labels[1]": |r| r.labels[1] = "1A".to_owned(),
        "labels[1]": |r| r.labels[1].clear(),
        "labels[0]": |r| r.labels[0] = "1".repeat(17),
        "action": |r| r.action = 99,
        "action": |r| r.action = 0,
        "price.currency_code": |r| r.price = Some(money("", 1)),
        "price.minor_units": |r| r.price = Some(euros(TOO_MUCH)),
    );
    for (field, request) in cases {
        assert_bad_field(client.update_seats(request).await, field);
    }
    let mask = |path: &str| Some(FieldMask { paths: vec![path.to_owned()] });
    let update = |map, path| UpdateSeatMapRequest { seat_map: Some(map), update_mask: mask(path) };
    for (field, request) in [
        ("seat_map", UpdateSeatMapRequest::default()),
        ("update_mask", update(map.clone(), "seats")),
        (
            "seat_map.seat_map_id",
            update(SeatMap { seat_map_id: "x".to_owned(), ..map.clone() }, "display_name"),
        ),
        (
            "seat_map.display_name",
            update(SeatMap { display_name: String::new(), ..map.clone() }, "display_name"),
        ),
        ("seat_map.hold_ttl", update(SeatMap { hold_ttl: None, ..map.clone() }, "hold_ttl")),
    ] {
        assert_bad_field(client.update_seat_map(request).await, field);
    }
    assert_bad_field(world.get_seat_map("x").await, "seat_map_id");
    assert_bad_field(world.delete_seat_map("").await, "seat_map_id");
    assert_eq!(world.get_seat_map(&map.seat_map_id).await?, map);
    Ok(())
}

#[tokio::test]
async fn a_listing_of_the_catalog_with_one_bad_field_is_refused_naming_it() -> Outcome {
    let world = World::shared();
    let map = world.seat_map(&["1A"], MINUTE).await;
    let mut client = world.catalog.clone();
    for (page_size, page_token, field) in
        [(-1, "", "page_size"), (1, "x", "page_token"), (1, "AAAAAAAAAAAA", "page_token")]
    {
        let page_token = page_token.to_owned();
        let products = ListProductsRequest { page_size, page_token: page_token.clone() };
        assert_bad_field(client.list_products(products).await, field);
        let maps = ListSeatMapsRequest { page_size, page_token: page_token.clone() };
        assert_bad_field(client.list_seat_maps(maps).await, field);
        let seat_map_id = map.seat_map_id.clone();
        let seats = ListSeatsRequest { seat_map_id, state: 0, page_size, page_token };
        assert_bad_field(client.list_seats(seats).await, field);
    }
    let state = ListSeatsRequest { seat_map_id: map.seat_map_id, state: 99, ..Default::default() };
    assert_bad_field(client.list_seats(state).await, "state");
    assert_bad_field(client.list_seats(ListSeatsRequest::default()).await, "seat_map_id");
    Ok(())
}

#[tokio::test]
async fn a_call_on_holds_with_one_bad_field_is_refused_naming_it() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let mut client = world.holds.clone();
    let key = Some(HoldKey { booking_id: fresh_id(), attempt: 1 });
    let item = ProductItem { product_id: meal.product_id.clone(), quantity: 1 };
    let line = HoldLine { item: Some(hold_line::Item::Product(item)) };
    let good = PlaceHold { key: key.clone(), lines: vec![line.clone()], ..PlaceHold::default() };
    let cases = cases!(good;
        "holds[0].key": |h| h.key = None,
        "holds[0].key.booking_id": |h| h.key = Some(HoldKey { booking_id: String::new(), attempt: 1 }),
        "holds[0].key.attempt": |h| h.key = Some(HoldKey { booking_id: fresh_id(), attempt: 0 }),
        "holds[0].lines": |h| h.lines.clear(),
        "holds[0].lines": |h| h.lines = vec![line.clone(); 101],
        "holds[0].lines[0].item": |h| h.lines[0].item = None,
        "holds[0].customer_id": |h| h.customer_id = "x".repeat(129),
        "holds[0].customer_id": |h| h.customer_id = "a\0b".to_owned(),
        "holds[0].hold_ttl": |h| h.hold_ttl = Some(times(Duration::ZERO)),
    );
    for (field, hold) in cases {
        assert_bad_field(client.place_holds(PlaceHoldsRequest { holds: vec![hold] }).await, field);
    }
    assert_bad_field(client.place_holds(PlaceHoldsRequest::default()).await, "holds");

    let release = Some(settle_hold::Verdict::Release(settle_hold::Release {}));
    for (field, hold) in [
        ("holds[0].key", SettleHold { key: None, verdict: release }),
        ("holds[0].verdict", SettleHold { key, verdict: None }),
    ] {
        assert_bad_field(client.settle_holds(SettleHoldsRequest { holds: vec![hold] }).await, field);
    }
    assert_bad_field(client.settle_holds(SettleHoldsRequest::default()).await, "holds");
    let overdue = ListOverdueHoldsRequest { limit: 1_001, ..Default::default() };
    assert_bad_field(client.list_overdue_holds(overdue).await, "limit");
    let overdue = ListOverdueHoldsRequest { page_token: "nonsense".to_owned(), ..Default::default() };
    assert_bad_field(client.list_overdue_holds(overdue).await, "page_token");
    assert_eq!(world.get_product(&meal.product_id).await?, meal);
    Ok(())
}
