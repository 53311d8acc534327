//! Pages: each row once, in order, while others are added.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::{
    catalog::{ListProductsRequest, ListSeatMapsRequest, ListSeatsRequest, SeatItem, SeatState},
    reservation::{
        BookingState, CreateBookingRequest, Line, ListBookingHistoryRequest, ListBookingsRequest, line::Item,
    },
};
use system_tests::{Outcome, World, assert_bad_field, customer, fresh_id, seat, units};
use tonic::Status;

const MINUTE: Duration = Duration::from_mins(1);

/// Reads all pages of a listing; `page` answers a page's keys and the token of the next one.
async fn read_all(
    mut page: impl AsyncFnMut(String) -> Result<(Vec<String>, String), Status>,
) -> Result<Vec<String>, Status> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (keys, next) = page(token).await?;
        all.extend(keys);
        if next.is_empty() {
            return Ok(all);
        }
        token = next;
    }
}

/// Each once, and in this order.
fn assert_sorted<'a>(keys: impl Iterator<Item = &'a String>) {
    let keys: Vec<_> = keys.collect();
    assert!(keys.is_sorted_by(|one, next| one < next), "{keys:?}");
}

#[tokio::test]
async fn products_that_were_there_are_listed_once_while_others_are_added() -> Outcome {
    let world = World::shared();
    let mut before = HashSet::new();
    for _ in 0..12 {
        before.insert(world.product(1, MINUTE).await.product_id);
    }
    let all = read_all(async |page_token| {
        // Before and after everything that is there, whatever the place of the page.
        world.create_product(&uuid::Uuid::new_v4().to_string(), system_tests::sample_product()).await?;
        world.product(1, MINUTE).await;
        let request = ListProductsRequest { page_size: 25, page_token };
        let answer = world.catalog.clone().list_products(request).await?.into_inner();
        assert!(answer.products.len() <= 25);
        Ok((answer.products.into_iter().map(|product| product.product_id).collect(), answer.next_page_token))
    })
    .await?;
    assert_sorted(all.iter());
    assert!(before.iter().all(|id| all.contains(id)));
    Ok(())
}

#[tokio::test]
async fn seat_maps_are_listed_once_each() -> Outcome {
    let world = World::shared();
    let mut before = HashSet::new();
    for _ in 0..5 {
        before.insert(world.seat_map(&["1A"], MINUTE).await.seat_map_id);
    }
    let all = read_all(async |page_token| {
        let request = ListSeatMapsRequest { page_size: 3, page_token };
        let answer = world.catalog.clone().list_seat_maps(request).await?.into_inner();
        Ok((answer.seat_maps.into_iter().map(|map| map.seat_map_id).collect(), answer.next_page_token))
    })
    .await?;
    assert_sorted(all.iter());
    assert!(before.iter().all(|id| all.contains(id)));
    Ok(())
}

#[tokio::test]
async fn seats_are_listed_in_the_order_of_their_map_and_by_state() -> Outcome {
    let world = World::shared();
    let labels = ["9C", "1A", "10B", "2A", "5F", "1B", "3C"];
    let map = world.seat_map(&labels, MINUTE).await;
    world.hold(&[seat(&map, "10B"), seat(&map, "1B")]).await?;
    let list = async |state: SeatState, size| {
        read_all(async |page_token| {
            let seat_map_id = map.seat_map_id.clone();
            let request = ListSeatsRequest { seat_map_id, state: state.into(), page_size: size, page_token };
            let answer = world.catalog.clone().list_seats(request).await?.into_inner();
            Ok((answer.seats.into_iter().map(|seat| seat.label).collect(), answer.next_page_token))
        })
        .await
    };
    for size in [0, 1, 2, 3, 7, 1_000, i32::MAX] {
        assert_eq!(list(SeatState::Unspecified, size).await?, labels, "{size}");
    }
    assert_eq!(list(SeatState::Held, 1).await?, ["10B", "1B"]);
    assert_eq!(list(SeatState::Free, 2).await?, ["9C", "1A", "2A", "5F", "3C"]);
    assert_eq!(list(SeatState::Sold, 2).await?, [] as [&str; 0]);
    Ok(())
}

