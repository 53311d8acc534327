//! The walk over all failpoints (docs/failpoints.md): at each step of everything a process dies or fails, and once all is
//! quiet again the invariants hold and nothing that was acknowledged is lost.
//!
//! Needs services with failpoints: `cargo build --workspace --all-targets --features failpoints`.

mod between_commits;
mod changes;
mod lives;
mod migrations;
mod refused;
mod steps;
