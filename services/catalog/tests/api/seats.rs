//! Seats of a map.

use proto::catalog::{ListSeatsRequest, Money, SeatAction, SeatState, UpdateSeatsRequest};
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

use crate::app::{App, assert_bad_field, assert_refused, euros, seat};

const LABELS: [&str; 5] = ["12A", "2C", "1A", "10F", "a"];

fn list(seat_map_id: &str, state: SeatState, page_size: i32, page_token: &str) -> ListSeatsRequest {
    let (seat_map_id, page_token) = (seat_map_id.to_owned(), page_token.to_owned());
    ListSeatsRequest { seat_map_id, state: state.into(), page_size, page_token }
}

fn update(
    seat_map_id: &str,
    labels: &[&str],
    action: SeatAction,
    price: Option<Money>,
) -> UpdateSeatsRequest {
    let labels = labels.iter().map(|&label| label.to_owned()).collect();
    UpdateSeatsRequest { seat_map_id: seat_map_id.to_owned(), labels, action: action.into(), price }
}

async fn states(app: &mut App, seat_map_id: &str) -> Vec<(String, SeatState)> {
    app.seats(seat_map_id).await.into_iter().map(|seat| (seat.label.clone(), seat.state())).collect()
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn seats_are_listed_in_the_order_of_their_creation_and_by_state(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let id = app.seat_map(&LABELS).await.seat_map_id;
    app.hold(seat(&id, "2C")).await.unwrap();
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page =
            app.client.list_seats(list(&id, SeatState::Unspecified, 2, &token)).await.unwrap().into_inner();
        seen.extend(page.seats.into_iter().map(|seat| seat.label));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, LABELS);
    let free = app.client.list_seats(list(&id, SeatState::Free, 3, "")).await.unwrap().into_inner();
    assert_eq!(free.seats.iter().map(|seat| &*seat.label).collect::<Vec<_>>(), ["12A", "1A", "10F"]);
    let held = app.client.list_seats(list(&id, SeatState::Held, 0, "")).await.unwrap().into_inner();
    assert_eq!((held.seats.len(), held.seats[0].state()), (1, SeatState::Held));

    let token = &free.next_page_token;
    let rest = app.client.list_seats(list(&id, SeatState::Free, 3, token)).await.unwrap().into_inner();
    assert_eq!(rest.seats.iter().map(|seat| &*seat.label).collect::<Vec<_>>(), ["a"]);
    assert_bad_field(app.client.list_seats(list(&id, SeatState::Held, 3, token)).await, "page_token");
    let other = app.seat_map(&LABELS).await.seat_map_id;
    assert_bad_field(app.client.list_seats(list(&other, SeatState::Free, 3, token)).await, "page_token");
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn blocked_seats_cannot_be_held_until_they_are_unblocked(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let map = app.seat_map(&LABELS).await;
    let id = &map.seat_map_id;
    let request = update(id, &["a", "12A"], SeatAction::Block, Some(euros(1)));
    let seats = app.client.update_seats(request.clone()).await.unwrap().into_inner().seats;
    assert_eq!(
        seats.iter().map(|seat| (&*seat.label, seat.state())).collect::<Vec<_>>(),
        [("12A", SeatState::Blocked), ("a", SeatState::Blocked)]
    );
    assert!(seats.iter().all(|seat| seat.price == Some(euros(1))));
    let changed = app.get_seat_map(id).await;
    assert_eq!((changed.blocked_seats, &changed.etag), (2, &map.etag));
    assert_ne!(changed.update_time, map.update_time);
    let repeat = app.client.update_seats(request).await.unwrap().into_inner().seats;
    assert_eq!((repeat, app.get_seat_map(id).await), (seats, changed));

    assert_eq!(app.hold(seat(id, "a")).await, None);
    app.client.update_seats(update(id, &["a", "1A"], SeatAction::Unblock, None)).await.unwrap();
    app.hold(seat(id, "a")).await.unwrap();
    // What is taken stays taken.
    app.client.update_seats(update(id, &["a"], SeatAction::Unblock, None)).await.unwrap();
    assert_eq!(app.get_seat_map(id).await.held_seats, 1);
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn an_update_changes_all_of_its_seats_or_none(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let id = app.seat_map(&LABELS).await.seat_map_id;
    app.hold(seat(&id, "2C")).await.unwrap();
    let before = app.seats(&id).await;
    let taken =
        app.client.update_seats(update(&id, &["1A", "2C", "a"], SeatAction::Block, Some(euros(5)))).await;
    let status = assert_refused(taken, Code::FailedPrecondition, "SEAT_TAKEN");
    assert_eq!(api::metadata_of(&status)["label"], "2C");
    let missing = app.client.update_seats(update(&id, &["1A", "99Z"], SeatAction::Block, None)).await;
    let status = assert_refused(missing, Code::NotFound, "SEAT_NOT_FOUND");
    assert_eq!(api::metadata_of(&status)["label"], "99Z");
    assert_eq!(app.seats(&id).await, before);
    // A price counts for later holds, whoever has the seat now.
    let priced = app.client.update_seats(update(&id, &["2C"], SeatAction::Unspecified, Some(euros(5)))).await;
    assert_eq!(priced.unwrap().into_inner().seats[0].state(), SeatState::Held);
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_block_and_a_hold_of_one_seat_never_both_succeed(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let id = app.seat_map(&LABELS).await.seat_map_id;
    for label in LABELS {
        let mut client = app.client.clone();
        let request = update(&id, &[label], SeatAction::Block, None);
        let (block, hold) = tokio::join!(client.update_seats(request), app.hold(seat(&id, label)));
        assert_ne!(block.is_ok(), hold.is_some());
        let expected = if hold.is_some() { SeatState::Held } else { SeatState::Blocked };
        assert!(states(&mut app, &id).await.contains(&(label.to_owned(), expected)));
    }
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn bad_requests_for_seats_name_their_field(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let id = app.seat_map(&LABELS).await.seat_map_id;
    let block = SeatAction::Block;
    let dollars = Money { currency_code: "USD".to_owned(), minor_units: 1 };
    for (field, request) in [
        ("seat_map_id", update("x", &["1A"], block, None)),
        ("labels", update(&id, &[], block, None)),
        ("labels", update(&id, &["1A"; 1_001], block, None)),
        ("labels[1]", update(&id, &["1A", ""], block, None)),
        ("labels[1]", update(&id, &["1A", "1A"], block, None)),
        ("labels[0]", update(&id, &["1\0A"], block, None)),
        ("action", update(&id, &["1A"], SeatAction::Unspecified, None)),
        ("action", UpdateSeatsRequest { action: 9, ..update(&id, &["1A"], block, None) }),
        ("price.currency_code", update(&id, &["1A"], block, Some(dollars))),
        ("price.minor_units", update(&id, &["1A"], block, Some(euros(-1)))),
    ] {
        assert_bad_field(app.client.update_seats(request).await, field);
    }
    let request = ListSeatsRequest { state: 9, ..list(&id, SeatState::Free, 0, "") };
    assert_bad_field(app.client.list_seats(request).await, "state");
    assert_bad_field(app.client.list_seats(list("", SeatState::Free, 0, "")).await, "seat_map_id");
    let unknown = Uuid::now_v7().to_string();
    let outcome = app.client.list_seats(list(&unknown, SeatState::Free, 0, "")).await;
    assert_refused(outcome, Code::NotFound, "SEAT_MAP_NOT_FOUND");
    let outcome = app.client.update_seats(update(&unknown, &["1A"], block, None)).await;
    assert_refused(outcome, Code::NotFound, "SEAT_MAP_NOT_FOUND");
    app.stop().await;
}
