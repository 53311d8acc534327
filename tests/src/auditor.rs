//! The audit as operators run it: a program with an exit status.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::World;

/// What the program said.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Its exit status: 0 sound, 1 a rule is broken, 2 nothing can be said.
    pub status: Option<i32>,
    /// Its report; null if there is none.
    pub report: Value,
    /// Its complaints.
    pub errors: String,
}

/// Runs the program on a stack, with further arguments, and waits for its end.
#[must_use]
pub fn audit_program(world: &World, arguments: &[&str]) -> Verdict {
    let options = world.audit_options();
    let program = stack::binary("audit").expect("the program was built");
    let output = Command::new(program)
        .args(["--format", "json", "--catalog-url", &options.catalog_url])
        .args(["--reservation-url", &options.reservation_url])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    Verdict {
        status: output.status.code(),
        report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
