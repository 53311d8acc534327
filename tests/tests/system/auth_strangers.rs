//! What a customer can do to the bookings of another whose ids they know: nothing. Also where their calls share a batch.

use std::{collections::HashMap, time::Duration};

use api::reason_of;
use futures::future::join_all;
use proto::{
    catalog::{CreateProductRequest, GetProductRequest, Product},
    reservation::{
        Booking, BookingHistoryEntry, BookingState, CancelBookingRequest, CreateBookingRequest,
        HoldBookingRequest, Line, ListBookingHistoryRequest, StartPaymentRequest,
    },
};
use sqlx::PgConnection;
use stack::Options;
use system_tests::{
    Outcome, PATIENCE, World, asking, bearing, counted, eventually, fresh_id, own, sample_product, token,
    units, when,
};
use tokio::task::block_in_place;
use tonic::{Code, Status};

/// Customers whose calls are made at the same moment.
const CUSTOMERS: usize = 64;

async fn product(world: &World, office: &str) -> Result<Product, Status> {
    let hold_ttl = Some(prost_types::Duration { seconds: 300, nanos: 0 });
    let product = Product { hold_ttl, on_hand: 1_000, ..sample_product() };
    let request = CreateProductRequest { product_id: fresh_id(), product: Some(product) };
    let answer = world.catalog.clone().create_product(bearing(office, request)).await?;
    Ok(answer.into_inner().product.expect("it is there"))
}

async fn held_of(world: &World, office: &str, product: &Product) -> Result<i64, Status> {
    let request = GetProductRequest { product_id: product.product_id.clone() };
    let answer = world.catalog.clone().get_product(bearing(office, request)).await?;
    Ok(answer.into_inner().product.expect("it is there").held)
}

async fn create(world: &World, token: &str, id: &str, lines: &[Line], hold: bool) -> Result<Booking, Status> {
    let request = CreateBookingRequest {
        booking_id: id.to_owned(),
        lines: lines.to_vec(),
        hold,
        ..CreateBookingRequest::default()
    };
    let answer = world.bookings.clone().create_booking(bearing(token, request)).await?;
    Ok(answer.into_inner().booking.expect("it is there"))
}

async fn hold(world: &World, token: &str, id: &str) -> Result<Booking, Status> {
    let request = HoldBookingRequest { booking_id: id.to_owned(), hold_ttl: None };
    let answer = world.bookings.clone().hold_booking(bearing(token, request)).await?;
    Ok(answer.into_inner().booking.expect("it is there"))
}

/// All that is recorded of a booking.
async fn rows(database: &mut PgConnection, id: &str) -> sqlx::Result<(String, Vec<String>)> {
    let booking = sqlx::query_scalar("select b::text from bookings b where booking_id = $1::uuid");
    let history = "select h::text from booking_history h where booking_id = $1::uuid order by sequence";
    let booking = booking.bind(id).fetch_one(&mut *database).await?;
    Ok((booking, sqlx::query_scalar(history).bind(id).fetch_all(&mut *database).await?))
}

/// Waits until the time of a draft is over.
async fn await_overdue(database: &mut PgConnection, id: &str) -> sqlx::Result<()> {
    let rest = "select pg_sleep(greatest(0, extract(epoch from draft_expires_at - clock_timestamp())))::text
                from bookings where booking_id = $1::uuid";
    sqlx::query(rest).bind(id).execute(database).await.map(drop)
}

