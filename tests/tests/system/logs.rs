//! Logs: failures with what they are about, levels that change without a restart, and nothing that is nobody's business.

use std::{fs, time::Duration};

use failpoint::{ARM, Step};
use proto::catalog::Product;
use proto::reservation::{
    BookingState, CreateBookingRequest, CreateBookingResponse, Line, ListBookingsRequest,
};
use serde_json::Value;
use stack::{Schema, Service, ServiceKind, Shutdown};
use system_tests::{
    Collector, Outcome, PATIENCE, World, eventually, fresh_id, hasty, own, shared, units, when,
};
use tokio::task::block_in_place;
use tonic::{Code, Request, Status};
use uuid::Uuid;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn log_of(service: &Service) -> String {
    fs::read_to_string(service.log().expect("it has a log")).unwrap_or_default()
}

fn request(customer_id: &str, line: &Line) -> CreateBookingRequest {
    CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: customer_id.to_owned(),
        lines: vec![line.clone()],
        hold: true,
        hold_ttl: None,
    }
}

async fn create(world: &World, request: CreateBookingRequest) -> Result<CreateBookingResponse, Status> {
    Ok(world.bookings.clone().create_booking(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_told_with_its_causes_its_booking_and_its_trace_in_one_line_of_json() -> Outcome {
    let (_collector, url) = Collector::start().await;
    let failing = format!("{}=error", Step::CreateRecorded.name());
    let env = [(ARM, failing.as_str()), ("HOLDFAST_LOG_FORMAT", "json"), ("HOLDFAST_OTLP_ENDPOINT", &url)];
    let service = block_in_place(|| shared().add(ServiceKind::Reservation, &env)).expect("a replica starts");
    let world = World::shared().with_reservation(&service);
    let meal = world.product(10, Duration::from_secs(1)).await;
    let create = request("somebody", &units(&meal, 1));
    let booking_id = create.booking_id.clone();
    let mut create = Request::new(create);
    let context = format!("00-{TRACE_ID}-00f067aa0ba902b7-01").parse().expect("it is ASCII");
    create.metadata_mut().insert("traceparent", context);
    let refused = world.bookings.clone().create_booking(create).await.expect_err("it fails once");
    assert_eq!(refused.code(), Code::Unavailable);

    let lines: Vec<Value> = log_of(&service)
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .filter(|line: &Value| line["booking_ids"] == booking_id.as_str())
        .collect();
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    assert_eq!(line["level"], "WARN", "{line}");
    assert!(line["error"].as_str().is_some_and(|error| error.contains("create.recorded")), "{line}");
    let spans = line["spans"].as_array().expect("it says where");
    assert!(spans.iter().any(|span| span["trace_id"] == TRACE_ID), "{line}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_follow_their_file_without_a_restart_and_nonsense_changes_nothing() -> Outcome {
    let file = shared().home().dir().join(format!("directives-{}", Uuid::new_v4()));
    fs::write(&file, "warn\n")?;
    let env = [("HOLDFAST_LOG_DIRECTIVES_FILE", file.to_str().expect("a path in UTF-8"))];
    let service = block_in_place(|| shared().add(ServiceKind::Catalog, &env)).expect("a replica starts");
    assert!(!log_of(&service).contains(" INFO "), "{}", log_of(&service));
    for (directives, words) in [
        ("debug,h2=off", "other log directives are in force"),
        ("loud", "the log directives stay as they are"),
        ("debug,hyper=off", "hyper=off"),
    ] {
        fs::write(&file, directives)?;
        eventually("it takes notice", PATIENCE, async || {
            when(log_of(&service).contains(words), log_of(&service))
        })
        .await;
    }
    // Back to what it was started with.
    fs::remove_file(&file)?;
    eventually("it takes notice", PATIENCE, async || {
        when(log_of(&service).contains("directives=\"info\""), log_of(&service))
    })
    .await;
    Ok(())
}

/// Calls of this customer that go well and that do not.
async fn drive(world: &World, meal: &Product, customer: &str) -> Outcome {
    let one = units(meal, 1);
    let made = create(world, request(customer, &one)).await?.booking.expect("it is there");
    let other =
        CreateBookingRequest { booking_id: made.booking_id.clone(), ..request(customer, &units(meal, 2)) };
    assert_eq!(create(world, other).await.expect_err("another").code(), Code::AlreadyExists);
    let long = request(&customer.repeat(9), &one);
    assert_eq!(create(world, long).await.expect_err("too long").code(), Code::InvalidArgument);
    let too_many = request(customer, &units(meal, 1_000));
    assert_eq!(create(world, too_many).await.expect_err("sold out").code(), Code::FailedPrecondition);
    let paid = create(world, request(customer, &one)).await?.booking.expect("it is there");
    world.pay(&paid.booking_id).await?;
    let list = ListBookingsRequest { customer_id: customer.to_owned(), ..ListBookingsRequest::default() };
    assert!(!world.bookings.clone().list_bookings(list).await?.into_inner().bookings.is_empty());
    world.await_state(&made.booking_id, BookingState::Expired).await;
    Ok(())
}

/// The most that is logged, through every kind of call and failure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_has_a_password_or_a_customer() -> Outcome {
    let secret = format!("geheim{}", Uuid::new_v4().simple());
    let customer = format!("kundin{}", Uuid::new_v4().simple());
    let stack = own(hasty().env("HOLDFAST_LOG", "debug").env("HOLDFAST_LOG_FORMAT", "json")).await;
    // The database takes any password; the broker does not take this one.
    let with_secret = |url: String| url.replacen("postgres@", &format!("postgres:{secret}@"), 1);
    let database = with_secret(stack.database_url(Schema::Reservation));
    assert!(database.contains(&secret), "{database}");
    let broker = stack.rabbitmq().url();
    let (_, address) = broker.rsplit_once('@').unwrap_or_else(|| broker.split_once("//").expect("a URL"));
    let broker = format!("amqp://guest:{secret}@{address}");
    let env = [("HOLDFAST_DATABASE_URL", database.as_str()), ("HOLDFAST_AMQP_URL", broker.as_str())];
    let service = block_in_place(|| stack.add(ServiceKind::Reservation, &env)).expect("a replica starts");

    let worlds = [World::of(&stack), World::of(&stack).with_reservation(&service)];
    let meal = worlds[0].product(20, Duration::from_secs(1)).await;
    let one = units(&meal, 1);
    for world in &worlds {
        drive(world, &meal, &customer).await?;
    }
    // A row that makes no sense, and then no database at all.
    let damaged = create(&worlds[0], request(&customer, &one)).await?.booking.expect("it is there");
    sqlx::query("update bookings set lines = '[{\"nonsense\": 1}]' where booking_id = $1::uuid")
        .bind(&damaged.booking_id)
        .execute(&mut worlds[0].reservation_database().await)
        .await?;
    for world in &worlds {
        assert_eq!(world.get(&damaged.booking_id).await.expect_err("nonsense").code(), Code::Internal);
    }
    block_in_place(|| stack.postgres().stop(Shutdown::Fast));
    for world in &worlds {
        assert_eq!(
            create(world, request(&customer, &one)).await.expect_err("no database").code(),
            Code::Unavailable
        );
    }
    block_in_place(|| stack.rabbitmq().stop());
    for service in stack.services().iter().chain([&service]) {
        eventually("it says that its parts are away", PATIENCE, async || {
            let log = log_of(service);
            when(log.contains("\"down\""), log.len())
        })
        .await;
    }

    for service in stack.services().iter().chain([&service]) {
        let log = log_of(service);
        assert!(log.contains("\"DEBUG\""), "{} logs what it can", service.name());
        for word in [&secret, &customer] {
            let told: Vec<_> = log.lines().filter(|line| line.contains(word.as_str())).collect();
            assert!(told.is_empty(), "{} tells: {told:#?}", service.name());
        }
    }
    assert!(log_of(&service).contains("RabbitMQ"), "{}", log_of(&service));
    Ok(())
}
