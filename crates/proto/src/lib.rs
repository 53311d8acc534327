//! The protobuf messages and gRPC services, generated from `proto/` at build time. Owns nothing else: no conversions.

mod codec;

/// Everything in `proto/` as an encoded `google.protobuf.FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[expect(
    missing_docs,
    unreachable_pub,
    reason = "generated: items carry the comments of their protos, where they have one"
)]
#[allow(clippy::allow_attributes, clippy::all, clippy::pedantic, reason = "generated code")]
mod generated {
    pub mod holdfast {
        pub mod api {
            pub mod v1 {
                tonic::include_proto!("holdfast.api.v1");
            }
        }
        pub mod audit {
            pub mod v1 {
                tonic::include_proto!("holdfast.audit.v1");
            }
        }
        pub mod catalog {
            pub mod v1 {
                tonic::include_proto!("holdfast.catalog.v1");
            }
        }
        pub mod reservation {
            pub mod v1 {
                tonic::include_proto!("holdfast.reservation.v1");
            }
        }
        pub mod events {
            pub mod v1 {
                tonic::include_proto!("holdfast.events.v1");
            }
        }
    }
}

pub use generated::holdfast::{
    api::v1 as api, audit::v1 as audit, catalog::v1 as catalog, events::v1 as events,
    reservation::v1 as reservation,
};
