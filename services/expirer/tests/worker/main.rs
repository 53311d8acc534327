//! The expirer between a real RabbitMQ node, which it starts itself, and services that do as they are told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod services;

use std::{collections::BTreeSet, time::Duration};

use amqp::{Message, Route, topology};
use proto::catalog::HoldKey;
use time::Duration as Span;
use tonic::Code;

use crate::bench::{Bench, SECOND};

/// The clock of the services is far off, and nobody is asked about before the deadline by that clock.
#[tokio::test(flavor = "multi_thread")]
async fn holds_are_released_at_their_deadline_by_the_clock_of_the_database() {
    for offset in [Span::minutes(-3), Span::ZERO, Span::hours(1)] {
        let bench = Bench::new(offset).await;
        let timers = [bench.hold(700), bench.hold(300), bench.hold(300)];
        bench.publish(&[Message::timer(Route::Due, &timers, None)]).await;
        let settled = bench.settled(3).await;
        for timer in &timers {
            let (_, at) = settled.iter().find(|(key, _)| *key == timer.key).unwrap();
            let lag = *at - timer.expires_at;
            // By any other clock it would be minutes or an hour.
            assert!((Span::ZERO..Span::MINUTE).contains(&lag), "{lag} after the deadline");
        }
        assert_eq!(bench.services.questions_too_early(), 0);
        bench.stop().await;
        assert!(bench.is_empty(topology::DUE).await);
    }
}

/// Extended meanwhile: the message is acknowledged, and a fresh one waits in a lane.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_not_due_for_long_is_parked_again() {
    let bench = Bench::new(Span::ZERO).await;
    let timer = bench.hold(100);
    bench.services.extend(&timer.key, Span::seconds(100));
    bench.publish(&[Message::timer(Route::Due, std::slice::from_ref(&timer), None)]).await;
    bench.until_filled(&topology::lane(64 * SECOND)).await;
    bench.stop().await;
    assert!(bench.is_empty(topology::DUE).await);
    assert_eq!(bench.services.settled().len(), 0);
}

/// Extended by little, however late the first question comes: it is waited for here.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_due_in_a_moment_is_asked_about_again() {
    let bench = Bench::new(Span::ZERO).await;
    let timer = bench.hold(100);
    bench.services.extend_when_asked(&timer.key, Span::milliseconds(400));
    bench.publish(&[Message::timer(Route::Due, std::slice::from_ref(&timer), None)]).await;
    let (_, at) = bench.settled(1).await[0];
    assert!(at >= bench.services.deadline(&timer.key));
    assert!(bench.services.questions_about(&timer.key) >= 2);
    bench.stop().await;
    assert!(bench.is_empty(topology::DUE).await);
}

/// However long it takes: nothing is put aside because somebody is away, is of another version, or may not be called.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_out() {
    for code in [Code::Unavailable, Code::Unimplemented, Code::PermissionDenied, Code::Unauthenticated] {
        let bench = Bench::new(Span::ZERO).await;
        bench.services.set_away(Some(code));
        let timer = bench.hold(50);
        bench.publish(&[Message::timer(Route::Due, std::slice::from_ref(&timer), None)]).await;
        bench.until(|services| services.questions_about(&timer.key) > 6).await;
        bench.services.set_away(None);
        bench.settled(1).await;
        bench.stop().await;
        assert!(bench.is_empty(topology::DUE).await && bench.is_empty(topology::PARKED).await);
    }
}

/// The whole is refused, and then somebody is away: nothing is learnt from asking about the other half too.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_is_not_asked_about_the_rest() {
    let bench = Bench::new(Span::ZERO).await;
    bench.services.set_away_below(40);
    let deadline = bench.hold(100).expires_at;
    let timers: Vec<_> = (0..40).map(|_| amqp::Timer { expires_at: deadline, ..bench.hold(100) }).collect();
    bench.services.refuse(&timers[7].key);
    bench.publish(&[Message::timer(Route::Due, &timers, None)]).await;
    bench.until(|services| services.sizes().len() >= 6).await;
    assert_eq!(bench.services.sizes()[..6], [40, 20, 40, 20, 40, 20]);
    bench.services.set_away_below(0);
    bench.settled(39).await;
    bench.stop().await;
}

