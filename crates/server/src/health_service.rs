//! gRPC health (`grpc.health.v1`): "" is liveness, each service's name is readiness.
//!
//! Not tonic-health's own service: its `Watch` streams never end, and would hold up every drain to its limit.

use std::pin::Pin;

use futures::{Stream, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};

use crate::{Health, Snapshot};

pub(crate) struct HealthService {
    health: Health,
}

impl HealthService {
    pub(crate) fn new(health: Health) -> Self {
        Self { health }
    }

    /// What a name asks about; `None` for a service that this process does not serve.
    fn subject(&self, service: &str) -> Option<Subject> {
        match service {
            "" => Some(Subject::Liveness),
            name if self.health.services().contains(&name) => Some(Subject::Readiness),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
enum Subject {
    Liveness,
    Readiness,
}

fn status(subject: Option<Subject>, snapshot: &Snapshot) -> ServingStatus {
    match subject {
        Some(Subject::Liveness) => ServingStatus::Serving,
        Some(Subject::Readiness) if snapshot.is_ready() => ServingStatus::Serving,
        Some(Subject::Readiness) => ServingStatus::NotServing,
        None => ServingStatus::ServiceUnknown,
    }
}

#[tonic::async_trait]
impl health_server::Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let subject = self.subject(&request.get_ref().service);
        if subject.is_none() {
            return Err(Status::not_found("no such service here"));
        }
        let status = status(subject, &self.health.snapshot()).into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    /// Sends the status now and whenever it changes; ends when the process drains.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let subject = self.subject(&request.get_ref().service);
        let mut changes = self.health.subscribe();
        changes.mark_changed();
        let statuses = stream::unfold((changes, None), move |(mut changes, sent)| async move {
            loop {
                if changes.borrow().draining && sent.is_some() {
                    return None;
                }
                changes.changed().await.ok()?;
                let current = status(subject, &changes.borrow_and_update());
                if sent != Some(current) {
                    let response = HealthCheckResponse { status: current.into() };
                    return Some((Ok(response), (changes, Some(current))));
                }
            }
        });
        Ok(Response::new(Box::pin(statuses)))
    }
}
