//! Seat maps.

use api::time::to_duration_ms;
use prost_types::FieldMask;
use proto::catalog::{
    CreateSeatMapRequest, DeleteSeatMapRequest, GetSeatMapRequest, ListSeatMapsRequest, Seat, SeatAction,
    SeatMap, UpdateSeatMapRequest, UpdateSeatsRequest,
    settle_hold::{Commit, Release, Verdict},
};
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

use crate::app::{App, assert_bad_field, assert_refused, euros, new_seat_map, seat};

fn delete(seat_map_id: &str) -> DeleteSeatMapRequest {
    DeleteSeatMapRequest { seat_map_id: seat_map_id.to_owned(), etag: String::new() }
}

fn update(seat_map: SeatMap, paths: &[&str]) -> UpdateSeatMapRequest {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    UpdateSeatMapRequest { seat_map: Some(seat_map), update_mask: Some(FieldMask { paths }) }
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_seat_map_is_created_with_its_seats_free_and_a_repeat_finds_it(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let labels: Vec<_> = (0..10_000).map(|i| format!("S{i}")).collect();
    let request = new_seat_map(&labels.iter().map(String::as_str).collect::<Vec<_>>());
    let created = app.client.create_seat_map(request.clone()).await.unwrap().into_inner().seat_map.unwrap();
    assert_eq!(created.seat_map_id, request.seat_map_id);
    let counts = (created.free_seats, created.held_seats, created.sold_seats, created.blocked_seats);
    assert_eq!(counts, (10_000, 0, 0, 0));
    assert_eq!(created.hold_ttl, Some(to_duration_ms(600_000)));

    app.hold(seat(&created.seat_map_id, "S7")).await.unwrap();
    let repeat = app.client.create_seat_map(request.clone()).await.unwrap().into_inner().seat_map.unwrap();
    assert_eq!(repeat, SeatMap { free_seats: 9_999, held_seats: 1, ..created });
    let mut other = request;
    other.seats.swap(0, 1);
    assert_refused(app.client.create_seat_map(other).await, Code::AlreadyExists, "ID_REUSED");
    app.stop().await;
}

type Spoil = fn(&mut CreateSeatMapRequest);

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn each_bad_field_of_a_new_seat_map_is_named(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let cases: [(&str, Spoil); 15] = [
        ("seat_map_id", |r| r.seat_map_id = "x".to_owned()),
        ("seat_map", |r| r.seat_map = None),
        ("seat_map.display_name", |r| r.seat_map.as_mut().unwrap().display_name.clear()),
        ("seat_map.hold_ttl", |r| r.seat_map.as_mut().unwrap().hold_ttl = Some(to_duration_ms(1))),
        ("seats", |r| r.seats.clear()),
        ("seats", |r| r.seats = vec![Seat::default(); 10_001]),
        ("seats[1].label", |r| r.seats[1].label = r.seats[0].label.clone()),
        ("seats[1].label", |r| r.seats[1].label = "x".repeat(17)),
        ("seats[1].section", |r| r.seats[1].section = "x".repeat(65)),
        ("seats[1].row", |r| r.seats[1].row = "\0".to_owned()),
        ("seats[1].number", |r| r.seats[1].number = -1),
        ("seats[1].number", |r| r.seats[1].number = 100_001),
        ("seats[1].price", |r| r.seats[1].price = None),
        ("seats[1].price.minor_units", |r| r.seats[1].price = Some(euros(-1))),
        ("seats[1].price.currency_code", |r| {
            r.seats[1].price.as_mut().unwrap().currency_code = "USD".to_owned();
        }),
    ];
    for (field, spoil) in cases {
        let mut request = new_seat_map(&["1A", "1B"]);
        spoil(&mut request);
        assert_bad_field(app.client.create_seat_map(request).await, field);
    }
    let list = app.client.list_seat_maps(ListSeatMapsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.seat_maps, []);
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn an_update_changes_the_fields_of_its_mask_from_the_right_etag(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let before = app.seat_map(&["1A"]).await;
    let wanted = SeatMap { display_name: "Late flight".to_owned(), hold_ttl: None, ..before.clone() };
    let after = app.client.update_seat_map(update(wanted.clone(), &["display_name"])).await;
    let after = after.unwrap().into_inner().seat_map.unwrap();
    assert_ne!(after.etag, before.etag);
    assert_eq!((&after.display_name, after.hold_ttl), (&wanted.display_name, before.hold_ttl));

    let stale = app.client.update_seat_map(update(wanted.clone(), &["display_name"])).await;
    assert_refused(stale, Code::Aborted, "ETAG_MISMATCH");
    let outcome = app.client.update_seat_map(update(wanted.clone(), &["hold_ttl"])).await;
    assert_bad_field(outcome, "seat_map.hold_ttl");
    let outcome = app.client.update_seat_map(update(wanted.clone(), &["free_seats"])).await;
    assert_bad_field(outcome, "update_mask");
    let unknown = SeatMap { seat_map_id: Uuid::now_v7().to_string(), ..wanted };
    let outcome = app.client.update_seat_map(update(unknown, &["display_name"])).await;
    assert_refused(outcome, Code::NotFound, "SEAT_MAP_NOT_FOUND");
    assert_eq!(app.get_seat_map(&after.seat_map_id).await, after);
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_seat_map_with_open_holds_cannot_be_deleted(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let id = app.seat_map(&["1A", "1B", "1C"]).await.seat_map_id;
    let (held, sold) = (app.hold(seat(&id, "1A")).await.unwrap(), app.hold(seat(&id, "1B")).await.unwrap());
    app.settle(sold.clone(), Verdict::Commit(Commit {})).await;
    let before = app.get_seat_map(&id).await;
    let refused = app.client.delete_seat_map(delete(&id)).await;
    assert_refused(refused, Code::FailedPrecondition, "HAS_OPEN_HOLDS");
    assert_eq!(app.get_seat_map(&id).await, before);

    app.settle(held, Verdict::Release(Release {})).await;
    let stale = DeleteSeatMapRequest { etag: "r9".to_owned(), ..delete(&id) };
    assert_refused(app.client.delete_seat_map(stale).await, Code::Aborted, "ETAG_MISMATCH");
    app.client.delete_seat_map(delete(&id)).await.unwrap();
    app.client.delete_seat_map(delete(&id)).await.unwrap();
    let get = app.client.get_seat_map(GetSeatMapRequest { seat_map_id: id.clone() }).await;
    assert_refused(get, Code::NotFound, "SEAT_MAP_NOT_FOUND");
    let list = app.client.list_seat_maps(ListSeatMapsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.seat_maps, []);

    // A refund after the end puts nothing back on sale.
    app.settle(sold, Verdict::Release(Release {})).await;
    for label in ["1A", "1B", "1C"] {
        assert_eq!(app.hold(seat(&id, label)).await, None);
    }
    let unblock = UpdateSeatsRequest {
        seat_map_id: id,
        labels: vec!["1C".to_owned()],
        action: SeatAction::Unblock.into(),
        price: None,
    };
    assert_refused(app.client.update_seats(unblock).await, Code::NotFound, "SEAT_MAP_NOT_FOUND");
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_deletion_and_a_hold_never_both_succeed(pool: PgPool) {
    let mut app = App::start(&pool).await;
    for _ in 0..40 {
        let id = app.seat_map(&["2A", "1B", "1A"]).await.seat_map_id;
        let mut client = app.client.clone();
        let holds = async { tokio::join!(app.hold(seat(&id, "1A")), app.hold(seat(&id, "2A"))) };
        let (deletion, (one, two)) = tokio::join!(client.delete_seat_map(delete(&id)), holds);
        assert_ne!(deletion.is_ok(), one.is_some() || two.is_some());
        if deletion.is_err() {
            assert_refused(deletion, Code::FailedPrecondition, "HAS_OPEN_HOLDS");
            assert_eq!(app.get_seat_map(&id).await.blocked_seats, 0);
        }
    }
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn pages_hold_every_seat_map_once_in_order(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let mut maps = Vec::new();
    for _ in 0..5 {
        maps.push(app.seat_map(&["1A", "1B"]).await);
    }
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListSeatMapsRequest { page_size: 2, page_token };
        let page = app.client.list_seat_maps(request).await.unwrap().into_inner();
        seen.extend(page.seat_maps);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, maps);
    app.stop().await;
}