/// A question that is refused is put aside after some tries, and those that were asked with it are settled.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_put_aside_and_harms_no_other() {
    let bench = Bench::new(Span::ZERO).await;
    let (good, bad) = (bench.hold(200), bench.hold(200));
    bench.services.refuse(&bad.key);
    let messages = [&good, &bad].map(|timer| Message::timer(Route::Due, std::slice::from_ref(timer), None));
    bench.publish(&messages).await;
    bench.until_filled(topology::PARKED).await;
    assert_eq!(bench.settled(1).await[0].0, good.key);
    bench.stop().await;
    assert!(bench.is_empty(topology::DUE).await);
}

/// What still waits goes back at once; what is being settled is finished.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_stop_finishes_what_has_begun_and_gives_back_the_rest() {
    let bench = Bench::new(Span::ZERO).await;
    bench.services.set_delay(Duration::from_millis(1_500));
    let (begun, waiting) = (bench.hold(50), bench.hold(950));
    let messages =
        [&begun, &waiting].map(|timer| Message::timer(Route::Due, std::slice::from_ref(timer), None));
    bench.publish(&messages).await;
    bench.until(|services| services.questions_about(&begun.key) > 0).await;
    bench.stop().await;
    let settled = bench.services.settled();
    assert_eq!(settled.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&begun.key]);
    let back = bench.take(topology::DUE).await;
    assert_eq!(back, amqp_body(&waiting));
    assert!(bench.is_empty(topology::DUE).await);
}

/// No message tells of these.
#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_settles_what_is_overdue_and_puts_off_what_is_not_due() {
    let bench = Bench::new(Span::ZERO).await;
    let (over, extended) = (bench.hold(-5_000), bench.hold(-5_000));
    bench.services.extend(&extended.key, Span::minutes(10));
    bench.services.set_overdue(&[over.key.clone(), extended.key.clone()]);
    assert_eq!(bench.settled(1).await[0].0, over.key);
    bench.until(|services| services.put_off(&extended.key).is_some()).await;
    let put_off = bench.services.put_off(&extended.key).unwrap();
    assert!(put_off > Span::seconds(590) && put_off < Span::seconds(600), "{put_off}");
    bench.stop().await;
}

/// They are asked about together; the one that is refused fails the question, and then itself alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_refused_does_not_keep_the_sweep_from_settling_its_neighbours() {
    let bench = Bench::new(Span::ZERO).await;
    let holds: Vec<_> = (0..7).map(|_| bench.hold(-5_000)).collect();
    let bad = &holds[3].key;
    bench.services.refuse(bad);
    bench.services.set_overdue(&holds.iter().map(|hold| hold.key.clone()).collect::<Vec<_>>());
    let mut settled: Vec<_> = bench.settled(6).await.into_iter().map(|(key, _)| key.booking_id).collect();
    settled.sort_unstable();
    let mut good: Vec<_> = holds
        .iter()
        .map(|hold| &hold.key)
        .filter(|key| *key != bad)
        .map(|key| key.booking_id.clone())
        .collect();
    good.sort_unstable();
    assert_eq!(settled, good);
    // It is asked about again with every sweep, and so is whatever comes to be overdue beside it.
    let later = bench.hold(-5_000);
    bench.services.set_overdue(&[bad.clone(), later.key.clone()]);
    assert_eq!(bench.settled(7).await[6].0, later.key);
    bench.stop().await;
}

/// More than a page of 500 is refused, and stays the most overdue; more than a page of others is behind.
#[tokio::test(flavor = "multi_thread")]
async fn holds_that_are_refused_do_not_keep_the_sweep_from_the_pages_behind_them() {
    let bench = Bench::new(Span::ZERO).await;
    let keys: Vec<_> = (0..1_200).map(|_| bench.hold(-5_000).key).collect();
    let (bad, good) = keys.split_at(600);
    for key in bad {
        bench.services.refuse(key);
    }
    bench.services.set_overdue(&keys);
    let settled = bench.settled(600).await;
    let names = |key: &HoldKey| key.booking_id.clone();
    let settled: BTreeSet<_> = settled.iter().map(|(key, _)| names(key)).collect();
    assert_eq!(settled, good.iter().map(names).collect());
    bench.stop().await;
}

fn amqp_body(timer: &amqp::Timer) -> Vec<u8> {
    use prost::Message as _;
    let hold = proto::events::HoldTimer {
        key: Some(timer.key.clone()),
        expire_time: Some(api::time::to_timestamp(timer.expires_at)),
    };
    proto::events::HoldsPlaced { holds: vec![hold] }.encode_to_vec()
}
