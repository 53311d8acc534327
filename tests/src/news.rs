//! The events on the topic exchange, as another service would get them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt as _;
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};
use prost::Message as _;
use proto::events::{BookingEvent, BookingEvents};
use sqlx::Row as _;
use stack::Stack;
use uuid::Uuid;

use crate::{PATIENCE, World, eventually, when};

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

impl Heard {
    /// A header of the message; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }
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
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        Self::consume(stack, "", options).await
    }

    /// Has RabbitMQ keep all news from now on in a queue of this name, whatever happens to it.
    pub async fn keep(stack: &Stack, queue: &str) {
        bind(&stack.rabbitmq().url(), queue, KEPT).await.expect("RabbitMQ is there");
    }

    /// Reads what was kept, and listens on.
    pub async fn resume(stack: &Stack, queue: &str) -> Self {
        Self::consume(stack, queue, KEPT).await
    }

    async fn consume(stack: &Stack, queue: &str, options: QueueDeclareOptions) -> Self {
        let url = stack.rabbitmq().url();
        let (connection, channel, queue) = bind(&url, queue, options).await.expect("RabbitMQ is there");
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await;
        let consumer = consumer.expect("the queue can be read");
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

/// What the history of each booking, and its payments, have to tell. A tombstone is nobody's booking.
const TO_TELL: &str = "
    select booking_id, array_agg(subject order by subject) as subjects from (
        select booking_id, 'booking.' || lower(to_state) as subject from booking_history
        where to_state in ('CONFIRMED', 'REFUNDED', 'CANCELLED', 'EXPIRED')
              or to_state = 'HELD' and coalesce(from_state, 'INITIATED') = 'INITIATED'
        union all
        select booking_id, 'payment.refund_due' from payments where outcome = 'REFUND_DUE'
    ) as told
    join bookings using (booking_id)
    where customer_id <> ''
    group by booking_id";

/// The subjects of each booking's events, sorted.
type Subjects = BTreeMap<String, Vec<String>>;

impl News {
    /// Waits until what was heard is what every booking's history has to tell: nothing is missing, and nothing was made up.
    /// Twice does not matter. For a stack whose bookings were all made since this listens.
    pub async fn assert_complete(&self, world: &World) {
        let rows = sqlx::query(TO_TELL).fetch_all(&mut world.reservation_database().await).await;
        let rows = rows.expect("the histories can be read");
        let to_tell =
            rows.iter().map(|row| (row.get::<Uuid, _>("booking_id").to_string(), row.get("subjects")));
        let to_tell: Subjects = to_tell.collect();
        eventually("everything is told", PATIENCE, async || {
            let heard = self.subjects();
            let ids: BTreeSet<&String> = to_tell.keys().chain(heard.keys()).collect();
            let both = ids.into_iter().map(|id| (id.clone(), to_tell.get(id), heard.get(id)));
            let differ: Vec<_> = both.filter(|(_, to_tell, heard)| to_tell != heard).collect();
            when(differ.is_empty(), format!("booking, to tell, heard: {differ:#?}"))
        })
        .await;
    }

    /// What was heard of each booking, each event once.
    fn subjects(&self) -> Subjects {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let unique = heard.iter().map(|one| (&one.event.booking_id, &one.subject, one.event.encode_to_vec()));
        let mut subjects = Subjects::new();
        for (booking_id, subject, _) in unique.collect::<BTreeSet<_>>() {
            subjects.entry(booking_id.clone()).or_default().push(subject.clone());
        }
        subjects
    }
}

/// A queue that survives RabbitMQ's restart.
const KEPT: QueueDeclareOptions = QueueDeclareOptions {
    passive: false,
    durable: true,
    exclusive: false,
    auto_delete: false,
    nowait: false,
};

/// Declares a queue (of any name, if empty) and binds it to everything on the exchange.
async fn bind(
    url: &str,
    queue: &str,
    options: QueueDeclareOptions,
) -> lapin::Result<(Connection, Channel, ShortString)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let queue = channel.queue_declare(queue.into(), options, FieldTable::default()).await?.name().clone();
    let (exchange, everything) = ("holdfast.bookings".into(), "#".into());
    let options = QueueBindOptions::default();
    channel.queue_bind(queue.clone(), exchange, everything, options, FieldTable::default()).await?;
    Ok((connection, channel, queue))
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
