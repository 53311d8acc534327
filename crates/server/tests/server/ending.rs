//! The way out: calls in flight, dead background jobs, and what holds it up.

use server::{Jobs, PartState};
use tokio_util::sync::CancellationToken;

use crate::running::{PATIENCE, call, end, get, start};

#[tokio::test]
async fn a_call_in_flight_is_answered_before_the_process_ends() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let in_flight = tokio::spawn(call(channel, "/test.Test/Wait", None));
    running.arrived.notified().await;
    running.stop.cancel();
    let mut changes = running.health.subscribe();
    changes.wait_for(|snapshot| snapshot.draining).await.unwrap();
    running.answer.send_replace(true);
    in_flight.await.unwrap().unwrap();
    end(running).await;
}

/// The calls in flight are answered; then the process ends with an error, for somebody to start it anew.
#[tokio::test]
async fn a_background_job_that_dies_drains_the_process() {
    let running = start().await;
    running.health.set("database", PartState::Up);
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let in_flight = tokio::spawn(call(channel, "/test.Test/Wait", None));
    running.arrived.notified().await;
    let (jobs, until) = (Jobs::new(&running.health, &running.stop), CancellationToken::new());
    jobs.spawn("relay", &until, async { panic!("on purpose") });
    let mut changes = running.health.subscribe();
    changes.wait_for(|snapshot| snapshot.draining).await.unwrap();
    assert!(get(&running, "/readyz").await.starts_with("HTTP/1.1 503"));
    running.answer.send_replace(true);
    in_flight.await.unwrap().unwrap();
    end(running).await;
    assert!(jobs.finish().await.unwrap_err().to_string().contains("relay"));
}

#[tokio::test]
async fn a_drain_that_a_call_holds_up_ends_at_its_limit_and_says_so() {
    let running = start().await;
    // A stream is not limited by its deadline once its response has begun.
    let (sender, requests) = futures::channel::mpsc::unbounded();
    let first = tonic_reflection::pb::v1::ServerReflectionRequest {
        message_request: Some(
            tonic_reflection::pb::v1::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
        ..Default::default()
    };
    sender.unbounded_send(first).unwrap();
    // The channel of the services reads requests whole: this one is tonic's own.
    let direct = tonic::transport::Endpoint::from_shared(running.url.clone()).unwrap().connect_lazy();
    let mut streaming =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(direct);
    let mut answers = streaming.server_reflection_info(requests).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    running.stop.cancel();
    let error = tokio::time::timeout(PATIENCE, running.served).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("still in flight"), "{error:#}");
    drop(sender);
}
