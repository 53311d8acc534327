//! Arbitrary requests: what is sent, and what no answer may be.
//!
//! Everything comes from the descriptors, so a new RPC is called, and a new field is filled, without anyone's doing. A
//! seed decides what is sent, but for ids, which come out of the answers.

mod answer;
mod call;
mod frames;
mod messages;
mod targets;
mod values;
mod vitals;
mod wire;

pub use answer::{Tally, Verdict};
pub use call::{Sent, call, call_as};
pub use frames::{frame, raw_bytes};
pub use messages::{message, text};
pub use targets::{Method, Target, targets};
pub use values::Lore;
pub use vitals::Vitals;
pub use wire::damaged;
