//! Whatever the expirer and the relay do to others is a step: a call, a message that is published, acknowledged or put aside. Each
//! needs a failpoint beside it.

use std::collections::BTreeSet;

use crate::sources::{Source, before_arguments, last_word, sources};

/// Who acts on others.
const ACTORS: [&str; 2] = ["services/expirer/src", "services/reservation/src/relay"];

/// What may be awaited and does nothing to others: waiting, taking turns, units of work and statements that only look. Whatever else is awaited does, unless
/// it is a function of the actor's own, whose awaits are looked at where they stand.
const HARMLESS: [&str; 19] = [
    "acquire",
    "attempt",
    "autocommit",
    "bind",
    "cancel",
    "cancelled",
    "consume",
    "ended",
    "finish",
    "finished",
    "lock",
    "next",
    "notified",
    "sleep_until",
    "submit",
    "traced",
    "transact",
    "up",
    "wait_for",
];
/// Statements: `statements.rs` looks at them.
const STORE: [&str; 2] = ["outbox", "parked"];
/// What only wraps that which is awaited.
const WRAPPERS: [&str; 1] = ["instrument"];
/// What needs no failpoint where it stands.
const EXEMPT: [(&str, &str); 6] = [
    // Asks for the time, and for nothing else.
    ("clock.rs", "resolve_holds"),
    // `publish.sent` is within it, and `park.published` where its answer is waited for.
    ("parking.rs", "publish"),
    // Instead of serving: it says how the service is, and does nothing to it.
    ("main.rs", "carry_out"),
    // Only looks.
    ("queues.rs", "look"),
    // Several of the actor's own functions together.
    ("timers.rs", "timeout"),
    ("timers/message.rs", "try_join_all"),
];

/// What a function does that matters here, in order.
#[derive(Debug, PartialEq)]
enum Event<'a> {
    /// Passes a failpoint.
    Reach,
    /// Acts on others, who may have heard when it fails.
    Act(&'a str),
    /// Ends a message at hand: nothing can follow it.
    End(&'a str),
}

/// What is awaited before the `.await` at the end of some code: on whom, and what.
fn awaited(code: &str) -> (&str, &str) {
    let code = code.trim_end();
    let callee = if code.ends_with(')') { before_arguments(code) } else { code };
    let name = last_word(callee);
    let before = &callee[..callee.len() - name.len()];
    let Some(on) = before.strip_suffix('.') else {
        return (before.strip_suffix("::").map_or("", last_word), name);
    };
    if WRAPPERS.contains(&name) { awaited(on) } else { (last_word(on.trim_end()), name) }
}

/// Whether awaiting this is to act on others.
fn is_act(path: &str, on: &str, name: &str, own: &BTreeSet<&str>) -> bool {
    let is_looked_at_elsewhere = own.contains(name) || STORE.contains(&on) || name == "reach";
    !is_looked_at_elsewhere && !HARMLESS.contains(&name) && !EXEMPT.contains(&(path, name))
}

/// The events of a function. `own`: the actor's functions; `acting`: those of them that act and pass no failpoint.
fn events<'a>(path: &str, body: &'a str, own: &BTreeSet<&str>, acting: &BTreeSet<&str>) -> Vec<Event<'a>> {
    let mut events = Vec::new();
    let reaches = body.match_indices("reach(").map(|(at, _)| (at, Event::Reach));
    events.extend(reaches);
    for (at, _) in body.match_indices(".await") {
        let (on, name) = awaited(&body[..at]);
        let start = name.as_ptr() as usize - body.as_ptr() as usize;
        if on == "delivery" {
            events.push((start, Event::End(name)));
        } else if is_act(path, on, name, own) {
            events.push((start, Event::Act(name)));
        }
    }
    for (at, _) in body.match_indices('(') {
        let name = last_word(&body[..at]);
        // Not where it is declared: a function's text begins with its name.
        if acting.contains(name) && at > name.len() {
            events.push((at - name.len(), Event::Act(name)));
        }
    }
    events.sort_by_key(|(at, _)| *at);
    events.into_iter().map(|(_, event)| event).collect()
}

/// What is done without a failpoint: behind it, or before it where nothing can follow.
fn bare<'a>(events: &[Event<'a>]) -> Vec<&'a str> {
    let bare = |i: usize| match &events[i] {
        Event::Reach => None,
        Event::Act(name) => (events.get(i + 1) != Some(&Event::Reach)).then_some(*name),
        Event::End(name) => (i == 0 || events[i - 1] != Event::Reach).then_some(*name),
    };
    (0..events.len()).filter_map(bare).collect()
}

#[test]
fn whatever_is_done_to_others_has_a_failpoint_beside_it() {
    let mut acts = 0;
    for folder in ACTORS {
        let sources = sources(folder);
        let functions: Vec<(&str, &str, &str)> = sources
            .iter()
            .flat_map(|source: &Source| {
                source.functions().into_iter().map(|(name, body)| (source.path.as_str(), name, body))
            })
            .collect();
        let own: BTreeSet<&str> = functions.iter().map(|(_, name, _)| *name).collect();
        let none = BTreeSet::new();
        // A function that does one thing only may leave the failpoint to who calls it.
        let acting: BTreeSet<&str> = functions
            .iter()
            .filter(|(path, _, body)| !bare(&events(path, body, &own, &none)).is_empty())
            .map(|(_, name, _)| *name)
            .collect();
        for name in &acting {
            let called = functions.iter().any(|(path, caller, body)| {
                !acting.contains(caller) && events(path, body, &own, &acting).contains(&Event::Act(name))
            });
            assert!(called, "{folder}: {name} acts without a failpoint, and nobody calls it");
        }
        for (path, name, body) in functions.iter().filter(|(_, name, _)| !acting.contains(name)) {
            let events = events(path, body, &own, &acting);
            acts += events.iter().filter(|event| **event != Event::Reach).count();
            let bare = bare(&events);
            assert!(bare.is_empty(), "{folder}/{path}: {name} does {bare:?} without a failpoint");
        }
    }
    assert!(acts >= 8, "only {acts} acts were recognised");
}
