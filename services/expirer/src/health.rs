//! What the expirer depends on, by the names that `/readyz` shows.

use amqp::{Broker, LinkState};
use server::{Health, PartState};
use tokio_util::sync::CancellationToken;

/// RabbitMQ. Without it holds still expire, by the sweep, but later than they should: so it is required.
pub(crate) const BROKER: &str = "broker";
/// The reservation service.
pub(crate) const RESERVATION: &str = "reservation";
/// The catalog service.
pub(crate) const CATALOG: &str = "catalog";

/// Says how the broker is, until `stop`: up when both connections are.
pub(crate) async fn watch_broker(brokers: [Broker; 2], health: Health, stop: CancellationToken) {
    let [mut consuming, mut parking] = brokers.map(|broker| broker.state());
    loop {
        let states = [consuming.borrow_and_update().clone(), parking.borrow_and_update().clone()];
        let down = states.into_iter().find_map(|state| match state {
            LinkState::Up => None,
            LinkState::Down(reason) => Some(reason),
        });
        health.set(BROKER, down.map_or(PartState::Up, PartState::Down));
        let changed = tokio::select! {
            changed = consuming.changed() => changed,
            changed = parking.changed() => changed,
            () = stop.cancelled() => return,
        };
        if changed.is_err() {
            return;
        }
    }
}
