//! The plan: which faults come when, for how long. Pure: the same seed gives the same plan.
//!
//! Faults come in storms with calm in between, in which the system must be whole again by itself. What comes is dealt from a
//! deck that is shuffled anew when it is empty, so that a short run has every kind of fault, too.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use stack::Weather;

use crate::fault::{Fault, ServerFault};

/// What there is to break.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many services.
    pub services: usize,
    /// How many links.
    pub links: usize,
    /// How many nodes of RabbitMQ. Of more than one, one at a time is struck, and PostgreSQL has a standby.
    pub nodes: usize,
}

/// One fault to come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Planned {
    /// When, after the start.
    pub at: Duration,
    /// For how long, before it is mended. What it takes to come back is not in it.
    pub lasts: Duration,
    /// What.
    pub fault: Fault,
}

/// No faults so long at the beginning and at the end.
const PEACE: Duration = Duration::from_secs(3);
/// How long a storm lasts, in milliseconds.
const STORM_MS: std::ops::Range<u64> = 15_000..25_000;
/// How long calm lasts, in milliseconds.
const CALM_MS: std::ops::Range<u64> = 7_000..10_000;
/// How long after the one before a fault comes, in milliseconds.
const INTERVAL_MS: std::ops::Range<u64> = 100..2_200;

/// A kind of fault, before the dice say where and how.
#[derive(Clone, Copy)]
enum Card {
    Kill,
    Terminate,
    Pause,
    Postgres(ServerFault),
    Failover,
    Standby,
    RabbitMq(ServerFault),
    Purge,
    Cut,
    Stall,
    Slow,
    Deaf,
}

const DECK: [(Card, usize); 15] = [
    (Card::Kill, 4),
    (Card::Terminate, 2),
    (Card::Pause, 3),
    (Card::Postgres(ServerFault::Restart), 1),
    (Card::Postgres(ServerFault::Immediate), 1),
    (Card::Postgres(ServerFault::Kill), 1),
    (Card::Postgres(ServerFault::Pause), 1),
    (Card::RabbitMq(ServerFault::Restart), 1),
    (Card::RabbitMq(ServerFault::Kill), 1),
    (Card::RabbitMq(ServerFault::Pause), 1),
    (Card::Purge, 2),
    (Card::Cut, 4),
    (Card::Stall, 4),
    (Card::Slow, 3),
    (Card::Deaf, 3),
];

/// What comes on top where there is a cluster.
const CLUSTER_DECK: [(Card, usize); 4] = [
    (Card::Failover, 2),
    (Card::Standby, 1),
    (Card::RabbitMq(ServerFault::Kill), 1),
    (Card::RabbitMq(ServerFault::Restart), 1),
];

/// The plan of a run.
#[must_use]
pub fn plan(seed: u64, duration: Duration, shape: Shape) -> Vec<Planned> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut deck = Vec::new();
    let mut planned = Vec::new();
    let mut at = PEACE;
    let end = duration.saturating_sub(PEACE);
    while at < end {
        let storm_end = end.min(at + Duration::from_millis(dice.random_range(STORM_MS)));
        while at < storm_end {
            if deck.is_empty() {
                deck = DECK.iter().flat_map(|(card, count)| vec![*card; *count]).collect();
                if shape.nodes > 1 {
                    deck.extend(CLUSTER_DECK.iter().flat_map(|(card, count)| vec![*card; *count]));
                }
                deck.shuffle(&mut dice);
            }
            let Some(card) = deck.pop() else { return planned };
            let (fault, lasts_ms) = deal(card, &mut dice, shape);
            let lasts = Duration::from_millis(lasts_ms).min(end.saturating_sub(at));
            planned.push(Planned { at, lasts, fault });
            at += Duration::from_millis(dice.random_range(INTERVAL_MS));
        }
        at = storm_end + Duration::from_millis(dice.random_range(CALM_MS));
    }
    planned
}

/// What exactly, and for how many milliseconds.
fn deal(card: Card, dice: &mut StdRng, shape: Shape) -> (Fault, u64) {
    let service = dice.random_range(0..shape.services);
    let link = dice.random_range(0..shape.links);
    match card {
        Card::Kill => (Fault::Kill(service), dice.random_range(50..3_000)),
        Card::Terminate => (Fault::Terminate(service), dice.random_range(50..1_000)),
        Card::Pause => (Fault::Pause(service), dice.random_range(300..5_000)),
        Card::Postgres(ServerFault::Pause) => {
            (Fault::Postgres(ServerFault::Pause), dice.random_range(300..3_000))
        }
        Card::Postgres(fault) => (Fault::Postgres(fault), dice.random_range(10..1_500)),
        Card::Failover => (Fault::Failover, dice.random_range(10..1_500)),
        Card::Standby => (Fault::Standby, dice.random_range(10..2_000)),
        Card::RabbitMq(fault) => {
            let one = if shape.nodes > 1 {
                Fault::Node(dice.random_range(0..shape.nodes), fault)
            } else {
                Fault::RabbitMq(fault)
            };
            let lasts_ms = if fault == ServerFault::Pause { 500..5_000 } else { 10..2_000 };
            (one, dice.random_range(lasts_ms))
        }
        Card::Purge => (Fault::Purge, 0),
        Card::Cut => (Fault::Link(link, Weather::Cut), dice.random_range(100..3_000)),
        Card::Stall => (Fault::Link(link, Weather::Stalled), dice.random_range(300..6_000)),
        Card::Slow => {
            let delay = Duration::from_millis(dice.random_range(20..800));
            (Fault::Link(link, Weather::Slow(delay)), dice.random_range(500..6_000))
        }
        Card::Deaf => (Fault::Link(link, Weather::Deaf), dice.random_range(300..3_000)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SHAPE: Shape = Shape { services: 6, links: 18, nodes: 1 };

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let long = Duration::from_mins(30);
        assert_eq!(plan(1, long, SHAPE), plan(1, long, SHAPE));
        assert_ne!(plan(1, long, SHAPE), plan(2, long, SHAPE));
    }

    #[test]
    fn a_minute_has_most_kinds_and_every_fault_is_over_before_the_end() {
        for seed in 0..50 {
            let planned = plan(seed, Duration::from_mins(1), SHAPE);
            let kinds: HashSet<&str> = planned.iter().map(|planned| planned.fault.kind()).collect();
            assert!(kinds.len() >= 11, "{seed}: {kinds:?}");
            assert!(planned.iter().all(|planned| planned.at + planned.lasts <= Duration::from_secs(57)));
        }
    }

    #[test]
    fn only_a_cluster_fails_over_and_loses_single_nodes() {
        let kinds = |nodes| -> HashSet<&str> {
            let planned = plan(3, Duration::from_mins(10), Shape { nodes, ..SHAPE });
            planned.iter().map(|planned| planned.fault.kind()).collect()
        };
        let more = [
            "PostgreSQL primary killed, standby promoted",
            "PostgreSQL standby killed",
            "RabbitMQ node killed",
        ];
        assert!(more.iter().all(|kind| kinds(3).contains(kind) && !kinds(1).contains(kind)));
        assert!(!kinds(3).contains("RabbitMQ killed"));
    }

    #[test]
    fn calm_comes_between_storms() {
        let planned = plan(7, Duration::from_mins(5), SHAPE);
        let calms = planned.windows(2).filter(|pair| pair[1].at >= pair[0].at + Duration::from_secs(7));
        assert!(calms.count() >= 6);
    }
}
