//! Damage to bookings, their history and their payments.

use system_tests::fresh_id;

use super::{Damage, Shop, booking, hold, in_reservation, of};

/// Histories that are not those of their bookings.
pub(super) fn histories(shop: &Shop) -> Vec<Damage> {
    let Shop { held, paid, cancelled, .. } = shop;
    let other = fresh_id();
    vec![
        in_reservation(
            "a step that the table does not have",
            format!("update booking_history set to_state = 'REFUNDED' {} and sequence = 2", of(cancelled)),
            format!("update booking_history set to_state = 'CANCELLED' {} and sequence = 2", of(cancelled)),
        )
        .finds(("BOOKING_HISTORY", vec![("booking_id", cancelled.clone()), ("sequence", "2".to_owned())])),
        in_reservation(
            "a step that is missing",
            format!("update booking_history set sequence = 9 {} and sequence = 2", of(paid)),
            format!("update booking_history set sequence = 2 {} and sequence = 9", of(paid)),
        )
        .finds(booking("BOOKING_HISTORY", paid)),
        in_reservation(
            "a booking that its history did not bring there",
            format!("update bookings set state = 'PAYMENT_PENDING' {}", of(held)),
            format!("update bookings set state = 'HELD' {}", of(held)),
        )
        .finds(booking("BOOKING_HISTORY", held)),
        in_reservation(
            "a history of no booking",
            format!(
                "insert into booking_history (booking_id, sequence, to_state, happened_at)
                     values ('{other}', 1, 'HELD', now())"
            ),
            format!("delete from booking_history {}", of(&other)),
        )
        .finds(booking("BOOKING_HISTORY", &other)),
        in_reservation(
            "a booking with a time that is none",
            format!("update bookings set held_at = '-infinity' {}", of(cancelled)),
            format!("update bookings set held_at = created_at {}", of(cancelled)),
        )
        .finds(booking("BOOKING_HISTORY", cancelled))
        .finds(hold("HOLD_VERDICT", cancelled)),
    ]
}

/// Steps at the wrong time, and payments that do not fit.
pub(super) fn times_and_payments(shop: &Shop) -> Vec<Damage> {
    let Shop { held, paid, expired, cancelled, .. } = shop;
    let other = fresh_id();
    vec![
        in_reservation(
            "a payment at the deadline",
            format!(
                "update booking_history set happened_at = expires_at {} and to_state = 'CONFIRMED'",
                of(paid)
            ),
            format!(
                "update booking_history set happened_at = expires_at - interval '10 minutes'
                     {} and to_state = 'CONFIRMED'",
                of(paid)
            ),
        )
        .finds(booking("CONFIRMED_IN_TIME", paid))
        .finds(hold("HOLD_VERDICT", paid)),
        in_reservation(
            "an end before the deadline",
            format!(
                "update booking_history set happened_at = happened_at - interval '1 hour'
                     {} and to_state = 'EXPIRED'",
                of(expired)
            ),
            format!(
                "update booking_history set happened_at = happened_at + interval '1 hour'
                     {} and to_state = 'EXPIRED'",
                of(expired)
            ),
        )
        .finds(booking("CONFIRMED_IN_TIME", expired)),
        in_reservation(
            "a draft that ended before its limit",
            format!(
                "insert into bookings (booking_id, customer_id, state, attempt, lines, expired_at, history_length,
                                       created_at, updated_at)
                     values ('{other}', 'ada', 'EXPIRED', 1, '[]', now(), 2, now(), now());
                 insert into booking_history (booking_id, sequence, from_state, to_state, happened_at, expires_at)
                     values ('{other}', 1, null, 'INITIATED', now(), now() + interval '1 hour'),
                            ('{other}', 2, 'INITIATED', 'EXPIRED', now(), null)"
            ),
            format!("delete from bookings {0}; delete from booking_history {0}", of(&other)),
        )
        .finds(booking("CONFIRMED_IN_TIME", &other)),
        in_reservation(
            "a hold past its deadline that nobody asks about",
            format!("update bookings set expires_at = now() - interval '1 hour' {}", of(held)),
            format!(
                "update bookings set expires_at = held_at + hold_ttl_ms * interval '1 millisecond' {}",
                of(held)
            ),
        )
        .finds(hold("HOLD_OVERDUE", held)),
        in_reservation(
            "a sale without its payment",
            format!("update payments set outcome = 'FAILED' {}", of(paid)),
            format!("update payments set outcome = 'ACCEPTED' {}", of(paid)),
        )
        .finds(booking("PAYMENT_RECORDED", paid)),
        in_reservation(
            "a payment for nothing",
            format!("insert into payments values ('{other}', '{cancelled}', 'ACCEPTED', now())"),
            format!("delete from payments where payment_id = '{other}'"),
        )
        .finds(("PAYMENT_RECORDED", vec![("booking_id", cancelled.clone()), ("payment_id", other.clone())])),
    ]
}
