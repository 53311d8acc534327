//! Ending: what was begun is finished, what is stuck does not hold it up, and nothing acknowledged is lost.

use std::time::Duration;

use proto::reservation::GetBookingRequest;
use stack::{Options, Service, ServiceKind, Shutdown, Signal};
use system_tests::{Outcome, OwnStack, PATIENCE, Traffic, World, ended, eventually, hasty, own, units, when};
use tokio::task::block_in_place;
use tonic::{Request, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

fn connect(service: &Service) -> tonic::transport::Channel {
    Endpoint::from_shared(service.url()).expect("its URL is valid").connect_lazy()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_that_is_told_to_stop_under_load_ends_cleanly_and_loses_nothing() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let traffic = Traffic::start(&world, 16).await;
    for service in stack.services().iter().rev() {
        traffic.await_progress().await;
        service.signal(Signal::TERM);
        assert_eq!(ended(service).await, 0, "{}", service.name());
        block_in_place(|| service.restart().expect("it starts again"));
    }
    traffic.await_progress().await;
    traffic.finish(&world).await;
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_watches_its_health_hears_that_a_service_stops() -> Outcome {
    let stack = own(hasty()).await;
    let name = "holdfast.reservation.v1.BookingService".to_owned();
    let mut health = HealthClient::new(connect(stack.reservation()));
    let mut watched = health.watch(HealthCheckRequest { service: name }).await?.into_inner();
    let first = watched.message().await?.expect("the status now");
    assert_eq!(first.status(), ServingStatus::Serving);
    stack.reservation().signal(Signal::TERM);
    let last = watched.message().await?.expect("the change");
    assert_eq!(last.status(), ServingStatus::NotServing);
    assert_eq!(watched.message().await?, None, "the stream ends, and does not hold up the drain");
    assert_eq!(ended(stack.reservation()).await, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_holds_on_and_a_frozen_database_do_not_keep_a_service_from_ending() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_mins(5)).await;
    let booking = world.hold(&[units(&meal, 1)]).await?;
    // A stream that its client never ends.
    let (asking, questions) = futures::channel::mpsc::unbounded();
    let question = MessageRequest::ListServices(String::new());
    asking
        .unbounded_send(ServerReflectionRequest { message_request: Some(question), ..Default::default() })?;
    let mut reflection = ServerReflectionClient::new(connect(stack.catalog()));
    let mut held = reflection.server_reflection_info(questions).await?.into_inner();
    assert!(held.message().await?.is_some());

    block_in_place(|| stack.postgres().freeze());
    let mut request = Request::new(GetBookingRequest { booking_id: booking.booking_id.clone() });
    request.set_timeout(Duration::from_secs(20));
    let mut bookings = world.bookings.clone();
    let waiting = tokio::spawn(async move { bookings.get_booking(request).await });
    for service in stack.services() {
        service.signal(Signal::TERM);
    }
    assert_eq!(ended(stack.catalog()).await, 1, "it cut a stream off");
    ended(stack.reservation()).await;
    assert_eq!(ended(stack.expirer()).await, 0, "it has nothing in hand");
    assert!(waiting.await?.is_err());
    block_in_place(|| {
        stack.postgres().thaw();
        for service in stack.services() {
            service.restart().expect("it starts again");
        }
    });
    assert_eq!(World::of(&stack).get(&booking.booking_id).await?.booking_id, booking.booking_id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_still_waits_for_its_database_ends_at_once() -> Outcome {
    let stack: OwnStack = own(Options { expirers: 0, ..hasty() }).await;
    let services = || stack.services().iter().filter(|service| service.kind() != ServiceKind::Expirer);
    block_in_place(|| {
        stack.services().iter().for_each(Service::stop);
        stack.postgres().stop(Shutdown::Fast);
        services().for_each(|service| service.spawn().expect("it can be started"));
    });
    for service in services() {
        // Alive, not ready, and it says why.
        eventually("it waits", PATIENCE, async || {
            let alive = service.get("/livez").is_ok_and(|answer| answer.status == 200);
            let ready = service.get("/readyz").map(|answer| (answer.status, answer.body));
            when(alive && ready.as_ref().is_ok_and(|(status, _)| *status == 503), format!("{ready:?}"))
        })
        .await;
        service.signal(Signal::TERM);
        assert_eq!(ended(service).await, 0, "{}", service.name());
    }
    Ok(())
}
