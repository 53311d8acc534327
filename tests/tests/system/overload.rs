//! More calls than the services take: the excess is refused at once, what is let in is served, and settlement goes on.

use std::{collections::BTreeMap, time::Duration};

use api::{reason_of, retry_delay_of};
use futures::future::join_all;
use proto::reservation::{CancelBookingRequest, GetBookingRequest, ListBookingsRequest};
use stack::Service;
use system_tests::{
    Outcome, OwnStack, PATIENCE, Stock, World, fresh_id, hasty, memory_mib, own, units, when,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

/// Calls that the services of these tests take at a time.
const MAX_CALLS: &str = "16";
/// What a service may take up here (docs/overload.md): programs with debug information, and few calls.
const MAX_MEMORY_MIB: u64 = 256;

async fn small() -> OwnStack {
    own(hasty().env("HOLDFAST_MAX_CALLS", MAX_CALLS)).await
}

/// What became of calls: so many for each code. The caller is told when to come back; nobody runs out of time in a queue.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn count<T>(&mut self, answer: &Result<T, Status>) {
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        if let Err(status) = answer
            && code == Code::ResourceExhausted
        {
            assert_eq!(reason_of(status), "OVERLOADED");
            assert!(retry_delay_of(status).is_some(), "{status:?}");
        } else {
            assert!([Code::Ok, Code::NotFound].contains(&code), "{:?}", answer.as_ref().err());
        }
        *self.0.entry(format!("{code:?}")).or_default() += 1;
    }

    fn of(&self, code: Code) -> usize {
        self.0.get(&format!("{code:?}")).copied().unwrap_or_default()
    }
}

fn assert_memory_is_bounded(stack: &OwnStack) {
    for service in stack.services() {
        let taken = memory_mib(service);
        assert!(taken < MAX_MEMORY_MIB, "{} has taken {taken} MiB", service.name());
    }
}

/// Connections of their own, so that no caller waits for another's.
fn worlds(stack: &OwnStack) -> Vec<World> {
    (0..4).map(|_| World::of(stack)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_bookings_is_refused_at_once_and_what_is_let_in_is_served() -> Outcome {
    let stack = small().await;
    let world = World::of(&stack);
    let meal = world.product(1_000_000, Duration::from_mins(5)).await;
    let mut tally = Tally::default();
    for _ in 0..3 {
        let holds = worlds(&stack).into_iter().flat_map(|world| (0..40).map(move |_| world.clone()));
        let holds = holds.map(async |world| world.hold(&[units(&meal, 1)]).await);
        join_all(holds).await.iter().for_each(|answer| tally.count(answer));
    }
    let (held, refused) = (tally.of(Code::Ok), tally.of(Code::ResourceExhausted));
    assert!(held > 0 && refused > 0 && held + refused == 480, "{held} held, {refused} refused");
    assert_memory_is_bounded(&stack);

    // It is over at once: an ordinary customer is served, and what was refused took nothing.
    world.hold(&[units(&meal, 1)]).await?;
    let held = i64::try_from(held).expect("it is small") + 1;
    world.await_stock(&meal, Stock::new(1_000_000, held, 0)).await;
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_keep_nobody_from_buying() -> Outcome {
    let stack = small().await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_mins(5)).await;
    let booking = world.hold(&[units(&meal, 1)]).await?;
    let reads = worlds(&stack).into_iter().flat_map(|world| (0..40).map(move |n| (n, world.clone())));
    let reads = reads.map(async |(n, world)| {
        let mut bookings = world.bookings.clone();
        if n % 2 == 0 {
            let request = GetBookingRequest { booking_id: booking.booking_id.clone() };
            return bookings.get_booking(request).await.map(drop);
        }
        let request = ListBookingsRequest { page_size: 1_000, ..ListBookingsRequest::default() };
        bookings.list_bookings(request).await.map(drop)
    });
    let mut tally = Tally::default();
    join_all(reads).await.iter().for_each(|answer| tally.count(answer));
    let (read, refused) = (tally.of(Code::Ok), tally.of(Code::ResourceExhausted));
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
    world.pay(&booking.booking_id).await?;
    assert_memory_is_bounded(&stack);
    stack.assert_sound();
    Ok(())
}

/// Customers who never stop calling, for nothing.
struct Flood {
    stop: CancellationToken,
    callers: JoinSet<Tally>,
}

impl Flood {
    fn start(stack: &OwnStack) -> Self {
        let (stop, mut callers) = (CancellationToken::new(), JoinSet::new());
        for world in worlds(stack).into_iter().flat_map(|world| (0..20).map(move |_| world.clone())) {
            callers.spawn(Self::call(world, stop.clone()));
        }
        Self { stop, callers }
    }

    async fn call(world: World, stop: CancellationToken) -> Tally {
        let mut tally = Tally::default();
        while !stop.is_cancelled() {
            let request = CancelBookingRequest { booking_id: fresh_id() };
            tally.count(&world.bookings.clone().cancel_booking(request).await);
        }
        tally
    }

    async fn end(self) -> Vec<Tally> {
        self.stop.cancel();
        self.callers.join_all().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_expire_and_payments_settle_while_customers_flood_the_services() -> Outcome {
    let stack = small().await;
    let world = World::of(&stack);
    let meal = world.product(50, Duration::from_secs(2)).await;
    let paid = world.hold(&[units(&meal, 3)]).await?;
    world.pay(&paid.booking_id).await?;
    for _ in 0..5 {
        world.hold(&[units(&meal, 2)]).await?;
    }
    let flood = Flood::start(&stack);
    // Seen in the database: this test's own calls might be refused.
    system_tests::eventually("all holds are settled", PATIENCE, async || {
        let sums = "select held::text || ' held, ' || sold::text || ' sold' from products";
        let sums: String = sqlx::query_scalar(sums)
            .fetch_one(&mut world.catalog_database().await)
            .await
            .expect("the catalog's database answers");
        when(sums == "0 held, 3 sold", sums)
    })
    .await;
    let tallies = flood.end().await;
    assert!(tallies.iter().any(|tally| tally.of(Code::ResourceExhausted) > 0), "nobody was refused");
    assert!(tallies.iter().any(|tally| tally.of(Code::NotFound) > 0), "nobody was served");
    assert_memory_is_bounded(&stack);
    assert!(stack.services().iter().all(Service::is_running));
    stack.assert_sound();
    Ok(())
}
