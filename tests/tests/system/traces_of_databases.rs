//! Traces: what calls do in the databases.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost_types::FieldMask;
use proto::{
    catalog as pb,
    reservation::{ListBookingsRequest, ResolveHoldsRequest},
};
use system_tests::{Collector, Outcome, PATIENCE, Traced, World, eventually, hasty, own, units, when};

/// The RPCs that use the database without a batch of their own, and what it is called that they do there.
const STATEMENTS: [(&str, &str, &str); 19] = [
    ("catalog", "CatalogService/CreateProduct", "CreateProduct"),
    ("catalog", "CatalogService/GetProduct", "Read"),
    ("catalog", "CatalogService/ListProducts", "ListProducts"),
    ("catalog", "CatalogService/UpdateProduct", "UpdateProduct"),
    ("catalog", "CatalogService/DeleteProduct", "DeleteProduct"),
    ("catalog", "CatalogService/CreateSeatMap", "Create"),
    ("catalog", "CatalogService/GetSeatMap", "GetSeatMap"),
    ("catalog", "CatalogService/ListSeatMaps", "ListSeatMaps"),
    ("catalog", "CatalogService/UpdateSeatMap", "UpdateSeatMap"),
    ("catalog", "CatalogService/ListSeats", "ListSeats"),
    ("catalog", "HoldService/ListOverdueHolds", "ListOverdueHolds"),
    ("catalog", "AuditService/AuditProducts", "AuditProducts"),
    ("catalog", "AuditService/AuditSeats", "AuditSeats"),
    ("catalog", "AuditService/AuditHolds", "AuditHolds"),
    ("reservation", "BookingService/GetBooking", "Read"),
    ("reservation", "BookingService/ListBookings", "ListBookings"),
    ("reservation", "BookingService/ListBookingHistory", "ListBookingHistory"),
    ("reservation", "SettlementService/ResolveHolds", "ReadClock"),
    ("reservation", "AuditService/AuditBookings", "AuditBookings"),
];

fn mask(path: &str) -> FieldMask {
    FieldMask { paths: vec![path.to_owned()] }
}

/// Makes each of those calls.
async fn call_all(world: &World) -> Outcome {
    let (mut catalog, mut bookings) = (world.catalog.clone(), world.bookings.clone());
    let meal = world.product(10, Duration::from_mins(10)).await;
    let id = &meal.product_id;
    world.get_product(id).await?;
    catalog.list_products(pb::ListProductsRequest::default()).await?;
    let held = world.hold(&[units(&meal, 1)]).await?.booking_id;
    world.delete_product(id).await.expect_err("units of it are held");
    let product = pb::Product { description: "New".to_owned(), ..meal };
    catalog
        .update_product(pb::UpdateProductRequest {
            product: Some(product),
            update_mask: Some(mask("description")),
        })
        .await?;

    let map = world.seat_map(&["1A"], Duration::from_mins(10)).await;
    let seat_map_id = map.seat_map_id.clone();
    let map = world.get_seat_map(&seat_map_id).await?;
    catalog.list_seat_maps(pb::ListSeatMapsRequest::default()).await?;
    world.seats(&map).await;
    catalog
        .update_seat_map(pb::UpdateSeatMapRequest {
            seat_map: Some(map),
            update_mask: Some(mask("display_name")),
        })
        .await?;

    world.get(&held).await?;
    world.history(&held).await?;
    bookings.list_bookings(ListBookingsRequest::default()).await?;
    world.holds.clone().list_overdue_holds(pb::ListOverdueHoldsRequest::default()).await?;
    world.settlement.clone().resolve_holds(ResolveHoldsRequest::default()).await?;
    world.assert_rules_hold().await;
    Ok(())
}

/// By its name, without its text and without what it asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_call_does_in_the_database_is_in_its_trace() -> Outcome {
    let (collector, url) = Collector::start().await;
    let stack = own(hasty().env("HOLDFAST_OTLP_ENDPOINT", &url)).await;
    call_all(&World::of(&stack)).await?;
    eventually("the collector has all of it", PATIENCE, async || {
        let spans = collector.spans();
        let has = |(service, rpc, name): &(&str, &str, &str)| {
            let of_rpc = |traced: &&Traced| traced.service == *service && traced.span.name.ends_with(rpc);
            let of_database = |call: &Traced| {
                let within = |traced: &&Traced| {
                    traced.span.trace_id == call.span.trace_id
                        && traced.is(service, SpanKind::Client, &format!("{name} {service}"))
                };
                let found = spans.iter().find(within)?;
                assert_eq!(found.attribute("db.system.name").as_deref(), Some("postgresql"));
                assert_eq!(found.attribute("db.namespace").as_deref(), Some(*service));
                assert!(found.is_fine() && found.attribute("db.query.text").is_none(), "{found:?}");
                Some(())
            };
            spans.iter().filter(of_rpc).any(|call| of_database(call).is_some())
        };
        let missing: Vec<_> = STATEMENTS.iter().filter(|statement| !has(statement)).collect();
        when(missing.is_empty(), missing)
    })
    .await;
    stack.assert_sound();
    Ok(())
}
