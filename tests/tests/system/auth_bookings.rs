//! Whose booking is whose, who had each step made, and Holdfast's own parts among those who have to say who they are.

use std::time::Duration;

use api::reason_of;
use proto::{
    catalog::{CreateProductRequest, ListOverdueHoldsRequest, Product},
    reservation::{
        Booking, BookingHistoryEntry, BookingState, CancelBookingRequest, CreateBookingRequest,
        ExtendHoldRequest, GetBookingRequest, HoldBookingRequest, ListBookingHistoryRequest,
        ListBookingsRequest, PayBookingRequest, StartPaymentRequest,
    },
};
use stack::Options;
use system_tests::{
    Outcome, PATIENCE, World, asking, bearing, eventually, fresh_id, own, sample_product, token, units,
};
use tonic::{Code, Request, Status};

async fn product(world: &World, token: &str, hold_ttl: Duration) -> Result<Product, Status> {
    let hold_ttl = Some(prost_types::Duration::try_from(hold_ttl).expect("it is short"));
    let product = Product { hold_ttl, ..sample_product() };
    let request = CreateProductRequest { product_id: fresh_id(), product: Some(product) };
    let answer = world.catalog.clone().create_product(bearing(token, request)).await?;
    Ok(answer.into_inner().product.expect("it is there"))
}

fn booking(customer_id: &str, product: &Product, hold: bool) -> CreateBookingRequest {
    CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: customer_id.to_owned(),
        lines: vec![units(product, 1)],
        hold,
        hold_ttl: None,
    }
}

async fn create(world: &World, request: Request<CreateBookingRequest>) -> Result<Booking, Status> {
    let answer = world.bookings.clone().create_booking(request).await?;
    Ok(answer.into_inner().booking.expect("it is there"))
}

async fn history(world: &World, token: &str, booking_id: &str) -> Result<Vec<BookingHistoryEntry>, Status> {
    let request = ListBookingHistoryRequest { booking_id: booking_id.to_owned(), ..Default::default() };
    Ok(world.bookings.clone().list_booking_history(bearing(token, request)).await?.into_inner().entries)
}

