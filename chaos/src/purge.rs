//! The loss of all timers: what waits in RabbitMQ's lanes, and what has come out of them, is thrown away.

use std::time::Duration;

use amqp::{Lanes, topology};
use anyhow::{Context, Result};
use lapin::options::QueuePurgeOptions;
use lapin::{Connection, ConnectionProperties};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::site::HOLD_TTLS_MS;

/// How long it may take. RabbitMQ may be on its way up.
const LIMIT: Duration = Duration::from_secs(10);

/// Empties all lanes and the queue of what is due: how many timers are lost. Blocks.
pub(crate) fn timers(url: &str) -> Result<u64> {
    let runtime = Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(async {
        timeout(LIMIT, purge(url)).await.context("RabbitMQ did not answer")?.context("purge the queues")
    })
}

async fn purge(url: &str) -> lapin::Result<u64> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let lanes = Lanes::new(&HOLD_TTLS_MS);
    let queues = lanes.ttls().map(topology::lane).chain([topology::DUE.to_owned()]);
    let mut timers = 0;
    for queue in queues {
        timers += u64::from(channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await?);
    }
    connection.close(200, "done".into()).await?;
    Ok(timers)
}
