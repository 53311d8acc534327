//! Names, numbers, lines and what they add up to.

use super::{
    super::{ids::PaymentId, line::total_minor},
    *,
};

#[test]
fn a_state_is_read_back_from_its_name_and_nothing_else_is_a_state() {
    for name in StateName::ALL {
        assert_eq!(StateName::parse(name.as_str()), Some(name));
        assert_eq!(in_state(name).state.name(), name);
    }
    for text in ["", "held", "HELD ", "UNKNOWN"] {
        assert_eq!(StateName::parse(text), None, "{text:?}");
    }
}

#[test]
fn attempts_count_from_one() {
    for number in [0, -1, i32::MIN] {
        let refused = Attempt::try_from(number).map_err(|error| error.to_string());
        assert_eq!(refused, Err(format!("{number} is no attempt: they count from 1")));
    }
    for number in [1, 2, i32::MAX] {
        assert_eq!(attempt(number).get(), number);
    }
    assert_eq!((attempt(1), attempt(1).next()), (Attempt::FIRST, attempt(2)));
}

#[test]
fn the_unnamed_payment_and_the_unnamed_refund_have_the_bookings_id() {
    assert_eq!(PaymentId::from(own_id()).get(), own_id().get());
    assert_eq!(RefundId::from(own_id()).get(), own_id().get());
}

#[test]
fn the_total_is_the_sum_of_quantity_times_price() {
    assert_eq!(total_minor(&lines(true)), 2 * 250 + 1_000);
    assert_eq!(total_minor(&lines(false)), 0, "nothing has a price before the hold");
    assert_eq!(total_minor(&[]), 0);
}

#[test]
fn a_booking_is_open_until_its_deadline_and_keeps_it_for_the_record() {
    for name in StateName::ALL {
        let booking = in_state(name);
        let open = matches!(name, StateName::Initiated | StateName::Held | StateName::PaymentPending);
        assert_eq!(booking.state.open_until(), open.then_some(DEADLINE), "{}", name.as_str());
        assert_eq!(booking.deadline(), Some(DEADLINE), "{}", name.as_str());
        assert!(!booking.is_tombstone());
    }
    assert_eq!(booking(State::Cancelled { hold: None }).deadline(), None, "a draft has none once it is over");
}

#[test]
fn a_repeat_of_the_request_is_told_from_another_one_by_customer_items_and_time() {
    let booking = Booking { asked_ttl_ms: Some(500), ..in_state(StateName::Held) };
    let items: Vec<Item> = lines(false).into_iter().map(|line| line.item).collect();
    assert!(booking.was_asked_as("ada", &items, Some(500)));
    assert!(!booking.was_asked_as("bob", &items, Some(500)));
    assert!(!booking.was_asked_as("ada", &items, Some(501)));
    assert!(!booking.was_asked_as("ada", &items, None));
    assert!(!booking.was_asked_as("ada", &items[..1], Some(500)));
    assert!(!booking.was_asked_as("ada", &[], Some(500)));
    let swapped: Vec<Item> = items.iter().rev().cloned().collect();
    assert!(!booking.was_asked_as("ada", &swapped, Some(500)));
}

#[test]
fn a_refusal_names_both_states_in_its_message() {
    let refusal = Refusal::Illegal { from: StateName::Expired, to: StateName::Confirmed };
    assert_eq!(refusal.to_string(), "a booking that is EXPIRED cannot become CONFIRMED");
}