/// Waits until a booking has run out, and answers that step.
async fn expired(world: &World, token: &str, booking_id: &str) -> BookingHistoryEntry {
    eventually("it runs out", PATIENCE, async || {
        match history(world, token, booking_id).await.map(|all| all.last().cloned()) {
            Ok(Some(last)) if last.to_state() == BookingState::Expired => Ok(last),
            other => Err(other),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_bookings_are_under_their_own_name() -> Outcome {
    let (world, office) = (World::of(asking()), token("office", "operator"));
    let (ada, name) = (token("ada-1", "customer"), "ada-1");
    let meal = product(&world, &office, Duration::from_mins(1)).await?;
    // An empty customer_id is theirs; another's is refused.
    for customer_id in ["", name] {
        let made = create(&world, bearing(&ada, booking(customer_id, &meal, true))).await?;
        assert_eq!(made.customer_id, name);
    }
    let refused = create(&world, bearing(&ada, booking("bob", &meal, true))).await.expect_err("not theirs");
    assert_eq!((refused.code(), &*reason_of(&refused)), (Code::PermissionDenied, "CUSTOMER_MISMATCH"));
    // An operator books for whomever they name, and must name one.
    assert_eq!(create(&world, bearing(&office, booking("bob", &meal, false))).await?.customer_id, "bob");
    let nobody = create(&world, bearing(&office, booking("", &meal, false))).await.expect_err("nobody");
    assert_eq!(nobody.code(), Code::InvalidArgument);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bookings_of_others_are_not_there_for_a_customer() -> Outcome {
    let (world, office) = (World::of(asking()), token("office", "operator"));
    let (ada, bob) = (token("ada-2", "customer"), token("bob-2", "customer"));
    let meal = product(&world, &office, Duration::from_mins(5)).await?;
    let held = create(&world, bearing(&ada, booking("", &meal, true))).await?;
    let draft = create(&world, bearing(&ada, booking("", &meal, false))).await?;
    let (id, draft_id) = (|| held.booking_id.clone(), || draft.booking_id.clone());
    let extension = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let mut client = world.bookings.clone();
    let answers = [
        client.get_booking(bearing(&bob, GetBookingRequest { booking_id: id() })).await.err(),
        client.get_booking(bearing(&bob, GetBookingRequest { booking_id: draft_id() })).await.err(),
        client
            .hold_booking(bearing(&bob, HoldBookingRequest { booking_id: draft_id(), hold_ttl: None }))
            .await
            .err(),
        client.extend_hold(bearing(&bob, ExtendHoldRequest { booking_id: id(), extension })).await.err(),
        client.start_payment(bearing(&bob, StartPaymentRequest { booking_id: id() })).await.err(),
        client.cancel_booking(bearing(&bob, CancelBookingRequest { booking_id: id() })).await.err(),
        history(&world, &bob, &id()).await.err(),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let refused = answer.unwrap_or_else(|| panic!("call {number} was carried out"));
        assert_eq!(
            (refused.code(), &*reason_of(&refused)),
            (Code::NotFound, "BOOKING_NOT_FOUND"),
            "{number}"
        );
    }
    // Its id cannot be had either, and nothing is told of what has it.
    let taken = CreateBookingRequest { booking_id: id(), ..booking("", &meal, true) };
    let refused = create(&world, bearing(&bob, taken)).await.expect_err("it is taken");
    assert_eq!((refused.code(), &*reason_of(&refused)), (Code::AlreadyExists, "ID_REUSED"));
    // Nothing happened to them, and the one whose they are has them.
    let request = GetBookingRequest { booking_id: id() };
    let now = client.get_booking(bearing(&ada, request)).await?.into_inner().booking.expect("it is there");
    assert_eq!((now.state(), now.update_time), (BookingState::Held, held.update_time));
    let list = |token: &str, customer_id: &str| {
        let request = ListBookingsRequest { customer_id: customer_id.to_owned(), ..Default::default() };
        let (mut client, request) = (world.bookings.clone(), bearing(token, request));
        async move { client.list_bookings(request).await.map(|answer| answer.into_inner().bookings) }
    };
    let ids: Vec<_> = list(&ada, "").await?.into_iter().map(|booking| booking.booking_id).collect();
    assert!(ids.len() == 2 && ids.contains(&id()) && ids.contains(&draft_id()), "{ids:?}");
    assert_eq!(list(&bob, "").await?, []);
    assert_eq!(list(&bob, "ada-2").await.expect_err("not theirs").code(), Code::PermissionDenied);
    assert_eq!(list(&office, "ada-2").await?.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_says_who_had_each_step_made_and_in_which_request() -> Outcome {
    let (world, office) = (World::of(asking()), token("office-3", "operator"));
    let ada = token("ada-3", "customer");
    let meal = product(&world, &office, Duration::from_mins(1)).await?;
    let mut request = bearing(&ada, booking("", &meal, true));
    request.metadata_mut().insert("x-request-id", "order-17".parse()?);
    let held = create(&world, request).await?;
    let pay = PayBookingRequest { booking_id: held.booking_id.clone(), success: true, ..Default::default() };
    let mut pay = bearing(&office, pay);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    pay.metadata_mut().insert("traceparent", trace.parse()?);
    world.bookings.clone().pay_booking(pay).await?;

    let step = |entry: &BookingHistoryEntry| {
        let BookingHistoryEntry { subject, role, method, request_id, .. } = entry.clone();
        [subject, role, method, request_id]
    };
    let paid = ["office-3", "operator", "PayBooking", "4bf92f3577b34da6a3ce929d0e0e4736"];
    let all = history(&world, &office, &held.booking_id).await?;
    let steps: Vec<_> = all.iter().map(step).collect();
    assert_eq!(steps, [["ada-3", "customer", "CreateBooking", "order-17"], paid, paid]);
    // A customer reads what was done, and not by whom of the shop.
    let theirs: Vec<_> = history(&world, &ada, &held.booking_id).await?.iter().map(step).collect();
    let hidden = ["", "operator", "PayBooking", ""];
    assert_eq!(theirs, [["ada-3", "customer", "CreateBooking", "order-17"], hidden, hidden]);

    // What runs out is found by the expirer.
    let brief = product(&world, &office, Duration::from_millis(300)).await?;
    let brief_booking = create(&world, bearing(&ada, booking("", &brief, true))).await?;
    let last = expired(&world, &office, &brief_booking.booking_id).await;
    assert_eq!(step(&last)[..3], ["expirer", "service", "ResolveHolds"]);
    Ok(())
}

/// Reservation, expirer and the audit among those who have to say who they are; by certificates instead of tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_know_each_other_by_their_certificates() -> Outcome {
    let stack = own(Options { auth: true, tls: true, ..system_tests::hasty() }).await;
    let world = World::of(&stack);
    let issuer = stack.issuer().expect("it was asked for");
    let office = issuer.token("office", "operator", Duration::from_hours(1));
    let meal = product(&world, &office, Duration::from_millis(500)).await?;
    let brief_booking = create(&world, bearing(&office, booking("bob", &meal, true))).await?;
    let last = expired(&world, &office, &brief_booking.booking_id).await;
    assert_eq!((last.subject.as_str(), last.role.as_str()), ("expirer", "service"));
    // A client without a certificate is nobody, and a service is no operator.
    let mut holds = world.holds.clone();
    let overdue = ListOverdueHoldsRequest::default();
    let nobody = holds.list_overdue_holds(overdue.clone()).await;
    assert_eq!(nobody.expect_err("nobody").code(), Code::Unauthenticated);
    let refused = holds.list_overdue_holds(bearing(&office, overdue)).await.expect_err("an operator");
    assert_eq!(reason_of(&refused), "ROLE_NOT_ALLOWED");
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_shows_its_token_and_says_nothing_without_one() -> Outcome {
    let world = World::of(asking());
    let file =
        asking().issuer().expect("it was asked for").service_token("audit").expect("it can be written");
    let options = world.audit_options();
    let refused = audit::run(&options).await.map(|report| report.is_sound());
    assert!(refused.is_err(), "{refused:?}");
    let token = server::TokenConfig { token_file: Some(file) };
    let report = audit::run(&audit::Options { token, ..options }).await?;
    assert!(report.is_sound(), "{report}");
    Ok(())
}
