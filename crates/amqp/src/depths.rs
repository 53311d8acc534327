//! How many messages wait in each queue.

use std::time::Duration;

use lapin::{Channel, options::QueueDeclareOptions, types::FieldTable};
use tokio::time::timeout;

use crate::{
    Broker, Error,
    topology::{self, DUE, PARKED},
};

/// How long RabbitMQ may take to answer for all queues.
const LIMIT: Duration = Duration::from_secs(5);

/// Looks at the queues over a channel of its own, made when it is first needed and again after a failure.
#[derive(Debug)]
pub struct Depths {
    broker: Broker,
    channel: Option<Channel>,
}

impl Depths {
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, channel: None }
    }

    /// How many messages wait in each lane, in `holds.due` and in `holds.parked`, by the queue's name. Those that a consumer has
    /// in hand do not wait. Asks for each queue: not to be done often.
    pub async fn look(&mut self) -> Result<Vec<(String, u32)>, Error> {
        // Taken out, and put back only when it is still good: a queue that is not there closes it.
        let channel = self.channel.take().filter(|channel| channel.status().connected());
        let look = async {
            let channel = match channel {
                Some(channel) => channel,
                None => self.broker.channel().await?,
            };
            let lanes = self.broker.lanes().ttls().map(topology::lane);
            let mut depths = Vec::new();
            for queue in lanes.chain([DUE.to_owned(), PARKED.to_owned()]) {
                let only_look = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                let found =
                    channel.queue_declare(queue.as_str().into(), only_look, FieldTable::default()).await?;
                depths.push((queue, found.message_count()));
            }
            Ok((channel, depths))
        };
        let (channel, depths) = timeout(LIMIT, look).await.unwrap_or(Err(Error::Timeout(LIMIT)))?;
        self.channel = Some(channel);
        Ok(depths)
    }
}