#[tokio::test]
async fn bookings_of_a_customer_are_listed_newest_first_while_others_are_made() -> Outcome {
    let world = World::shared();
    let meal = world.product(1_000, MINUTE).await;
    let customer_id = customer();
    let make = async |hold| {
        let request = CreateBookingRequest {
            booking_id: String::new(),
            customer_id: customer_id.clone(),
            lines: vec![units(&meal, 1)],
            hold,
            hold_ttl: None,
        };
        Ok::<_, Status>(world.create(request).await?.booking_id)
    };
    let (mut held, mut all) = (Vec::new(), Vec::new());
    for n in 0..11 {
        let id = make(n % 3 == 0).await?;
        all.push(id.clone());
        held.extend((n % 3 == 0).then_some(id));
    }
    // Others' bookings, some of them newer.
    world.hold(&[units(&meal, 1)]).await?;
    all.reverse();
    held.reverse();
    let list = async |state: BookingState, page_size, adding: bool| {
        read_all(async |page_token| {
            let request = ListBookingsRequest {
                customer_id: customer_id.clone(),
                state: state.into(),
                page_size,
                page_token: page_token.clone(),
            };
            let answer = world.bookings.clone().list_bookings(request).await?.into_inner();
            if adding {
                make(true).await?;
            }
            Ok((answer.bookings.into_iter().map(|one| one.booking_id).collect(), answer.next_page_token))
        })
        .await
    };
    assert_eq!(list(BookingState::Held, 2, false).await?, held);
    assert_eq!(list(BookingState::Unspecified, 3, true).await?, all);
    assert_eq!(list(BookingState::Refunded, 3, false).await?, [] as [&str; 0]);
    Ok(())
}

/// Each is about as large as a booking can be: on one page they would be more than the 4 MiB that clients take.
#[tokio::test]
async fn a_page_of_large_bookings_is_shorter_than_asked_for() -> Outcome {
    const BOOKINGS: usize = 450;
    let world = World::shared();
    let customer_id = customer();
    let line = |n: usize| {
        let seat = SeatItem { seat_map_id: fresh_id(), label: format!("{n:\u{1f3ab}>16}") };
        Line { item: Some(Item::Seat(seat)), unit_price: None }
    };
    let request = CreateBookingRequest {
        customer_id: customer_id.clone(),
        lines: (0..100).map(line).collect(),
        ..CreateBookingRequest::default()
    };
    let drafts = stream::iter(0..BOOKINGS).map(|_| world.create(request.clone()));
    drafts.buffer_unordered(16).try_for_each(async |_| Ok(())).await?;
    let mut pages = 0;
    let listed = read_all(async |page_token| {
        let customer_id = customer_id.clone();
        let request = ListBookingsRequest {
            customer_id,
            page_size: 1_000,
            page_token,
            ..ListBookingsRequest::default()
        };
        let answer = world.bookings.clone().list_bookings(request).await?.into_inner();
        pages += 1;
        Ok((answer.bookings.into_iter().map(|one| one.booking_id).collect(), answer.next_page_token))
    })
    .await?;
    assert_eq!(listed.into_iter().collect::<HashSet<_>>().len(), BOOKINGS);
    assert_eq!(pages, 2);
    Ok(())
}

#[tokio::test]
async fn a_history_is_listed_in_the_order_of_its_steps() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let id = world.hold(&[units(&meal, 1)]).await?.booking_id;
    for _ in 0..3 {
        world.pay_with(&id, &fresh_id(), false).await?;
    }
    let steps = world.history(&id).await?;
    let listed = read_all(async |page_token| {
        let request = ListBookingHistoryRequest { booking_id: id.clone(), page_size: 2, page_token };
        let answer = world.bookings.clone().list_booking_history(request).await?.into_inner();
        assert!(answer.entries.len() <= 2);
        Ok((answer.entries.iter().map(|entry| entry.sequence.to_string()).collect(), answer.next_page_token))
    })
    .await?;
    assert_eq!(listed, ["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(steps.len(), 7);
    assert!(steps.windows(2).all(|pair| pair[0].to_state == pair[1].from_state), "{steps:?}");
    Ok(())
}

#[tokio::test]
async fn a_token_is_good_for_its_own_listing_only() -> Outcome {
    let world = World::shared();
    let (map, other) = (world.seat_map(&["1A", "1B"], MINUTE).await, world.seat_map(&["1A"], MINUTE).await);
    let seats = |seat_map_id: &str, state: SeatState, page_token: &str| ListSeatsRequest {
        seat_map_id: seat_map_id.to_owned(),
        state: state.into(),
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let mut client = world.catalog.clone();
    let first = seats(&map.seat_map_id, SeatState::Free, "");
    let token = client.list_seats(first).await?.into_inner().next_page_token;
    assert!(!token.is_empty());
    for request in [
        seats(&map.seat_map_id, SeatState::Unspecified, &token),
        seats(&map.seat_map_id, SeatState::Held, &token),
        seats(&other.seat_map_id, SeatState::Free, &token),
    ] {
        assert_bad_field(client.list_seats(request).await, "page_token");
    }
    let products = ListProductsRequest { page_size: 1, page_token: token.clone() };
    assert_bad_field(client.list_products(products).await, "page_token");
    let bookings = ListBookingsRequest { page_token: token, ..Default::default() };
    assert_bad_field(world.bookings.clone().list_bookings(bookings).await, "page_token");
    Ok(())
}
