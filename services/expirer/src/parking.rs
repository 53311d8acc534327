//! Parks timers again: fresh messages, confirmed, in natural batches over one channel.

use std::{sync::Arc, time::Duration};

use amqp::{Broker, Message};
use batch::{BatchLimits, Batcher};
use tokio::sync::Mutex;

use crate::failure::Failure;

/// One batch at a time: that is what a publisher can do.
const LIMITS: BatchLimits =
    BatchLimits { max_batch: 200, queue: 10_000, in_flight: 1, beside: 1, max_wait: Duration::MAX };

/// Parks timers. Clones share the channel.
#[derive(Clone, Debug)]
pub(crate) struct Parking {
    batches: Batcher<Message, Result<(), Failure>>,
}

impl Parking {
    /// Starts to. `broker` should be used for nothing else.
    pub(crate) fn start(broker: &Broker) -> Self {
        let publisher = Arc::new(Mutex::new(broker.publisher()));
        Self {
            batches: Batcher::start("park", LIMITS, move |messages: Vec<Message>| {
                let publisher = Arc::clone(&publisher);
                async move {
                    let outcome = publisher.lock().await.publish(&messages).await;
                    let outcome = outcome.map_err(|error| Failure::Outage(error.to_string()));
                    vec![outcome; messages.len()]
                }
            }),
        }
    }

    /// Waits until nothing is parked any more: only a defect ends it.
    pub(crate) async fn ended(self) {
        self.batches.ended().await;
    }

    /// Parks one message. On success RabbitMQ has it.
    pub(crate) async fn park(&self, message: Message) -> Result<(), Failure> {
        self.batches.submit(message).await?
    }
}
