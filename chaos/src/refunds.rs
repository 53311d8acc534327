//! Who pays back: a queue of all payments that are announced to be refunded, as another service would keep it.

use std::collections::HashSet;

use amqp::topology;
use anyhow::Result;
use lapin::options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};
use prost::Message as _;
use proto::events::BookingEvents;
use uuid::Uuid;

const QUEUE: &str = "chaos.refunds";
const SUBJECT: &str = "payment.refund_due";

/// Has RabbitMQ keep the announcements from now on, whatever happens to it.
pub(crate) async fn keep(url: &str) -> Result<()> {
    let (connection, channel) = open(url).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), options, arguments).await?;
    let options = QueueBindOptions::default();
    let (exchange, subject) = (topology::BOOKINGS.into(), SUBJECT.into());
    channel.queue_bind(QUEUE.into(), exchange, subject, options, FieldTable::default()).await?;
    Ok(connection.close(200, "done".into()).await?)
}

/// The payments that were announced. Some may have been so more than once.
pub(crate) async fn announced(url: &str) -> Result<HashSet<Uuid>> {
    let (connection, channel) = open(url).await?;
    let mut announced = HashSet::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) = channel.basic_get(QUEUE.into(), options).await? {
        for event in BookingEvents::decode(&*message.delivery.data)?.events {
            announced.insert(event.reference_id.parse()?);
        }
    }
    connection.close(200, "done".into()).await?;
    Ok(announced)
}

async fn open(url: &str) -> Result<(Connection, Channel)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}
