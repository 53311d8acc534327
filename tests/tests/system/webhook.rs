//! The payment provider's events: signed, at least once, in no order, and never at the cost of a customer's money.

use std::{env, fs, process::Command, time::Duration};

use http::Request;
use prost::bytes::Bytes;
use proto::{catalog::Product, reservation::BookingState};
use serde_json::json;
use stack::Shutdown;
use system_tests::{
    News, Outcome, OwnStack, PATIENCE, PaymentProvider, Rest, Stock, World, eventually, fresh_id, hasty, now,
    own, repository_text, shared, state_of, units, when,
};
use tokio::task::block_in_place;
use tonic::Code;

/// A stack that takes events, and who sends them.
struct Shop {
    provider: PaymentProvider,
    stack: OwnStack,
    world: World,
    rest: Rest,
}

impl Shop {
    async fn open() -> Self {
        let provider = PaymentProvider::default();
        let stack = own(provider.known_to(hasty())).await;
        let (world, rest) = (World::of(&stack), Rest::of(&stack));
        Self { provider, stack, world, rest }
    }

    async fn tell(&self, kind: &str, booking_id: &str, payment: &str) -> String {
        self.provider.send(&self.rest, kind, booking_id, payment).await.outcome()
    }

    async fn meal(&self, hold_ttl: Duration) -> Product {
        self.world.product(10, hold_ttl).await
    }

