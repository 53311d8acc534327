//! Publishing that counts only when RabbitMQ has said so.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use failpoint::Step;
use futures::future::try_join_all;
use lapin::{
    Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use opentelemetry::{KeyValue, metrics::Histogram};
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::{Broker, Error, Message, traces};

/// How long RabbitMQ may take to confirm everything that was published together.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    telemetry::duration_histogram(
        "holdfast_broker_publish_duration_seconds",
        "How long RabbitMQ took to confirm messages that were published together",
    )
});

/// Publishes on a channel of its own, made when it is first needed and again after every failure.
///
/// Not shared, on purpose: RabbitMQ returns an unroutable message without naming its delivery tag, and lapin gives it to
/// whichever confirm comes next. With one batch at a time it belongs to that batch for certain.
#[derive(Debug)]
pub struct Publisher {
    broker: Broker,
    channel: Option<Channel>,
}

impl Publisher {
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, channel: None }
    }

    /// Publishes all of `messages` in their order, and waits until RabbitMQ has confirmed each. On an error some of them may
    /// have arrived, and which is unknown: publish them all again. The same if the caller stops waiting.
    pub async fn publish(&mut self, messages: &[Message]) -> Result<(), Error> {
        if messages.is_empty() {
            return Ok(());
        }
        if self.broker.is_blocked() {
            return Err(Error::Blocked);
        }
        // Taken out, and put back only when nothing is left of this batch: no late confirm or return meets the next one.
        let channel = self.channel.take().filter(|channel| channel.status().connected());
        let publish = async {
            let channel = match channel {
                Some(channel) => channel,
                None => self.open().await?,
            };
            let confirms = try_join_all(messages.iter().map(|message| send(&channel, message))).await?;
            failpoint::reach(Step::PublishSent).await.map_err(std::io::Error::from)?;
            for confirm in confirms {
                check(confirm.await?)?;
            }
            Ok(channel)
        };
        let start = Instant::now();
        let span = traces::publish(messages, &self.broker);
        let publish = publish.instrument(span.clone());
        let published =
            timeout(CONFIRM_TIMEOUT, publish).await.unwrap_or(Err(Error::Timeout(CONFIRM_TIMEOUT)));
        let outcome = if published.is_ok() { "confirmed" } else { "failed" };
        if let Err(error) = &published {
            traces::failed(&span, error);
        }
        DURATION.record(start.elapsed().as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
        self.channel = Some(published?);
        Ok(())
    }

    async fn open(&self) -> Result<Channel, Error> {
        let channel = self.broker.channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }
}

/// Writes one message, and returns what will tell of its fate.
async fn send(channel: &Channel, message: &Message) -> Result<lapin::PublisherConfirm, lapin::Error> {
    channel
        .basic_publish(
            message.exchange.into(),
            message.routing_key.as_str().into(),
            BasicPublishOptions { mandatory: message.mandatory, ..BasicPublishOptions::default() },
            &message.body,
            message.properties.clone(),
        )
        .await
}

/// Only an acknowledgement that returns nothing is a success.
fn check(confirmation: Confirmation) -> Result<(), Error> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => Err(Error::Unroutable {
            routing_key: returned.routing_key.to_string(),
            reason: returned.reply_text.to_string(),
        }),
        Confirmation::Nack(None) | Confirmation::NotRequested => Err(Error::Refused),
    }
}
