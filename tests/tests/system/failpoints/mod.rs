//! The walk over all failpoints (docs/failpoints.md): at each step of everything a process dies or fails, and once all is
//! quiet again the invariants hold and nothing that was acknowledged, timed or to be told is lost.
//!
//! Needs services with failpoints: `cargo build --workspace --all-targets --features failpoints`.

mod between_commits;
mod changes;
mod lives;
mod migrations;
mod refused;
mod steps;
mod unswept;
mod verdicts;

use failpoint::Step;

#[test]
fn every_step_is_walked() {
    let walks =
        [changes::is_walked_here, migrations::is_walked_here, refused::is_walked_here, steps::is_walked_here];
    let unswept = [unswept::is_walked_here, verdicts::is_walked_here];
    let elsewhere = [crate::poison::is_walked_here, crate::restore::is_walked_here];
    for step in Step::ALL {
        let is_walked =
            walks.iter().chain(&unswept).chain(&elsewhere).any(|is_walked_here| is_walked_here(*step));
        assert!(is_walked, "{}", step.name());
    }
}
