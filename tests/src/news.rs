//! The events on the topic exchange, as another service would get them.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use lapin::{
    Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use prost::Message as _;
use proto::events::{BookingEvent, BookingEvents};
use stack::Stack;

use crate::{PATIENCE, eventually, when};

/// One event, with its routing key and its headers.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What happened: the routing key.
    pub subject: String,
    /// The message's headers, those that are texts.
    pub headers: Vec<(String, String)>,
    /// To whom.
    pub event: BookingEvent,
}

/// Listens to everything on the exchange from now on, with a queue of its own.
#[derive(Debug)]
pub struct News {
    heard: Arc<Mutex<Vec<Heard>>>,
    _connection: Connection,
}

impl News {
    /// Starts to listen.
    pub async fn listen(stack: &Stack) -> Self {
        let (connection, consumer) = subscribe(&stack.rabbitmq().url()).await.expect("RabbitMQ is there");
        let heard = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(collect(consumer, Arc::clone(&heard)));
        Self { heard, _connection: connection }
    }

    /// What was heard of a booking, each event once, in the order in which they came.
    #[must_use]
    pub fn of(&self, booking_id: &str) -> Vec<Heard> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Heard> = Vec::new();
        for heard in heard.iter().filter(|heard| heard.event.booking_id == booking_id) {
            let again = |one: &Heard| one.subject == heard.subject && one.event == heard.event;
            if !found.iter().any(again) {
                found.push(heard.clone());
            }
        }
        found
    }

    /// Waits until exactly these events, in any order, were heard of a booking, and answers them.
    pub async fn await_subjects(&self, booking_id: &str, subjects: &[&str]) -> Vec<Heard> {
        let mut wanted = subjects.to_vec();
        wanted.sort_unstable();
        eventually("the news of the booking are there", PATIENCE, async || {
            let heard = self.of(booking_id);
            let mut subjects: Vec<_> = heard.iter().map(|heard| heard.subject.as_str()).collect();
            subjects.sort_unstable();
            when(subjects == wanted, heard.clone())
        })
        .await
    }
}

async fn subscribe(url: &str) -> lapin::Result<(Connection, Consumer)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    let bind = QueueBindOptions::default();
    let (queue, everything) = (queue.name().clone(), "#".into());
    channel
        .queue_bind(queue.clone(), "holdfast.bookings".into(), everything, bind, FieldTable::default())
        .await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
    Ok((connection, consumer))
}

async fn collect(mut consumer: Consumer, heard: Arc<Mutex<Vec<Heard>>>) {
    while let Some(Ok(delivery)) = consumer.next().await {
        let headers = headers(&delivery);
        let subject = delivery.routing_key.to_string();
        let body = BookingEvents::decode(&*delivery.data).expect("an event has the body that its proto says");
        let events = body.events.into_iter();
        let events = events.map(|event| Heard { subject: subject.clone(), headers: headers.clone(), event });
        heard.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
    }
}

fn headers(delivery: &Delivery) -> Vec<(String, String)> {
    let table = delivery.properties.headers().clone().unwrap_or_default();
    let text = |value: &lapin::types::AMQPValue| {
        value.as_long_string().map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned())
    };
    table.inner().iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect()
}
