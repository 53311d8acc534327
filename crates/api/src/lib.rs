//! What both services say to clients, and how they read what clients say: rich errors, field checks, field masks,
//! page tokens, times. Holds no rule of the business and touches neither database nor network.

pub mod audit;
pub mod content;
pub mod details;
pub mod field;
pub mod mask;
pub mod page;
pub mod time;

mod refusal;
mod violations;

pub use details::{fields_of, is_outage, metadata_of, reason_of, retry_delay_of};
pub use refusal::{
    DOMAIN, code_name, internal, is_internal, overloaded, rate_limited, reason_name, refusal, unavailable,
};
pub use violations::{Violation, Violations};