fn assert_taken(answer: Result<Booking, Status>) {
    let refused = answer.expect_err("it is another's");
    assert_eq!((refused.code(), &*reason_of(&refused)), (Code::AlreadyExists, "ID_REUSED"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_names_a_draft_changes_nothing_of_it_and_its_customer_can_hold_it() -> Outcome {
    let (world, office) = (World::of(asking()), token("office-4", "operator"));
    let (ada, bob) = (token("ada-4", "customer"), token("bob-4", "customer"));
    let mut database = world.reservation_database().await;
    let (meal, other_meal) = (product(&world, &office).await?, product(&world, &office).await?);
    let lines = [units(&meal, 2)];
    // The same content, other goods, and more of the same.
    for theirs in [&lines[..], &[units(&other_meal, 7)], &[units(&meal, 3)]] {
        for again in [false, true] {
            let draft = create(&world, &ada, &fresh_id(), &lines, false).await?;
            let id = draft.booking_id.as_str();
            let before = rows(&mut database, id).await?;
            for hold in [false, true, true] {
                assert_taken(create(&world, &bob, id, theirs, hold).await);
                assert_eq!(rows(&mut database, id).await?, before, "hold: {hold}");
            }
            let held = if again {
                create(&world, &ada, id, &lines, true).await?
            } else {
                hold(&world, &ada, id).await?
            };
            assert_eq!(held.state(), BookingState::Held);
            let history = rows(&mut database, id).await?.1.join("\n");
            assert!(history.contains("ada-4") && !history.contains("bob-4"), "{history}");
            // Who repeats it is answered the same, also when another attempt than the first has the hold.
            assert_eq!(create(&world, &ada, id, &lines, true).await?.expire_time, held.expire_time);
            assert_taken(create(&world, &bob, id, theirs, true).await);
        }
    }
    // What the stranger's calls had taken is back once the customer holds the draft.
    eventually("the stranger's units are on sale again", PATIENCE, async || {
        let held = (held_of(&world, &office, &meal).await?, held_of(&world, &office, &other_meal).await?);
        if held == (12, 0) { Ok(()) } else { Err(Status::unknown(format!("{held:?}"))) }
    })
    .await;
    Ok(())
}

/// A hold is found again by its customer only, also of goods without a limit: nobody sets the time of another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stranger_placed_under_a_draft_is_not_given_to_its_customer() -> Outcome {
    let (world, office) = (World::of(asking()), token("office-6", "operator"));
    let (ada, bob) = (token("ada-6", "customer"), token("bob-6", "customer"));
    let meal = product(&world, &office).await?;
    let lines = vec![units(&meal, 2)];
    let draft = create(&world, &ada, &fresh_id(), &lines, false).await?;
    let booking_id = draft.booking_id.clone();
    let short = CreateBookingRequest {
        booking_id: booking_id.clone(),
        lines,
        hold: true,
        hold_ttl: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..CreateBookingRequest::default()
    };
    let answer = world.bookings.clone().create_booking(bearing(&bob, short)).await;
    assert_taken(answer.map(|answer| answer.into_inner().booking.expect("it is there")));
    assert_eq!(held_of(&world, &office, &meal).await?, 2, "under the draft's key");
    let held = hold(&world, &ada, &booking_id).await?;
    let (until, since) = (held.expire_time.expect("it is held"), held.update_time.expect("always"));
    assert_eq!((until.seconds - since.seconds, until.nanos), (300, since.nanos));
    Ok(())
}

/// Without an expirer, so that nobody else ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_names_a_draft_that_is_overdue_does_not_end_it() -> Outcome {
    let options = Options { auth: true, expirers: 0, ..Options::default() };
    let stack = own(options.env("HOLDFAST_DRAFT_TTL_MS", "500")).await;
    let (world, issuer) = (World::of(&stack), stack.issuer().expect("it was asked for"));
    let token = |subject, role| issuer.token(subject, role, Duration::from_hours(1));
    let (office, ada, bob) =
        (token("office", "operator"), token("ada", "customer"), token("bob", "customer"));
    let mut database = world.reservation_database().await;
    let meal = product(&world, &office).await?;
    let draft = create(&world, &ada, &fresh_id(), &[units(&meal, 2)], false).await?;
    let id = draft.booking_id.as_str();
    await_overdue(&mut database, id).await?;
    let before = rows(&mut database, id).await?;
    for (lines, hold) in [(units(&meal, 2), false), (units(&meal, 2), true), (units(&meal, 3), true)] {
        assert_taken(create(&world, &bob, id, &[lines], hold).await);
        assert_eq!(rows(&mut database, id).await?, before);
    }
    // Its customer does, and it is said of them.
    let request = StartPaymentRequest { booking_id: id.to_owned() };
    let refused = world.bookings.clone().start_payment(bearing(&ada, request)).await;
    assert_eq!(reason_of(&refused.expect_err("it has expired")), "ILLEGAL_TRANSITION");
    let (booking, history) = rows(&mut database, id).await?;
    assert!(booking.contains("EXPIRED") && history.len() == 2 && history[1].contains("ada"), "{history:?}");
    stack.assert_sound();
    Ok(())
}

/// So many batches of this name were carried out so far.
fn batches(name: &str) -> u64 {
    let label = format!("batch=\"{name}\"");
    block_in_place(|| counted(asking().reservation(), "holdfast_batch_size_count", &label))
}

/// Calls of as many customers in fewer batches: some share one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_in_one_batch_have_each_their_own_answer_and_name() -> Outcome {
    let (world, office) = (World::of(asking()), token("office-5", "operator"));
    let meal = product(&world, &office).await?;
    let lines = [units(&meal, 1)];
    let names: Vec<String> = (0..CUSTOMERS).map(|n| format!("batch-{n}-{}", fresh_id())).collect();
    let tokens: Vec<String> = names.iter().map(|name| token(name, "customer")).collect();
    eventually("customers share a batch", PATIENCE, async || {
        let before = ["create", "change"].map(batches);
        let held = join_all(tokens.iter().map(|token| create(&world, token, "", &lines, true))).await;
        let held: Vec<Booking> = held.into_iter().collect::<Result<_, _>>().expect("there is enough");
        for (booking, name) in held.iter().zip(&names) {
            assert_eq!(&booking.customer_id, name);
        }
        // Every other one cancels their own, the others that of the next.
        let cancels = (0..CUSTOMERS).map(|n| {
            let booking_id = held[(n + n % 2) % CUSTOMERS].booking_id.clone();
            let request = bearing(&tokens[n], CancelBookingRequest { booking_id });
            let mut client = world.bookings.clone();
            async move { client.cancel_booking(request).await.map(|answer| answer.into_inner().booking) }
        });
        for (n, answer) in join_all(cancels).await.into_iter().enumerate() {
            match answer {
                Ok(booking) => {
                    assert_eq!((n % 2, booking.expect("it is there").customer_id), (0, names[n].clone()));
                }
                Err(refused) => assert_eq!((n % 2, &*reason_of(&refused)), (1, "BOOKING_NOT_FOUND")),
            }
        }
        assert_histories(&world, &office, &held, &names).await;
        let after = ["create", "change"].map(batches);
        let taken: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        when(taken.iter().all(|batches| *batches < CUSTOMERS as u64), taken)
    })
    .await;
    Ok(())
}

/// What was cancelled is those that were their callers' own, and each step is in the name of who made it.
async fn assert_histories(world: &World, office: &str, held: &[Booking], names: &[String]) {
    let cancelled: HashMap<&str, bool> =
        held.iter().enumerate().map(|(n, booking)| (booking.booking_id.as_str(), n % 2 == 0)).collect();
    for (booking, name) in held.iter().zip(names) {
        let request =
            ListBookingHistoryRequest { booking_id: booking.booking_id.clone(), ..Default::default() };
        let answer = world.bookings.clone().list_booking_history(bearing(office, request)).await;
        let entries = answer.expect("it is there").into_inner().entries;
        assert!(entries.iter().all(|entry| entry.subject == *name), "{entries:?}");
        let states: Vec<_> = entries.iter().map(BookingHistoryEntry::to_state).collect();
        let wanted: &[_] = if cancelled[booking.booking_id.as_str()] {
            &[BookingState::Held, BookingState::Cancelled]
        } else {
            &[BookingState::Held]
        };
        assert_eq!(states, wanted);
    }
}
