//! PostgreSQL that is there and does not answer: deadlines are kept, queues are bounded, and it passes by itself.

use std::error::Error as _;
use std::time::{Duration, Instant};

use futures::future::join_all;
use proto::reservation::{Booking, CancelBookingRequest, CreateBookingRequest, GetBookingRequest};
use system_tests::{Outcome, PATIENCE, Stock, World, customer, eventually, fresh_id, hasty, own, units};
use tokio::task::block_in_place;
use tonic::{Code, Request, Status};

/// What the caller gives a call.
const DEADLINE: Duration = Duration::from_secs(1);
/// What the callers of a flood give theirs: on a slow machine too more of them arrive meanwhile than are let in.
const FLOOD_DEADLINE: Duration = Duration::from_secs(8);
/// How much later the answer may be seen on a busy machine.
const SLACK: Duration = Duration::from_secs(4);

fn with_deadline<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// The call ended because its time was up or its database was away. (tonic's client calls its own timeout CANCELLED.)
fn assert_in_time<T: std::fmt::Debug>(answer: &Result<T, Status>, took: Duration) {
    let code = answer.as_ref().expect_err("the database does not answer").code();
    assert!([Code::DeadlineExceeded, Code::Unavailable, Code::Cancelled].contains(&code), "{answer:?}");
    assert!(took < DEADLINE + SLACK, "{took:?}: {answer:?}");
}

async fn create(world: &World, request: &CreateBookingRequest) -> Result<Booking, Status> {
    let request = with_deadline(request.clone(), DEADLINE);
    let answer = world.bookings.clone().create_booking(request).await?.into_inner();
    Ok(answer.booking.expect("the answer has the booking"))
}

/// Far more calls at once than the queues of reservation take: how many of them it turned away at once. Those that the client's
/// own transport gave up, which have a source, are not its answers.
async fn flood(worlds: &[World]) -> usize {
    let calls = (0..2_000).flat_map(|_| worlds).map(async |world| {
        let request = with_deadline(CancelBookingRequest { booking_id: fresh_id() }, FLOOD_DEADLINE);
        world.bookings.clone().cancel_booking(request).await.expect_err("there is no such booking")
    });
    let refused = join_all(calls)
        .await
        .into_iter()
        .filter(|status| status.code() == Code::ResourceExhausted && status.source().is_none());
    let refused: Vec<Status> = refused.collect();
    for status in &refused {
        assert_eq!(api::reason_of(status), "OVERLOADED", "{status:?}");
        assert!(api::retry_delay_of(status).is_some(), "{status:?}");
    }
    refused.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_are_kept_while_postgresql_is_silent_and_repeats_find_what_was_done() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_mins(5)).await;
    let known = world.hold(&[units(&meal, 1)]).await?;
    let request = |_| CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: customer(),
        lines: vec![units(&meal, 2)],
        hold: true,
        hold_ttl: None,
    };
    let requests: Vec<_> = (0..20).map(request).collect();
    block_in_place(|| stack.postgres().freeze());

    let creations = requests.iter().map(async |request| {
        let start = Instant::now();
        assert_in_time(&create(&world, request).await, start.elapsed());
    });
    join_all(creations).await;
    for _ in 0..3 {
        let start = Instant::now();
        let request = with_deadline(GetBookingRequest { booking_id: known.booking_id.clone() }, DEADLINE);
        assert_in_time(&world.bookings.clone().get_booking(request).await, start.elapsed());
    }
    let worlds: Vec<_> = (0..4).map(|_| World::of(&stack)).collect();
    assert!(flood(&worlds).await > 0, "nobody was turned away");
    block_in_place(|| stack.postgres().thaw());

    // Whatever became of the first try, the second one finds it.
    for request in &requests {
        eventually("the booking is made", PATIENCE, async || create(&world, request).await).await;
    }
    world.await_stock(&meal, Stock::new(100, 41, 0)).await;
    assert_eq!(world.get(&known.booking_id).await?.booking_id, known.booking_id);
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}
