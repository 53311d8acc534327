//! Timers to lanes: one message for each lane that a row's holds need.

use std::collections::BTreeMap;

use amqp::{Lanes, MAX_TIMERS, Message, Route, Timer};
use proto::catalog::HoldKey;

use crate::{error::Error, store::outbox::Row};

/// The messages for these rows: each timer in the lane that fits what is left of its time now.
pub(super) fn messages(lanes: &Lanes, rows: &[Row]) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let mut by_route: BTreeMap<Route, Vec<Timer>> = BTreeMap::new();
        for (booking_id, attempt, deadline) in row.timers()? {
            let left = (deadline - row.now).try_into().unwrap_or_default();
            let key = HoldKey { booking_id: booking_id.to_string(), attempt: attempt.get() };
            by_route.entry(lanes.choose(left)).or_default().push(Timer { key, expires_at: deadline });
        }
        for (route, timers) in by_route {
            let parts = timers.chunks(MAX_TIMERS);
            messages.extend(parts.map(|timers| Message::timer(route, timers, row.traceparent.as_deref())));
        }
    }
    Ok(messages)
}
