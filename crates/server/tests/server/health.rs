//! Health over gRPC and HTTP, and reflection.

use http::Request;
use server::{Access, Admission, Calls, Health, PartState, Services, Snapshot};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, body::Body};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

use crate::running::{PATIENCE, SERVICE, check, end, get, start};

#[tokio::test]
async fn readiness_follows_the_required_parts_and_liveness_does_not() {
    let running = start().await;
    assert_eq!(check(&running, SERVICE).await.unwrap(), ServingStatus::NotServing);
    assert_eq!(check(&running, "").await.unwrap(), ServingStatus::Serving);
    assert_eq!(check(&running, "no.Such").await.unwrap_err().code(), Code::NotFound);
    let unready = get(&running, "/readyz").await;
    assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");

    running.health.set("database", PartState::Up);
    running.health.set("broker", PartState::Down("connection refused".to_owned()));
    assert_eq!(check(&running, SERVICE).await.unwrap(), ServingStatus::Serving);
    let ready = get(&running, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(ready.contains(r#""database":{"required":true,"state":"up"}"#), "{ready}");
    assert!(ready.contains(r#""reason":"connection refused""#), "{ready}");
    assert!(get(&running, "/livez").await.starts_with("HTTP/1.1 200"));
    assert!(get(&running, "/metrics").await.starts_with("HTTP/1.1 200"));
    end(running).await;
}

/// What becomes ready first is believed: REST comes over another port, which is open from the start.
#[tokio::test]
async fn a_process_that_says_that_it_is_ready_takes_calls() {
    let (health, calls, stop) = (Health::new(&[SERVICE]), Calls::default(), CancellationToken::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert!(!health.is_ready());
    let mut changes = health.subscribe();
    let admission = Admission::new(1, &[]);
    let serving = server::serve(
        listener,
        Services::new(),
        health,
        admission,
        Access::open(),
        calls.clone(),
        stop.clone(),
    );
    let serving = tokio::spawn(serving);
    changes.wait_for(Snapshot::is_ready).await.unwrap();
    let answer = calls.call(Request::post("/test.Test/Call").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers()["grpc-status"], "12", "there is no such service, and that is all");
    stop.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_watched_health_tells_each_change_and_ends_with_the_process() {
    let running = start().await;
    let mut client = HealthClient::new(server::channel(&running.url, PATIENCE).unwrap());
    let request = HealthCheckRequest { service: SERVICE.to_owned() };
    let mut statuses = client.watch(request).await.unwrap().into_inner();
    let expect = |status: ServingStatus| Some(HealthCheckResponse { status: status.into() });
    assert_eq!(statuses.message().await.unwrap(), expect(ServingStatus::NotServing));
    running.health.set("database", PartState::Up);
    assert_eq!(statuses.message().await.unwrap(), expect(ServingStatus::Serving));
    running.stop.cancel();
    assert_eq!(statuses.message().await.unwrap(), expect(ServingStatus::NotServing));
    assert_eq!(statuses.message().await.unwrap(), None);
    end(running).await;
}

#[tokio::test]
async fn no_name_is_so_long_that_calls_that_stay_open_take_much_memory() {
    use tonic_reflection::pb::v1;

    let running = start().await;
    let (channel, long) = (server::channel(&running.url, PATIENCE).unwrap(), "x".repeat(16 << 10));
    let mut client = HealthClient::new(channel.clone());
    let refused = client.watch(HealthCheckRequest { service: long.clone() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    let ask = v1::ServerReflectionRequest {
        host: long,
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await.unwrap();
    assert_eq!(answers.into_inner().message().await.unwrap(), None, "it is not read");
    end(running).await;
}

#[tokio::test]
async fn reflection_lists_what_is_served_in_both_versions() {
    use tonic_reflection::pb::{v1, v1alpha};

    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let ask = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert_eq!(names, [SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]);

    let ask = v1alpha::ServerReflectionRequest {
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
            SERVICE.to_owned(),
        )),
        ..Default::default()
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    assert!(matches!(
        answer,
        v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_)
    ));
    end(running).await;
}
