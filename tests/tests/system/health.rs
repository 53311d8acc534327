//! Health: whoever watches the services can tell whether to send them calls.

use stack::Service;
use system_tests::{Outcome, PATIENCE, eventually, shared, when};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const SERVICES: [&str; 4] = [
    "holdfast.catalog.v1.CatalogService",
    "holdfast.catalog.v1.HoldService",
    "holdfast.reservation.v1.BookingService",
    "holdfast.reservation.v1.SettlementService",
];

/// What a service's gRPC health says about a name.
pub(crate) async fn check(service: &Service, name: &str) -> Result<ServingStatus, tonic::Status> {
    let channel = Endpoint::from_shared(service.url()).expect("its URL is valid").connect_lazy();
    let request = HealthCheckRequest { service: name.to_owned() };
    Ok(HealthClient::new(channel).check(request).await?.into_inner().status())
}

#[tokio::test]
async fn grpc_health_knows_the_process_and_each_of_its_services() -> Outcome {
    for (service, own) in [(shared().catalog(), 0..2), (shared().reservation(), 2..4)] {
        assert_eq!(check(service, "").await?, ServingStatus::Serving);
        for (n, name) in SERVICES.iter().enumerate() {
            if own.contains(&n) {
                assert_eq!(check(service, name).await?, ServingStatus::Serving, "{name}");
            } else {
                let unknown = check(service, name).await.expect_err("it is another's");
                assert_eq!(unknown.code(), Code::NotFound);
            }
        }
    }
    Ok(())
}

#[test]
fn http_tells_liveness_readiness_and_metrics_of_every_process() {
    for service in shared().services() {
        assert_eq!(service.get("/livez").expect("it answers").status, 200);
        let ready = service.get("/readyz").expect("it answers");
        assert_eq!(ready.status, 200, "{}", ready.body);
        assert!(ready.body.contains("\"broker\"") || ready.body.contains("\"database\""), "{}", ready.body);
        let metrics = service.get("/metrics").expect("it answers");
        assert!(metrics.body.contains("holdfast_part_up"), "{}", metrics.body);
    }
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() -> Outcome {
    let world = system_tests::World::shared();
    let id = system_tests::fresh_id();
    assert!(world.get(&id).await.is_err());
    eventually("the call is in the metrics", PATIENCE, async || {
        let metrics = shared().reservation().get("/metrics").expect("it answers").body;
        let of_method: Vec<_> =
            metrics.lines().filter(|line| line.contains("GetBooking")).map(str::to_owned).collect();
        let counted = of_method.iter().any(|line| line.contains("NOT_FOUND"));
        when(counted, of_method)
    })
    .await;
    Ok(())
}
