//! Taking messages from a queue, each to be acknowledged by hand.

use std::sync::Arc;

use futures::StreamExt as _;
use lapin::{
    Channel, Consumer,
    message::Delivery as Inner,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions,
    },
    types::FieldTable,
};

use tracing::Span;

use crate::{Error, Poison, Timer, connection::Node, message, timer, traces};

/// The messages of one queue, for as long as the connection lives. When it is dropped, everything that was not
/// acknowledged goes back to the queue, and acknowledgements after that do nothing.
#[derive(Debug)]
pub struct Deliveries {
    channel: Channel,
    consumer: Consumer,
    node: Option<Arc<Node>>,
}

impl Deliveries {
    pub(crate) async fn start(
        channel: Channel,
        node: Option<Arc<Node>>,
        queue: &str,
        prefetch: u16,
    ) -> Result<Self, Error> {
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
        Ok(Self { channel, consumer, node })
    }

    /// The next message; `None` when the queue or the connection has gone: start anew.
    pub async fn next(&mut self) -> Option<Delivery> {
        match self.consumer.next().await? {
            Ok(inner) => Some(Delivery { inner, node: self.node.clone() }),
            Err(error) => {
                tracing::debug!(%error, "the consumer ended");
                None
            }
        }
    }

    /// Asks for no more messages. Those at hand can still be acknowledged while this lives.
    pub async fn cancel(&self) {
        let options = BasicCancelOptions::default();
        if let Err(error) = self.channel.basic_cancel(self.consumer.tag(), options).await {
            tracing::debug!(%error, "the consumer had ended already");
        }
    }
}

/// A message at hand. Dropped without a word, it is delivered again once its [`Deliveries`] are dropped.
#[derive(Debug)]
pub struct Delivery {
    inner: Inner,
    node: Option<Arc<Node>>,
}

impl Delivery {
    /// What the message says.
    ///
    /// # Errors
    /// Nobody can handle it, now or ever.
    pub fn timers(&self) -> Result<Vec<Timer>, Poison> {
        timer::decode(&self.inner.properties, &self.inner.data)
    }

    /// The trace context of whoever caused the message.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        message::traceparent(&self.inner.properties)
    }

    /// A span to handle it in, with so many timers.
    #[must_use]
    pub fn span(&self, timers: usize) -> Span {
        traces::process(&self.inner, self.node.as_deref(), timers)
    }

    /// How long its body is, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.inner.data.len()
    }

    /// Whether it may have been delivered before.
    #[must_use]
    pub fn is_redelivered(&self) -> bool {
        self.inner.redelivered
    }

    /// Done with: RabbitMQ forgets it. If the connection has gone meanwhile, it comes again.
    pub async fn ack(self) {
        if let Err(error) = self.inner.acker.ack(BasicAckOptions::default()).await {
            tracing::debug!(%error, "an acknowledgement came too late");
        }
    }

    /// Not to be handled by anyone: it goes to `holds.parked`, for people to look at.
    pub async fn park(self) {
        if let Err(error) = self.inner.acker.reject(BasicRejectOptions { requeue: false }).await {
            tracing::debug!(%error, "a rejection came too late");
        }
    }
}
