//! What the broker takes and carries.

use anyhow::{Context, Result};
use stack::RabbitMq;

use crate::cpu::Memory;

/// The broker's memory, in MB, after it has thrown away what it no longer needs.
///
/// # Errors
/// Its tools fail.
pub fn memory_mb(broker: &RabbitMq) -> Result<f64> {
    broker.control("rabbitmqctl", &["force_gc"])?;
    let pid = evaluate(broker, "io:format(\"~s\", [os:getpid()]).")?;
    let pid: i32 = pid.parse().with_context(|| format!("{pid:?} is not a process"))?;
    Ok(Memory::of(pid).context("the broker is gone")?.resident_mb)
}

/// How many messages publishers have sent to it so far.
///
/// # Errors
/// Its tools fail.
pub fn received(broker: &RabbitMq) -> Result<u64> {
    let sum = "io:format(\"~w\", [lists:sum([maps:get(messages_received_total, Counters, 0) || \
               Counters <- maps:values(rabbit_global_counters:overview())])]).";
    let text = evaluate(broker, sum)?;
    text.parse().with_context(|| format!("{text:?} is not a count"))
}

/// How many messages wait in all queues.
///
/// # Errors
/// Its tools fail.
pub fn waiting(broker: &RabbitMq) -> Result<u64> {
    let table =
        broker.control("rabbitmqctl", &["--quiet", "list_queues", "--no-table-headers", "messages"])?;
    table
        .lines()
        .map(|line| line.trim().parse::<u64>().with_context(|| format!("{line:?} is not a count")))
        .sum()
}

/// Has Erlang evaluate an expression that prints; what it prints, without the `ok` that follows.
fn evaluate(broker: &RabbitMq, expression: &str) -> Result<String> {
    let said = broker.control("rabbitmqctl", &["--quiet", "eval", expression])?;
    Ok(said.lines().next().unwrap_or_default().trim().trim_end_matches("ok").to_owned())
}
