//! `holdfast status`: what runs, where, and whether it is ready.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use stack::{http, port};

use crate::output::line;
use crate::running::{Member, MemberKind, Running};

/// Prints a line per process; fails when not all are ready.
pub(crate) fn run(home: &Path) -> Result<ExitCode> {
    let Some(running) = Running::load(home)? else {
        line("Holdfast is not running: `make up` starts it.");
        return Ok(ExitCode::FAILURE);
    };
    let mut all_ready = true;
    line(format_args!("{:<14} {:>7}  {:<46} state", "part", "pid", "address"));
    for member in running.members.iter().filter(|member| member.kind != MemberKind::Epmd) {
        let state = state(&running, member);
        all_ready &= state.is_ok();
        let text = match state {
            Ok(()) => "ready".to_owned(),
            Err(why) => why,
        };
        line(format_args!(
            "{:<14} {:>7}  {:<46} {text}",
            member.name,
            member.id.pid(),
            address(&running, member)
        ));
    }
    if !all_ready {
        line("`make logs` shows why; `make up` starts again what has ended.");
    }
    Ok(if all_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ready, or why not.
pub(crate) fn state(running: &Running, member: &Member) -> Result<(), String> {
    if !member.id.is_running() {
        return Err("has ended".to_owned());
    }
    let (_, http_port) = ports(running, member);
    let Some(http_port) = http_port else { return Ok(()) };
    match http::get(port::loopback(http_port), "/readyz") {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(format!("not ready: {}", answer.body.trim())),
        Err(error) => Err(format!("does not answer: {error:#}")),
    }
}

fn address(running: &Running, member: &Member) -> String {
    match ports(running, member) {
        (Some(port), Some(http)) => format!("gRPC 127.0.0.1:{port}, HTTP 127.0.0.1:{http}"),
        (Some(port), None) => format!("127.0.0.1:{port}"),
        (None, Some(http)) => format!("HTTP 127.0.0.1:{http}"),
        (None, None) => String::new(),
    }
}

/// The main port of a member and its HTTP port.
fn ports(running: &Running, member: &Member) -> (Option<u16>, Option<u16>) {
    let ports = &running.ports;
    match member.name.as_str() {
        "postgres" => (Some(ports.postgres), None),
        "rabbitmq" => (Some(ports.amqp), None),
        "catalog" => (Some(ports.catalog), Some(ports.catalog_http)),
        "reservation" => (Some(ports.reservation), Some(ports.reservation_http)),
        "expirer" => (None, Some(ports.expirer_http)),
        _ => (None, None),
    }
}
