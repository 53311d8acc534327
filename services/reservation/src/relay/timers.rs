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
            messages.extend(parts.map(|timers| Message::timer(route, timers, row.trace())));
        }
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::{Duration as Span, OffsetDateTime, macros::datetime};
    use uuid::Uuid;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-22 10:00:00 UTC);

    fn row(lefts: &[Span]) -> Row {
        Row {
            outbox_id: 7,
            subject: String::new(),
            booking_ids: (0..lefts.len()).map(|n| Uuid::from_u128(n as u128)).collect(),
            attempts: Some(vec![1; lefts.len()]),
            customer_ids: None,
            deadlines: Some(lefts.iter().map(|left| (NOW + *left).into()).collect()),
            reference_ids: None,
            traceparent: None,
            created_at: NOW.into(),
            now: NOW,
        }
    }

    fn message(route: Route, members: &[(u128, Span)]) -> Message {
        let timer = |&(n, left): &(u128, Span)| {
            let key = HoldKey { booking_id: Uuid::from_u128(n).to_string(), attempt: 1 };
            Timer { key, expires_at: NOW + left }
        };
        Message::timer(route, &members.iter().map(timer).collect::<Vec<_>>(), None)
    }

    #[test]
    fn timers_of_one_row_share_a_message_where_they_share_a_lane() {
        let (minute, less) = (Span::seconds(60), Span::milliseconds(59_990));
        let (short, over) = (Span::seconds(2), -Span::seconds(1));
        let rows = [row(&[minute, short, less, over])];
        let messages = messages(&Lanes::new(&[60_000]), &rows).unwrap();
        let lane = |ms| Route::Lane(Duration::from_millis(ms));
        assert_eq!(messages.len(), 3);
        for expected in [
            message(lane(59_500), &[(0, minute), (2, less)]),
            message(lane(1_000), &[(1, short)]),
            message(Route::Due, &[(3, over)]),
        ] {
            assert!(messages.contains(&expected), "{expected:?}");
        }
    }

    #[test]
    fn a_long_row_becomes_several_messages() {
        let rows = [row(&vec![Span::seconds(60); MAX_TIMERS + 1])];
        assert_eq!(messages(&Lanes::new(&[]), &rows).unwrap().len(), 2);
    }

    #[test]
    fn a_row_without_a_deadline_for_each_booking_is_refused() {
        let whole = row(&[Span::seconds(60)]);
        for spoilt in [Row { deadlines: None, ..whole.clone() }, Row { attempts: Some(vec![]), ..whole }] {
            assert!(messages(&Lanes::new(&[]), &[spoilt]).is_err());
        }
    }
}
