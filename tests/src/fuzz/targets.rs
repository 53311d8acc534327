//! What there is to call: every method of every service that a process lists.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::transport::{Channel, Endpoint};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// The connections to each process.
const CONNECTIONS: usize = 4;

/// A process and what it serves.
#[derive(Clone, Debug)]
pub struct Target {
    /// Connections to it.
    pub channels: Vec<Channel>,
    /// Its methods.
    pub methods: Vec<Method>,
}

/// A method.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its types.
    pub descriptor: MethodDescriptor,
    /// `/package.Service/Method`
    pub path: String,
}

/// The processes behind these URLs, with everything that they list; panics when a service of the API is nowhere, or one is
/// listed whose types nobody knows.
pub async fn targets(urls: &[String]) -> Vec<Target> {
    let pool = pool();
    let mut missing: BTreeSet<String> = pool
        .services()
        .filter(|service| service.full_name().starts_with("holdfast."))
        .map(|service| service.full_name().to_owned())
        .collect();
    let mut targets = Vec::new();
    for url in urls {
        let endpoint = Endpoint::from_shared(url.clone()).expect("a URL").tcp_nodelay(true);
        let channels: Vec<_> = (0..CONNECTIONS).map(|_| endpoint.connect_lazy()).collect();
        let mut methods = Vec::new();
        for name in listed(channels[0].clone()).await {
            missing.remove(&name);
            let service = pool.get_service_by_name(&name);
            let service = service.unwrap_or_else(|| panic!("nobody knows the types of {name}"));
            methods.extend(
                service
                    .methods()
                    .map(|descriptor| Method { path: format!("/{name}/{}", descriptor.name()), descriptor }),
            );
        }
        targets.push(Target { channels, methods });
    }
    assert!(missing.is_empty(), "served by nobody: {missing:?}");
    targets
}

/// The types of the API, of health and of reflection.
fn pool() -> DescriptorPool {
    let mut pool = DescriptorPool::new();
    for set in [
        proto::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ] {
        pool.decode_file_descriptor_set(set).expect("a descriptor set");
    }
    pool
}

/// The services that reflection lists, and the older reflection, which does not list itself.
async fn listed(channel: Channel) -> Vec<String> {
    let ask = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let answers =
        ServerReflectionClient::new(channel).server_reflection_info(futures::stream::iter([ask])).await;
    let answer = answers.expect("it has reflection").into_inner().message().await.expect("it answers");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.and_then(|answer| answer.message_response)
    else {
        panic!("reflection lists nothing")
    };
    let names = list.service.into_iter().map(|service| service.name);
    names.chain(["grpc.reflection.v1alpha.ServerReflection".to_owned()]).collect()
}
