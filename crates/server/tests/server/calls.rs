//! What every call passes: deadlines, panics, admission, counting; and where calls go.

use std::time::Duration;

use http::uri::PathAndQuery;
use server::Channel;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Code, Request, Status};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::running::{MAX_CALLS, PATIENCE, Running, call, check, end, get, start};

#[tokio::test]
async fn a_call_ends_with_its_deadline() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let error = call(channel, "/test.Test/Hang", Some(Duration::from_millis(500))).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    end(running).await;
}

#[tokio::test]
async fn a_call_ends_with_the_timeout_of_its_channel() {
    let running = start().await;
    let channel = server::channel(&running.url, Duration::from_millis(100)).unwrap();
    let error = call(channel, "/test.Test/Hang", None).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    end(running).await;
}

#[tokio::test]
async fn a_panic_fails_one_call_and_the_server_goes_on() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let error = call(channel.clone(), "/test.Test/Panic", None).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Internal, api::internal().message()));
    running.answer.send_replace(true);
    call(channel, "/test.Test/Wait", None).await.unwrap();
    end(running).await;
}

/// Whoever called cannot help it, and does not know what was done.
#[tokio::test]
async fn a_defect_of_ours_is_not_blamed_on_the_caller() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let error = call(channel, "/test.Test/Fail", None).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Internal, api::internal().message()));
    end(running).await;
}

/// INTERNAL is for defects of ours.
#[tokio::test]
async fn a_request_that_cannot_be_read_is_the_callers_mistake() {
    let running = start().await;
    let codec = tonic_prost::ProstCodec::<prost_types::Duration, ()>::default();
    let mut client = tonic::client::Grpc::new(server::channel(&running.url, PATIENCE).unwrap());
    client.ready().await.unwrap();
    // Its seconds stand where the name of a service, a text, is expected.
    let request = Request::new(prost_types::Duration { seconds: 7, nanos: 0 });
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let error = client.unary(request, path, codec).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    end(running).await;
}

#[tokio::test]
async fn a_call_is_counted_by_its_method_and_code() {
    let running = start().await;
    check(&running, "").await.unwrap();
    check(&running, "no.Such").await.unwrap_err();
    let metrics = get(&running, "/metrics").await;
    for code in ["OK", "NOT_FOUND"] {
        let labels = format!("{{code=\"{code}\",rpc_method=\"grpc.health.v1.Health/Check\"}}");
        assert!(
            metrics.contains(&format!("holdfast_rpc_server_duration_seconds_count{labels}")),
            "{metrics}"
        );
    }
    assert!(metrics.contains("holdfast_rpc_server_duration_seconds_bucket{code=\"OK\""), "{metrics}");
    assert!(metrics.contains(r#"le="0.001""#), "{metrics}");
    end(running).await;
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let error = call(channel, "/no.Such/Method", None).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    end(running).await;
}

#[tokio::test]
async fn a_service_that_is_away_is_unavailable() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let channel = server::channel(&format!("http://{nobody}"), PATIENCE).unwrap();
    let error = call(channel, "/test.Test/Wait", None).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}

/// Calls that wait until the server is told to answer; there is no place for another.
async fn as_many_as_it_takes(running: &Running, channel: &Channel) -> Vec<JoinHandle<Result<(), Status>>> {
    let mut waiting = Vec::new();
    for _ in 0..MAX_CALLS {
        waiting.push(tokio::spawn(call(channel.clone(), "/test.Test/Wait", None)));
        running.arrived.notified().await;
    }
    waiting
}

#[tokio::test]
async fn one_call_too_many_is_refused_at_once_and_the_services_and_health_are_not() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let waiting = as_many_as_it_takes(&running, &channel).await;
    let refused = call(channel.clone(), "/test.Test/Wait", None).await.unwrap_err();
    assert_eq!((refused.code(), &*api::reason_of(&refused)), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(api::retry_delay_of(&refused).is_some());
    assert_eq!(check(&running, "").await.unwrap(), ServingStatus::Serving);
    let internal = tokio::spawn(call(channel.clone(), "/test.Internal/Wait", None));
    running.arrived.notified().await;

    running.answer.send_replace(true);
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    internal.await.unwrap().unwrap();
    call(channel, "/test.Test/Wait", None).await.unwrap();
    end(running).await;
}
