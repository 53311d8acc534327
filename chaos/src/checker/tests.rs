//! Histories made by hand: good ones pass, and each kind of bad one is caught.

use proto::catalog::SeatState;
use uuid::Uuid;

use super::*;
use crate::books::{Counts, LastHold, Outcome, Record, Step};
use crate::history::{Answer, Call, Item, Payment, Reason, Seen, State, What};

fn at(second: i64) -> Time {
    Time::from_micros(second * 1_000_000)
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn call(what: What, first: i64, replied: i64, answer: Answer) -> Call {
    Call { what, first: at(first), last: at(first), replied: at(replied), attempts: 1, answer }
}

fn shows(state: State, updated: i64, deadline: i64) -> Answer {
    Answer::Booking(Seen { state, updated: at(updated), deadline: Some(at(deadline)) })
}

const fn paid(number: u128) -> Payment {
    Payment { id: Uuid::from_u128(number), success: true }
}

/// A world of one product with 5 units and two seats, and what happened in it.
struct World {
    lives: Vec<Life>,
    books: Books,
}

impl World {
    fn new() -> Self {
        let books = Books {
            products: vec![Counts { on_hand: 5, available: 5, held: 0, sold: 0 }],
            seats: vec![SeatState::Free, SeatState::Free],
            ..Books::default()
        };
        Self { lives: Vec::new(), books }
    }

    fn life(&mut self, number: u128, items: &[Item], calls: Vec<Call>) {
        self.lives.push(Life { id: id(number), items: items.to_vec(), calls });
    }

    fn record(&mut self, number: u128, steps: &[(State, i64, i64, Option<u128>)]) {
        let mut from = None;
        let mut taken = Vec::new();
        for (to, time, deadline, reference) in steps.iter().copied() {
            let (deadline, reference) = (Some(at(deadline)), reference.map(id));
            taken.push(Step { from, to, at: at(time), deadline, reference });
            from = Some(to);
        }
        let state = from.expect("there are steps");
        self.books.bookings.insert(id(number), Record { state, tombstone: false, steps: taken });
        let released = (state == State::Expired).then(|| at(steps.last().expect("there are some").1));
        self.books.holds.insert(id(number), LastHold { released });
    }

    fn payment(&mut self, number: u128, booking: u128, outcome: Outcome) {
        self.books.payments.insert(id(number), (id(booking), outcome));
        if outcome == Outcome::RefundDue {
            self.books.announced.insert(id(number));
        }
    }

    fn broken(&self) -> Vec<Rule> {
        self.broken_when_cut_off_at(None)
    }

    fn broken_when_cut_off_at(&self, cut_off: Option<Time>) -> Vec<Rule> {
        let tolerance = Duration::from_millis(10);
        let evidence = Evidence { lives: &self.lives, books: &self.books, on_hand: &[5], tolerance, cut_off };
        let mut rules: Vec<Rule> = check(&evidence).into_iter().map(|violation| violation.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// A booking that was held from second 10, until its deadline at 20, when it expired.
    fn expired(number: u128, items: &[Item]) -> Self {
        let mut world = Self::new();
        let create = call(What::Create { hold: true }, 9, 11, shows(State::Held, 10, 20));
        world.life(number, items, vec![create]);
        world.record(number, &[(State::Held, 10, 20, None), (State::Expired, 20, 20, None)]);
        world
    }

    /// A booking that was held from second 10, paid at 12 and refunded at 15.
    fn refunded(items: &[Item]) -> Self {
        let mut world = Self::new();
        let calls = vec![
            call(What::Create { hold: true }, 9, 11, shows(State::Held, 10, 20)),
            call(What::Pay(paid(100)), 11, 13, shows(State::Confirmed, 12, 20)),
            call(What::Refund(id(200)), 14, 16, shows(State::Refunded, 15, 20)),
        ];
        world.life(1, items, calls);
        world.record(
            1,
            &[
                (State::Held, 10, 20, None),
                (State::PaymentPending, 12, 20, None),
                (State::Confirmed, 12, 20, Some(100)),
                (State::Refunded, 15, 20, Some(200)),
            ],
        );
        world.payment(100, 1, Outcome::Accepted);
        world
    }
}

#[test]
fn good_histories_break_no_rule() {
    assert_eq!(World::expired(1, &[Item::Seat(0)]).broken(), []);
    assert_eq!(World::refunded(&[Item::Units { product: 0, quantity: 3 }]).broken(), []);
}

#[test]
fn an_unknown_call_may_have_happened_or_not() {
    let mut world = World::new();
    world.life(1, &[Item::Seat(0)], vec![call(What::Create { hold: true }, 9, 11, Answer::Unknown)]);
    assert_eq!(world.broken(), []);
    world.record(1, &[(State::Held, 30, 40, None), (State::Expired, 41, 40, None)]);
    assert_eq!(world.broken(), []);
}

#[test]
fn a_call_that_has_no_answer_in_the_end_is_caught() {
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.lives[0].calls.push(call(What::Get, 30, 60, Answer::Unknown));
    assert_eq!(world.broken_when_cut_off_at(Some(at(60))), [Rule::EverythingSettles]);
    // Its client had given it up before, or not begun it yet.
    assert_eq!(world.broken_when_cut_off_at(Some(at(61))), []);
    world.lives[0].calls[1].attempts = 0;
    assert_eq!(world.broken_when_cut_off_at(Some(at(60))), []);
}

#[test]
fn two_owners_of_a_seat_at_a_time_are_caught() {
    let mut world = World::expired(1, &[Item::Seat(0)]);
    let second = |first, held: i64| {
        call(What::Create { hold: true }, first, held + 1, shows(State::Held, held, held + 10))
    };
    world.life(2, &[Item::Seat(0)], vec![second(20, 21)]);
    world.record(2, &[(State::Held, 21, 31, None), (State::Expired, 31, 31, None)]);
    assert_eq!(world.broken(), []);
    world.life(3, &[Item::Seat(0)], vec![second(13, 14)]);
    world.record(3, &[(State::Held, 14, 24, None), (State::Expired, 24, 24, None)]);
    assert_eq!(world.broken(), [Rule::OneOwnerAtATime]);
}

#[test]
fn more_units_owned_than_there_are_is_caught() {
    let mut world = World::new();
    for number in 1..=3 {
        let create = call(What::Create { hold: true }, 9, 11, shows(State::Held, 10, 20));
        world.life(number, &[Item::Units { product: 0, quantity: 2 }], vec![create]);
        world.record(number, &[(State::Held, 10, 20, None), (State::Expired, 20, 20, None)]);
    }
    assert_eq!(world.broken(), [Rule::OneOwnerAtATime]);
    world.lives[2].items = vec![Item::Units { product: 0, quantity: 1 }];
    assert_eq!(world.broken(), []);
}

#[test]
fn a_lost_booking_is_caught() {
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.books.bookings.clear();
    assert_eq!(world.broken(), [Rule::NothingIsLost]);
}

#[test]
fn a_state_that_the_history_does_not_have_is_caught() {
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.lives[0].calls.push(call(What::Cancel, 12, 13, shows(State::Cancelled, 12, 20)));
    assert_eq!(world.broken(), [Rule::AnswersAreTrue]);
    // The right state, but of another time.
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.lives[0].calls.push(call(What::Get, 12, 13, shows(State::Held, 12, 20)));
    assert_eq!(world.broken(), [Rule::AnswersAreTrue]);
}

#[test]
fn an_answer_that_goes_back_in_time_is_caught() {
    let mut world = World::refunded(&[Item::Seat(0)]);
    world.lives[0].calls.push(call(What::Get, 12, 13, shows(State::Held, 10, 20)));
    assert_eq!(world.broken(), []);
    world.lives[0].calls.push(call(What::Get, 17, 18, shows(State::Held, 10, 20)));
    assert_eq!(world.broken(), [Rule::AnswersAreTrue]);
}

#[test]
fn a_refusal_without_a_cause_is_caught() {
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.lives[0].calls.push(call(What::Cancel, 12, 13, Answer::Refused(Reason::BookingCancelled, None)));
    assert_eq!(world.broken(), [Rule::AnswersAreTrue]);
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.lives[0].calls.push(call(What::Get, 12, 13, Answer::Refused(Reason::BookingNotFound, None)));
    assert_eq!(world.broken(), [Rule::AnswersAreTrue]);
}

#[test]
fn an_answer_that_nobody_may_hear_is_caught() {
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.lives[0].calls.push(call(What::Get, 12, 13, Answer::Wrong("INTERNAL".to_owned())));
    assert_eq!(world.broken(), [Rule::AnswersAreProper]);
}

#[test]
fn a_step_that_is_not_in_the_table_and_one_that_nobody_asked_for_are_caught() {
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.record(
        1,
        &[(State::Held, 10, 20, None), (State::Expired, 20, 20, None), (State::Held, 21, 30, None)],
    );
    assert_eq!(world.broken(), [Rule::StepsAreLegal, Rule::StepsWereAskedFor]);
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.record(1, &[(State::Held, 10, 20, None), (State::Cancelled, 15, 20, None)]);
    assert_eq!(world.broken(), [Rule::StepsWereAskedFor]);
}

#[test]
fn a_call_that_was_refused_or_over_explains_no_step() {
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.record(1, &[(State::Held, 10, 20, None), (State::Cancelled, 15, 20, None)]);
    let cancel = |first, answer| call(What::Cancel, first, first + 1, answer);
    world.lives[0].calls.push(cancel(14, Answer::Refused(Reason::IllegalTransition, Some(State::Held))));
    assert_eq!(world.broken(), [Rule::StepsWereAskedFor]);
    world.lives[0].calls.push(cancel(18, Answer::Unknown));
    assert_eq!(world.broken(), [Rule::StepsWereAskedFor]);
    world.lives[0].calls.push(cancel(14, Answer::Unknown));
    assert_eq!(world.broken(), []);
}

#[test]
fn a_payment_after_the_deadline_and_an_early_expiry_and_release_are_caught() {
    let mut world = World::refunded(&[Item::Seat(0)]);
    let record = world.books.bookings.get_mut(&id(1)).expect("it is there");
    record.steps[1].deadline = Some(at(12));
    assert_eq!(world.broken(), [Rule::DeadlinesAreKept]);
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.record(1, &[(State::Held, 10, 20, None), (State::Expired, 19, 20, None)]);
    assert_eq!(world.broken(), [Rule::DeadlinesAreKept]);
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.books.holds.insert(id(1), LastHold { released: Some(at(19)) });
    assert_eq!(world.broken(), [Rule::DeadlinesAreKept]);
}

#[test]
fn a_double_refund_is_caught() {
    let mut world = World::refunded(&[Item::Seat(0)]);
    let again = call(What::Refund(id(201)), 17, 18, shows(State::Refunded, 15, 20));
    world.lives[0].calls.push(again);
    assert_eq!(world.broken(), [Rule::PaymentsAreKept]);
    let mut world = World::refunded(&[Item::Seat(0)]);
    let record = world.books.bookings.get_mut(&id(1)).expect("it is there");
    record.steps.push(Step { from: Some(State::Refunded), ..record.steps[3] });
    assert_eq!(world.broken(), [Rule::StepsAreLegal, Rule::StepsWereAskedFor, Rule::PaymentsAreKept]);
}

#[test]
fn a_payment_that_is_recorded_otherwise_than_it_was_answered_is_caught() {
    let mut world = World::refunded(&[Item::Seat(0)]);
    world.payment(100, 1, Outcome::RefundDue);
    assert_eq!(world.broken(), [Rule::PaymentsAreKept]);
    // Too late, and its refund forgotten.
    let mut world = World::expired(1, &[Item::Seat(0)]);
    let late = call(What::Pay(paid(100)), 21, 22, Answer::Refused(Reason::HoldExpired, None));
    world.lives[0].calls.push(late);
    assert_eq!(world.broken(), [Rule::PaymentsAreKept]);
    world.payment(100, 1, Outcome::RefundDue);
    assert_eq!(world.broken(), []);
    world.books.announced.clear();
    assert_eq!(world.broken(), [Rule::PaymentsAreKept]);
    world.payment(100, 1, Outcome::RefundDue);
    // And one that nobody made.
    world.payment(101, 1, Outcome::RefundDue);
    assert_eq!(world.broken(), [Rule::PaymentsAreKept]);
}

#[test]
fn a_missing_unit_and_a_seat_of_nobody_are_caught() {
    let mut world = World::expired(1, &[Item::Units { product: 0, quantity: 1 }]);
    world.books.products[0].available = 4;
    assert_eq!(world.broken(), [Rule::NoUnitIsMissing]);
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.books.seats[0] = SeatState::Sold;
    assert_eq!(world.broken(), [Rule::NoUnitIsMissing]);
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.books.holds.clear();
    assert_eq!(world.broken(), [Rule::NoUnitIsMissing]);
}

#[test]
fn a_booking_that_nobody_made_is_caught() {
    let mut world = World::expired(1, &[Item::Seat(0)]);
    world.record(2, &[(State::Expired, 20, 20, None)]);
    assert_eq!(world.broken(), [Rule::StepsWereAskedFor]);
}

#[test]
fn a_seat_that_was_refunded_before_its_deadline_may_have_another_owner() {
    let mut world = World::refunded(&[Item::Seat(0)]);
    let next = call(What::Create { hold: true }, 16, 18, shows(State::Held, 17, 27));
    world.life(2, &[Item::Seat(0)], vec![next]);
    world.record(2, &[(State::Held, 17, 27, None), (State::Expired, 27, 27, None)]);
    assert_eq!(world.broken(), []);
}

#[test]
fn owners_at_one_time_that_only_the_records_know_are_caught() {
    let mut world = World::expired(1, &[Item::Seat(0)]);
    let unknown = call(What::Create { hold: true }, 13, 16, Answer::Unknown);
    world.life(2, &[Item::Seat(0)], vec![unknown]);
    world.record(2, &[(State::Held, 14, 24, None), (State::Expired, 24, 24, None)]);
    assert_eq!(world.broken(), [Rule::OneOwnerAtATime]);
    // The first had run out, however late that was noticed.
    world.record(2, &[(State::Held, 20, 30, None), (State::Expired, 30, 30, None)]);
    world.record(1, &[(State::Held, 10, 20, None), (State::Expired, 22, 20, None)]);
    assert_eq!(world.broken(), []);
}

#[test]
fn a_refusal_before_its_cause_is_caught() {
    let refused = |reason, from, at| call(What::Cancel, at, at + 1, Answer::Refused(reason, from));
    let with = |call: Call| {
        let mut world = World::expired(1, &[Item::Seat(0)]);
        world.lives[0].calls.push(call);
        world.broken()
    };
    assert_eq!(with(refused(Reason::HoldExpired, None, 12)), [Rule::AnswersAreTrue]);
    assert_eq!(with(refused(Reason::HoldExpired, None, 20)), []);
    let paid = |reason, from, at| {
        let mut world = World::refunded(&[Item::Seat(0)]);
        world.lives[0].calls.push(refused(reason, from, at));
        world.broken()
    };
    // Before it was paid; and from a state that its client knew to be left.
    let illegal = Reason::IllegalTransition;
    assert_eq!(paid(illegal, Some(State::Confirmed), 10), [Rule::AnswersAreTrue]);
    assert_eq!(paid(illegal, Some(State::Confirmed), 13), []);
    assert_eq!(paid(illegal, Some(State::Held), 17), [Rule::AnswersAreTrue]);
}
