//! Who is calling, and what they may call: bearer tokens (JWT) checked against the keys of their issuer, and one table that says
//! which role may call which RPC.
//!
//! Pure, apart from where the keys come from (`source`) and when they are fetched (`follow`). Knows neither gRPC nor HTTP
//! servers: `crates/server` asks it about every call. Owns no rule on whose booking is whose. Decisions: `docs/adr/0013`.

mod algorithm;
mod authority;
mod claims;
mod config;
mod follow;
mod jwk;
mod jws;
mod metrics;
mod refusal;
mod remembered;
mod role;
mod source;
mod table;

pub use algorithm::Algorithm;
pub use authority::{Authority, Known};
pub use config::{AuthConfig, Mode};
pub use refusal::Refusal;
pub use role::Role;
pub use table::{Access, access, entries};
