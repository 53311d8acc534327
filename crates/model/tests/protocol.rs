//! The protocol holds in every world of the small ones, searched to its last state; and every wrong protocol is found out.

use std::{collections::BTreeSet, io::Write as _};

use model::{Protocol, bounds::Bounds, check, property, state::State, variant::Variant, worlds};

/// Searches a world to its last state. Everything has to hold, and everything that it is to show has to be seen.
fn holds_in(bounds: Bounds) {
    let report = check::exhaust(bounds, 1);
    say(&format!("{}: {report}", bounds.name));
    assert!(report.broken.is_empty(), "{}", report.traces());
    assert_eq!(
        report.unseen,
        Vec::<&str>::new(),
        "never seen: the search of {:?} was an empty one",
        bounds.name
    );
    let said = documented(bounds.name);
    let found = [report.states, report.generated, report.depth];
    assert_eq!(
        found, said,
        "docs/model.md says so of {:?}: the model changed, or what it is made of",
        bounds.name
    );
}

/// What `docs/model.md` says of a world: states, steps and depth. A world that became larger or smaller did so for a reason,
/// which somebody has to know.
fn documented(name: &str) -> [usize; 3] {
    let docs = include_str!("../../../docs/model.md");
    let row = docs.lines().find_map(|line| line.strip_prefix("| ")?.strip_prefix(name)?.strip_prefix(" | "));
    let row = row.unwrap_or_else(|| panic!("docs/model.md has nothing on {name:?}"));
    let figures: Vec<usize> =
        row.split('|').filter_map(|cell| cell.trim().replace(',', "").parse().ok()).collect();
    figures.try_into().expect("three figures in each row")
}

/// Shown also when the test passes: how much was searched is the point.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "  model: {line}").expect("standard output takes a line");
}

#[test]
fn one_booking_survives_every_call_and_every_fault() {
    holds_in(worlds::ONE_BOOKING);
}

#[test]
fn a_draft_survives_its_attempts_and_a_stranger_with_its_id() {
    holds_in(worlds::DRAFTS);
}

#[test]
fn the_last_unit_and_seat_are_promised_to_one_of_two() {
    holds_in(worlds::TWO_BOOKINGS);
}

#[test]
fn two_clocks_do_not_sell_twice() {
    holds_in(worlds::TWO_CLOCKS);
}

#[test]
fn two_drafts_do_not_get_the_same_unit() {
    holds_in(worlds::TWO_DRAFTS);
}

#[test]
fn everything_comes_to_rest_once_nothing_fails_any_more() {
    for bounds in [worlds::CALM, worlds::CALM_DRAFTS, worlds::CALM_TWO, worlds::PAID_BACK] {
        holds_in(bounds);
    }
}

#[test]
fn timers_alone_are_enough_while_the_broker_loses_none() {
    holds_in(worlds::NO_SWEEP);
}

#[test]
fn every_wrong_protocol_is_found_out() {
    for variant in Variant::WRONG {
        assert!(!variant.breaks().is_empty());
        for (property, bounds) in variant.breaks() {
            let found = check::hunt(variant, property, *bounds);
            let report = found.unwrap_or_else(|| panic!("{variant:?} did not break {property:?}"));
            say(&format!("{variant:?} breaks {property:?} in {} steps", report.broken[0].1.len()));
        }
    }
}

/// A property that no wrong protocol breaks might be one that nothing breaks.
#[test]
fn every_property_is_broken_by_some_wrong_protocol() {
    let broken = Variant::WRONG.iter().flat_map(|variant| variant.breaks()).map(|(property, _)| *property);
    assert_eq!(broken.collect::<BTreeSet<_>>(), property::ALL.into_iter().collect());
}

/// But for the world that is wrong itself, the right protocol is searched in every world that a wrong one fails in.
#[test]
fn the_right_protocol_is_tried_where_the_wrong_ones_fail() {
    let small = worlds::SMALL.map(|bounds| bounds.name);
    for variant in Variant::WRONG.into_iter().filter(|variant| *variant != Variant::TimersOnly) {
        assert!(variant.breaks().iter().all(|(_, bounds)| small.contains(&bounds.name)), "{variant:?}");
    }
}

/// Two states that differ in the order of equal bookings are one.
#[test]
fn equal_bookings_have_no_names() {
    let protocol = Protocol { bounds: worlds::TWO_BOOKINGS, variant: Variant::Right };
    let next: BTreeSet<State> = protocol.after(&State::initial()).into_iter().collect();
    assert_eq!(next.len(), 1, "both customers' first calls lead to one state: {next:#?}");
}
