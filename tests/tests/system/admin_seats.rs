//! Operators change seat maps and seats while customers hold them.

use std::time::Duration;

use prost_types::FieldMask;
use proto::catalog::{
    DeleteSeatMapRequest, Money, Seat, SeatAction, SeatMap, SeatState, UpdateSeatMapRequest,
    UpdateSeatsRequest,
};
use system_tests::{Outcome, World, assert_bad_field, assert_refused, euros, fresh_id, seat, times};
use tonic::{Code, Status};

use SeatState::{Blocked, Free, Held, Sold};

const MINUTE: Duration = Duration::from_mins(1);

/// UpdateSeats.
async fn change(
    world: &World,
    map: &SeatMap,
    labels: &[&str],
    action: SeatAction,
    price: Option<Money>,
) -> Result<Vec<Seat>, Status> {
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    let seat_map_id = map.seat_map_id.clone();
    let request = UpdateSeatsRequest { seat_map_id, labels, action: action.into(), price };
    Ok(world.catalog.clone().update_seats(request).await?.into_inner().seats)
}

/// UpdateSeatMap.
async fn update(world: &World, map: SeatMap, paths: &[&str]) -> Result<SeatMap, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = UpdateSeatMapRequest { seat_map: Some(map), update_mask: Some(FieldMask { paths }) };
    let answer = world.catalog.clone().update_seat_map(request).await?.into_inner();
    Ok(answer.seat_map.expect("the answer has the map"))
}

/// A map with a seat of each state: 1A is free, 1B held, 1C sold, 1D blocked.
async fn mixed(world: &World) -> Result<SeatMap, Status> {
    let map = world.seat_map(&["1A", "1B", "1C", "1D"], MINUTE).await;
    world.hold(&[seat(&map, "1B")]).await?;
    let sold = world.hold(&[seat(&map, "1C")]).await?;
    world.pay(&sold.booking_id).await?;
    change(world, &map, &["1D"], SeatAction::Block, None).await?;
    world.await_seats(&map, &[Free, Held, Sold, Blocked]).await;
    Ok(map)
}

#[tokio::test]
async fn a_map_counts_its_seats_by_state() -> Outcome {
    let world = World::shared();
    let map = mixed(&world).await?;
    let now = world.get_seat_map(&map.seat_map_id).await?;
    assert_eq!((now.free_seats, now.held_seats, now.sold_seats, now.blocked_seats), (1, 1, 1, 1));
    assert_eq!(now.etag, map.etag);
    Ok(())
}

#[tokio::test]
async fn only_free_seats_can_be_blocked_and_all_of_them_or_none() -> Outcome {
    let world = World::shared();
    let map = mixed(&world).await?;
    for taken in ["1B", "1C"] {
        let refused = change(&world, &map, &["1A", taken], SeatAction::Block, None).await;
        let said = assert_refused(refused, Code::FailedPrecondition, "SEAT_TAKEN");
        assert_eq!(said["label"], taken);
    }
    let unknown = change(&world, &map, &["1A", "9Z"], SeatAction::Block, None).await;
    assert_eq!(assert_refused(unknown, Code::NotFound, "SEAT_NOT_FOUND")["label"], "9Z");
    assert_eq!(world.seat_states(&map).await, [Free, Held, Sold, Blocked]);

    change(&world, &map, &["1A", "1D"], SeatAction::Block, None).await?;
    assert_eq!(world.seat_states(&map).await, [Blocked, Held, Sold, Blocked]);
    let seats = change(&world, &map, &["1D", "1A", "1B"], SeatAction::Unblock, None).await?;
    let labels: Vec<_> = seats.iter().map(|seat| seat.label.as_str()).collect();
    assert_eq!(labels, ["1A", "1B", "1D"]);
    assert_eq!(world.seat_states(&map).await, [Free, Held, Sold, Free]);
    world.hold(&[seat(&map, "1D")]).await?;
    Ok(())
}

#[tokio::test]
async fn a_seats_new_price_counts_for_later_holds() -> Outcome {
    let world = World::shared();
    let map = world.seat_map(&["1A", "1B"], MINUTE).await;
    let before = world.hold(&[seat(&map, "1A")]).await?;
    let unspecified = SeatAction::Unspecified;
    change(&world, &map, &["1A", "1B"], unspecified, Some(euros(15_000))).await?;
    assert_eq!(world.get(&before.booking_id).await?.total, Some(euros(10_000)));
    assert_eq!(world.hold(&[seat(&map, "1B")]).await?.total, Some(euros(15_000)));

    let dollars = Money { currency_code: "USD".to_owned(), minor_units: 1 };
    let refused = change(&world, &map, &["1A"], unspecified, Some(dollars)).await;
    assert_bad_field(refused, "price.currency_code");
    assert_eq!(world.seats(&map).await[0].price, Some(euros(15_000)));
    Ok(())
}

