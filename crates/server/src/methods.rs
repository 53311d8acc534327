//! The label of each method by its path. Anything else shares one label: callers must not be able to make new ones.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use opentelemetry::{KeyValue, StringValue};
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Each shares its text: it is cloned with every call.
static METHODS: LazyLock<HashMap<String, KeyValue>> = LazyLock::new(|| {
    [proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET]
        .into_iter()
        .map(|set| FileDescriptorSet::decode(set).expect("what protox wrote is a descriptor set"))
        .flat_map(|set| set.file)
        .flat_map(|file| {
            let package = file.package().to_owned();
            file.service.into_iter().map(move |service| (package.clone(), service))
        })
        .flat_map(|(package, service)| {
            let name = format!("{package}.{}", service.name());
            service.method.into_iter().map(move |method| format!("{name}/{}", method.name()))
        })
        .map(|method| (format!("/{method}"), labelled(&method)))
        .collect()
});

static OTHER: LazyLock<KeyValue> = LazyLock::new(|| labelled("other"));

fn labelled(method: &str) -> KeyValue {
    KeyValue::new("rpc_method", StringValue::from(Arc::<str>::from(method)))
}

/// The label of the method with this path.
pub(crate) fn label(path: &str) -> KeyValue {
    METHODS.get(path).unwrap_or(&OTHER).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_the_api_have_labels_and_nothing_else_makes_one() {
        let value = |path| label(path).value.as_str().into_owned();
        let get_product = "holdfast.catalog.v1.CatalogService/GetProduct";
        assert_eq!(value("/holdfast.catalog.v1.CatalogService/GetProduct"), get_product);
        assert_eq!(value("/grpc.health.v1.Health/Check"), "grpc.health.v1.Health/Check");
        assert_eq!(value("/no.Such/Method"), "other");
    }
}
