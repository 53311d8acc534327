//! The exchanges and queues, declared again on every connect: nothing has to be set up by hand.
//!
//! ```text
//! holdfast.timers ─ holds.wait.<ms> ─▶ lane (TTL, no consumer) ─ dead-letters as holds.due ─┐
//!   (direct)      ─ holds.due ───────▶ holds.due  ◀─────────────────────────────────────────┘
//!                 ─ holds.parked ────▶ holds.parked ◀─ dead-letters of holds.due: rejected, or delivered too often
//! holdfast.bookings (topic): events for other services, who bind queues of their own
//! ```
//! Every queue is a durable quorum queue and dead-letters at least once: a message leaves it only when the next one has
//! it. Lanes have no `x-expires`: that would delete what waits in them. Arguments as of RabbitMQ 3.10, valid on 4.x.
//! Lanes that are no longer configured stay and still empty themselves.

use std::time::Duration;

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use crate::{Error, Lanes};

/// The direct exchange through which timers reach lanes and queues, by queue name.
pub const TIMERS: &str = "holdfast.timers";
/// The topic exchange of what happened to bookings.
pub const BOOKINGS: &str = "holdfast.bookings";
/// The queue of timers whose time has come.
pub const DUE: &str = "holds.due";
/// The queue of messages that nobody could handle, for people to look at.
pub const PARKED: &str = "holds.parked";

/// A message of [`DUE`] that came back this often goes to [`PARKED`].
const DELIVERY_LIMIT: i64 = 20;

/// The name of the lane with this TTL.
#[must_use]
pub fn lane(ttl: Duration) -> String {
    format!("holds.wait.{}", ttl.as_millis())
}

/// Declares all of it. Idempotent; fails where something of the same name has other properties.
pub(crate) async fn declare(channel: &Channel, lanes: &Lanes) -> Result<(), Error> {
    exchange(channel, TIMERS, ExchangeKind::Direct).await?;
    exchange(channel, BOOKINGS, ExchangeKind::Topic).await?;
    queue(channel, PARKED, quorum()).await?;
    let mut due = dead_lettering_to(PARKED);
    insert(&mut due, "x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT));
    queue(channel, DUE, due).await?;
    for ttl in lanes.ttls() {
        let mut waiting = dead_lettering_to(DUE);
        let ttl_ms = i64::try_from(ttl.as_millis()).expect("a lane waits for a day at most");
        insert(&mut waiting, "x-message-ttl", AMQPValue::LongLongInt(ttl_ms));
        queue(channel, &lane(ttl), waiting).await?;
    }
    Ok(())
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> Result<(), Error> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    Ok(channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await?)
}

/// Declares a queue and binds it to [`TIMERS`] by its name.
async fn queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), Error> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), options, arguments).await?;
    let bind = QueueBindOptions::default();
    Ok(channel.queue_bind(name.into(), TIMERS.into(), name.into(), bind, FieldTable::default()).await?)
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    insert(&mut arguments, "x-queue-type", text("quorum"));
    arguments
}

/// At-least-once dead-lettering asks for `reject-publish`, on whatever has no limit too.
fn dead_lettering_to(target: &str) -> FieldTable {
    let mut arguments = quorum();
    insert(&mut arguments, "x-overflow", text("reject-publish"));
    insert(&mut arguments, "x-dead-letter-strategy", text("at-least-once"));
    insert(&mut arguments, "x-dead-letter-exchange", text(TIMERS));
    insert(&mut arguments, "x-dead-letter-routing-key", text(target));
    arguments
}

fn insert(arguments: &mut FieldTable, key: &str, value: AMQPValue) {
    arguments.insert(key.into(), value);
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