#[tokio::test]
async fn a_map_with_open_holds_cannot_be_deleted() -> Outcome {
    let world = World::shared();
    let map = world.seat_map(&["1A", "1B"], MINUTE).await;
    let booking = world.hold(&[seat(&map, "1A")]).await?;
    let said = assert_refused(
        world.delete_seat_map(&map.seat_map_id).await,
        Code::FailedPrecondition,
        "HAS_OPEN_HOLDS",
    );
    assert_eq!(said["seat_map_id"], map.seat_map_id);
    assert_eq!(world.seat_states(&map).await, [Held, Free]);
    world.hold(&[seat(&map, "1B")]).await?;

    world.cancel(&booking.booking_id).await?;
    let map = world.seat_map(&["1A"], MINUTE).await;
    world.delete_seat_map(&map.seat_map_id).await?;
    world.delete_seat_map(&map.seat_map_id).await?;
    for refused in [
        world.get_seat_map(&map.seat_map_id).await.map(drop),
        change(&world, &map, &["1A"], SeatAction::Unblock, None).await.map(drop),
        update(&world, map.clone(), &["display_name"]).await.map(drop),
        world.delete_seat_map(&fresh_id()).await,
    ] {
        assert_refused(refused, Code::NotFound, "SEAT_MAP_NOT_FOUND");
    }
    Ok(())
}

#[tokio::test]
async fn a_hold_and_a_deletion_of_its_map_at_the_same_time_have_one_winner() -> Outcome {
    let (world, other) = (World::shared(), World::shared_by_others());
    for _ in 0..20 {
        let map = world.seat_map(&["1A", "1B"], MINUTE).await;
        let line = [seat(&map, "1B")];
        match tokio::join!(world.hold(&line), other.delete_seat_map(&map.seat_map_id)) {
            (Ok(_), refused @ Err(_)) => {
                assert_refused(refused, Code::FailedPrecondition, "HAS_OPEN_HOLDS");
                assert_eq!(world.seat_states(&map).await, [Free, Held]);
            }
            (Err(refused), Ok(())) => {
                let reason = api::reason_of(&refused);
                assert!(["SEAT_BLOCKED", "SEAT_MAP_NOT_FOUND"].contains(&&*reason), "{refused:?}");
            }
            both => panic!("both or neither: {both:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_hold_and_a_block_at_the_same_time_have_one_winner() -> Outcome {
    let (world, other) = (World::shared(), World::shared_by_others());
    let labels: Vec<String> = (1..=20).map(|n| format!("{n}A")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let map = world.seat_map(&labels, MINUTE).await;
    for (n, label) in labels.iter().enumerate() {
        let line = [seat(&map, label)];
        let block = change(&other, &map, &labels[n..=n], SeatAction::Block, None);
        let (held, blocked) = tokio::join!(world.hold(&line), block);
        let state = world.seats(&map).await[n].state();
        match (held, blocked) {
            (Ok(_), refused @ Err(_)) => {
                assert_refused(refused, Code::FailedPrecondition, "SEAT_TAKEN");
                assert_eq!(state, Held);
            }
            (refused @ Err(_), Ok(_)) => {
                assert_refused(refused, Code::FailedPrecondition, "SEAT_BLOCKED");
                assert_eq!(state, Blocked);
            }
            both => panic!("both or neither: {both:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_update_of_a_map_follows_its_mask_and_its_etag() -> Outcome {
    let world = World::shared();
    let map = world.seat_map(&["1A"], MINUTE).await;
    let wanted = SeatMap {
        display_name: "A night flight".to_owned(),
        hold_ttl: Some(times(Duration::from_secs(5))),
        ..map.clone()
    };
    let updated = update(&world, wanted.clone(), &["display_name"]).await?;
    assert_eq!((updated.display_name.as_str(), updated.hold_ttl), ("A night flight", map.hold_ttl));

    let stale = update(&world, wanted.clone(), &["hold_ttl"]).await;
    let said = assert_refused(stale, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(said["etag"], updated.etag);
    let delete = DeleteSeatMapRequest { seat_map_id: map.seat_map_id.clone(), etag: map.etag };
    assert_refused(world.catalog.clone().delete_seat_map(delete).await, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(world.get_seat_map(&map.seat_map_id).await?, updated);

    let fresh = update(&world, SeatMap { etag: updated.etag, ..wanted }, &["hold_ttl"]).await?;
    assert_eq!(fresh.hold_ttl, Some(times(Duration::from_secs(5))));
    assert_bad_field(update(&world, fresh.clone(), &["free_seats"]).await, "update_mask");
    Ok(())
}