    async fn state(&self, booking_id: &str) -> &'static str {
        state_of(&self.world.get(booking_id).await.expect("it is there"))
    }
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_in_any_order_and_number_come_to_the_same() -> Outcome {
    let shop = Shop::open().await;
    let meal = shop.meal(MINUTE).await;
    let [first, second, third] = [1, 2, 3].map(|quantity| units(&meal, quantity));

    // In order, each twice.
    let id = shop.world.hold(&[first]).await?.booking_id;
    let data = json!({ "booking_id": id, "payment_id": "pay_1", "refund_id": "re_1" });
    let events = [
        ("payment.started", "PAYMENT_PENDING"),
        ("payment.failed", "HELD"),
        ("payment.started", "PAYMENT_PENDING"),
        ("payment.succeeded", "CONFIRMED"),
        ("payment.refunded", "REFUNDED"),
    ];
    for (number, (kind, state)) in events.into_iter().enumerate() {
        let answer = shop.provider.send_as(&shop.rest, &format!("evt_{number}"), kind, &data).await;
        assert_eq!(answer.outcome(), "applied", "{kind}");
        assert_eq!(shop.state(&id).await, state, "{kind}");
    }
    let before = shop.world.record(&id).await;
    for (number, kind) in [(4, "payment.refunded"), (3, "payment.succeeded"), (1, "payment.failed")] {
        let again = shop.provider.send_as(&shop.rest, &format!("evt_{number}"), kind, &data).await;
        assert_eq!(again.outcome(), "applied", "{kind}, again");
    }
    assert_eq!(shop.tell("payment.started", &id, "pay_1").await, "ignored");
    assert_eq!(shop.world.record(&id).await, before);

    // The other way round: the refund has to wait for its payment, and what comes late is too late to matter.
    let id = shop.world.hold(&[second]).await?.booking_id;
    let early = shop.provider.send(&shop.rest, "payment.refunded", &id, "pay_2").await;
    early.refused_because(409, "FAILED_PRECONDITION", "ILLEGAL_TRANSITION");
    assert_eq!(shop.tell("payment.succeeded", &id, "pay_2").await, "applied");
    assert_eq!(shop.state(&id).await, "CONFIRMED");
    assert_eq!(shop.tell("payment.started", &id, "pay_2").await, "ignored");
    assert_eq!(shop.tell("payment.failed", &id, "pay_2").await, "ignored");
    assert_eq!(shop.state(&id).await, "CONFIRMED");
    assert_eq!(shop.tell("payment.refunded", &id, "pay_2").await, "applied");

    // All at once, many times.
    let id = shop.world.hold(&[third]).await?.booking_id;
    let storm = (0..40).map(async |n| {
        let kind = ["payment.started", "payment.succeeded"][n % 2];
        shop.provider.send(&shop.rest, kind, &id, "pay_3").await.status
    });
    for status in futures::future::join_all(storm).await {
        assert_eq!(status, 200);
    }
    assert_eq!(shop.world.record(&id).await.path(), ["HELD", "PAYMENT_PENDING", "CONFIRMED"]);
    shop.world.await_stock(&meal, Stock::new(10, 0, 3)).await;
    shop.world.assert_books_balance(&meal).await;
    shop.stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_nobody_can_have_goes_back() -> Outcome {
    let shop = Shop::open().await;
    let news = News::listen(&shop.stack).await;
    let meal = shop.meal(Duration::from_millis(400)).await;
    let id = shop.world.hold(&[units(&meal, 1)]).await?.booking_id;
    shop.world.await_state(&id, BookingState::Expired).await;
    for _ in 0..3 {
        assert_eq!(shop.tell("payment.succeeded", &id, "pay_1").await, "refund_due");
    }
    news.await_subjects(&id, &["booking.held", "booking.expired", "payment.refund_due"]).await;
    assert_eq!(shop.tell("payment.refunded", &id, "pay_1").await, "ignored");

    // A booking that is not there, and never will be.
    let nobodys = fresh_id();
    assert_eq!(shop.tell("payment.failed", &nobodys, "pay_2").await, "ignored");
    for _ in 0..3 {
        assert_eq!(shop.tell("payment.succeeded", &nobodys, "pay_2").await, "refund_due");
    }
    let heard = news.await_subjects(&nobodys, &["payment.refund_due"]).await;
    assert_eq!(heard.len(), 1);

    // A draft is no hold: the event is to come again, until the draft has come to its end.
    let draft = shop.world.draft(&[units(&meal, 1)]).await?.booking_id;
    let early = shop.provider.send(&shop.rest, "payment.succeeded", &draft, "pay_3").await;
    early.refused_because(409, "FAILED_PRECONDITION", "ILLEGAL_TRANSITION");
    shop.world.cancel(&draft).await?;
    assert_eq!(shop.tell("payment.succeeded", &draft, "pay_3").await, "refund_due");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_of_another_payment_leaves_the_booking_to_who_paid_for_it() -> Outcome {
    let shop = Shop::open().await;
    let meal = shop.meal(MINUTE).await;
    let id = shop.world.hold(&[units(&meal, 1)]).await?.booking_id;
    assert_eq!(shop.tell("payment.succeeded", &id, "pay_1").await, "applied");
    assert_eq!(shop.tell("payment.succeeded", &id, "pay_2").await, "refund_due");
    let before = shop.world.record(&id).await;
    for _ in 0..2 {
        assert_eq!(shop.tell("payment.refunded", &id, "pay_2").await, "ignored");
    }
    assert_eq!(shop.world.record(&id).await, before);
    assert_eq!(shop.state(&id).await, "CONFIRMED");
    shop.world.await_stock(&meal, Stock::new(10, 0, 1)).await;

    let nameless = json!({ "booking_id": id, "refund_id": "re_3" });
    let nameless = shop.provider.send_as(&shop.rest, "evt_3", "payment.refunded", &nameless).await;
    nameless.refused(400, "INVALID_ARGUMENT");
    assert_eq!(shop.tell("payment.refunded", &id, "pay_1").await, "applied");
    assert_eq!(shop.state(&id).await, "REFUNDED");
    assert_eq!(shop.tell("payment.refunded", &id, "pay_2").await, "ignored");
    shop.world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_under_a_name_that_was_used_before_is_not_dropped() -> Outcome {
    let shop = Shop::open().await;
    let meal = shop.meal(MINUTE).await;

    // A payment that others reported as failed.
    let id = shop.world.hold(&[units(&meal, 1)]).await?.booking_id;
    let payment = fresh_id();
    shop.world.start_payment(&id).await?;
    shop.world.complete(&id, &payment, false).await?;
    for _ in 0..2 {
        assert_eq!(shop.tell("payment.succeeded", &id, &payment).await, "applied");
        assert_eq!(shop.state(&id).await, "CONFIRMED");
    }
    assert_eq!(shop.tell("payment.refunded", &id, &payment).await, "applied");
    assert_eq!(shop.state(&id).await, "REFUNDED");

    // One that failed for one booking and took money for another pays for that one, and then for no other.
    let lines = [units(&meal, 1)];
    let [failed, paid] =
        [shop.world.hold(&lines).await?.booking_id, shop.world.hold(&lines).await?.booking_id];
    let payment = fresh_id();
    shop.world.start_payment(&failed).await?;
    shop.world.complete(&failed, &payment, false).await?;
    for _ in 0..2 {
        assert_eq!(shop.tell("payment.succeeded", &paid, &payment).await, "applied");
        assert_eq!(shop.tell("payment.succeeded", &failed, &payment).await, "claimed_twice");
    }
    assert_eq!([shop.state(&failed).await, shop.state(&paid).await], ["HELD", "CONFIRMED"]);
    assert_eq!(shop.tell("payment.refunded", &paid, &payment).await, "applied");
    assert_eq!(shop.state(&paid).await, "REFUNDED");

    // Money for no booking is told from what is not to be settled.
    for data in [json!({ "payment_id": "pay_1" }), json!({ "payment_id": "pay_1", "booking_id": "order-7" })]
    {
        let nobodys = shop.provider.send_as(&shop.rest, "evt_1", "payment.succeeded", &data).await;
        assert_eq!(nobodys.outcome(), "unclaimed");
    }
    let other = shop.provider.send_as(&shop.rest, "evt_2", "customer.created", &json!(null)).await;
    assert_eq!(other.outcome(), "ignored");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_payment_pays_for_one_booking_and_what_else_claims_it_is_for_somebody_to_look_at() -> Outcome {
    let shop = Shop::open().await;
    let meal = shop.meal(MINUTE).await;
    let lines = [units(&meal, 1)];
    let bookings = [shop.world.hold(&lines).await?.booking_id, shop.world.hold(&lines).await?.booking_id];

    // For both at once, many times.
    let storm = (0..20).map(async |n| shop.tell("payment.succeeded", &bookings[n % 2], "pay_1").await);
    let told = futures::future::join_all(storm).await;
    let mut states = [shop.state(&bookings[0]).await, shop.state(&bookings[1]).await];
    let (paid, other) = if states[0] == "CONFIRMED" { (0, 1) } else { (1, 0) };
    for (n, outcome) in told.iter().enumerate() {
        let wanted = if n % 2 == paid { "applied" } else { "claimed_twice" };
        assert_eq!(outcome, wanted, "{told:?}");
    }
    states.sort_unstable();
    assert_eq!(states, ["CONFIRMED", "HELD"]);

    // Nor does it pay for one that is gone, nor the other way: as PayBooking has it.
    let gone = shop.world.hold(&lines).await?.booking_id;
    shop.world.cancel(&gone).await?;
    for id in [&bookings[other], &gone] {
        let before = shop.world.record(id).await;
        assert_eq!(shop.tell("payment.succeeded", id, "pay_1").await, "claimed_twice");
        let payment = shop.world.get(&bookings[paid]).await?.payment_id;
        let refused = shop.world.pay_with(id, &payment, true).await.expect_err("it is the other's");
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused:?}");
        assert_eq!(api::reason_of(&refused), "ID_REUSED");
        assert_eq!(api::metadata_of(&refused)["used_for"], bookings[paid]);
        assert_eq!(shop.world.record(id).await, before);
    }
    let log = fs::read_to_string(shop.stack.reservation().log().expect("it has a log"))?;
    let says = |line: &str| line.contains("a payment that another booking has") && line.contains(&gone);
    assert!(log.lines().any(says), "the log says which");

    // It can still be paid for otherwise.
    assert_eq!(shop.tell("payment.succeeded", &bookings[other], "pay_2").await, "applied");
    shop.world.await_stock(&meal, Stock::new(10, 0, 2)).await;
    shop.world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_changes_nothing() -> Outcome {
    let mut shop = Shop::open().await;
    let meal = shop.meal(MINUTE).await;
    let id = shop.world.hold(&[units(&meal, 1)]).await?.booking_id;
    let before = shop.world.record(&id).await;
    let data = json!({ "booking_id": id, "payment_id": "pay_1" });
    let event = json!({ "id": "evt_1", "type": "payment.succeeded", "data": data }).to_string();

    for seconds in [now() - 310, now() + 310] {
        let stale = shop.provider.send_at(&shop.rest, seconds, &event).await;
        stale.refused(401, "UNAUTHENTICATED");
    }
    for signature in [None, Some("nonsense".to_owned()), Some(format!("t={},v1={}", now(), "0".repeat(64)))] {
        let request = Request::post("/v1/payments/webhook").header("content-type", "application/json");
        let request =
            signature.iter().fold(request, |request, text| request.header("webhook-signature", text));
        let request = request.body(Bytes::from(event.clone())).expect("a request");
        shop.rest.send(request).await.refused(401, "UNAUTHENTICATED");
    }
    let large = json!({ "id": "x".repeat(70_000) }).to_string();
    shop.provider.send_at(&shop.rest, now(), &large).await.refused(413, "INVALID_ARGUMENT");
    shop.provider.send_at(&shop.rest, now(), "{").await.refused(400, "INVALID_ARGUMENT");
    let get = shop.rest.get("/v1/payments/webhook").await;
    get.refused(405, "UNIMPLEMENTED");
    assert_eq!(get.headers["allow"], "POST");

    // Two secrets while it is being changed, and then the new one alone.
    shop.provider.agree(&["the-first-secret-of-it", "the-second-secret-of-it"]);
    shop.provider.secret = "the-second-secret-of-it".to_owned();
    eventually("the new secret is good", PATIENCE, async || {
        let status = shop.provider.send(&shop.rest, "customer.created", "", "").await.status;
        when(status == 200, status)
    })
    .await;
    shop.provider.agree(&["the-second-secret-of-it"]);
    shop.provider.secret = "the-first-secret-of-it".to_owned();
    eventually("the old secret is not good any more", PATIENCE, async || {
        let status = shop.provider.send(&shop.rest, "customer.created", "", "").await.status;
        when(status == 401, status)
    })
    .await;
    assert_eq!(shop.world.record(&id).await, before);
    shop.provider.secret = "the-second-secret-of-it".to_owned();
    assert_eq!(shop.tell("payment.succeeded", &id, "pay_1").await, "applied");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_finds_a_part_away_is_to_come_again() -> Outcome {
    let shop = Shop::open().await;
    let meal = shop.meal(MINUTE).await;
    let id = shop.world.hold(&[units(&meal, 1)]).await?.booking_id;
    block_in_place(|| shop.stack.postgres().stop(Shutdown::Fast));
    let away = shop.provider.send(&shop.rest, "payment.succeeded", &id, "pay_1").await;
    away.refused_because(503, "UNAVAILABLE", "UNAVAILABLE");
    assert!(away.headers.contains_key("retry-after"));
    block_in_place(|| shop.stack.postgres().restart()).expect("it starts again");
    eventually("it is applied", PATIENCE, async || {
        let status = shop.provider.send(&shop.rest, "payment.succeeded", &id, "pay_1").await.status;
        when(status == 200, status)
    })
    .await;
    assert_eq!(shop.state(&id).await, "CONFIRMED");
    Ok(())
}

#[tokio::test]
async fn without_secrets_there_is_no_webhook() {
    let rest = Rest::shared();
    rest.post("/v1/payments/webhook", &json!({})).await.refused(404, "NOT_FOUND");
    let description = shared().reservation().get("/openapi.json").expect("it answers").body;
    assert!(!description.contains("/v1/payments/webhook"));
}

/// The commands of docs/payments.md, as they are printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_about_payments_shows_what_works() -> Outcome {
    let shop = Shop::open().await;
    let description = shop.stack.reservation().get("/openapi.json").expect("it answers").body;
    assert!(description.contains("/v1/payments/webhook") && description.contains("webhook-signature"));
    let meal = shop.meal(MINUTE).await;
    let id = shop.world.hold(&[units(&meal, 1)]).await?.booking_id;
    let page = repository_text("docs/payments.md");
    let commands = page.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let commands = commands
        .replace("http://127.0.0.1:8082", &shop.stack.reservation().http_url())
        .replace("b0000000-0000-4000-8000-000000000001", &id)
        .replace("a-secret-of-the-provider", &shop.provider.secret);
    let script = env::temp_dir().join(format!("payments-{id}.sh"));
    fs::write(&script, commands)?;
    let said = Command::new("bash").arg(&script).output()?;
    fs::remove_file(&script)?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(text.contains(r#"{"outcome":"applied"}"#), "{text} {}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(shop.state(&id).await, "CONFIRMED");
    Ok(())
}
