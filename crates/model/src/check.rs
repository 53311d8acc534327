//! Searches worlds, and reports what was found.

use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, Instant},
};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::{Protocol, action::Action, bounds::Bounds, variant::Variant};

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// States that were generated, also again.
    pub generated: usize,
    /// States that differ.
    pub states: usize,
    /// The longest path, in states.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// The properties that do not hold, each with the steps that lead to where it does not.
    pub broken: Vec<(&'static str, Vec<Action>)>,
    /// The sights that were to be seen and were not.
    pub unseen: Vec<&'static str>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generated, states, depth, took, .. } = self;
        write!(f, "{states} states ({generated} generated), depth {depth}, {:.1} s", took.as_secs_f64())
    }
}

impl Report {
    /// What is broken, each with the steps that lead there, one a line.
    #[must_use]
    pub fn traces(&self) -> String {
        let trace = |(name, steps): &(&str, Vec<Action>)| {
            let steps: Vec<String> = steps.iter().map(|step| format!("    {step:?}")).collect();
            format!("{name}\n{}", steps.join("\n"))
        };
        self.broken.iter().map(trace).collect::<Vec<_>>().join("\n")
    }
}

/// Searches a world of the right protocol through to its last state.
#[must_use]
pub fn exhaust(bounds: Bounds, threads: usize) -> Report {
    let protocol = Protocol { bounds, variant: Variant::Right };
    search(protocol, threads, HasDiscoveries::All, None)
}

/// The shortest way in which a wrong protocol breaks this property in this world; none if it does not.
#[must_use]
pub fn hunt(variant: Variant, property: &'static str, bounds: Bounds) -> Option<Report> {
    let prey = HasDiscoveries::AnyOf(BTreeSet::from([property]));
    let found = |depth| {
        let mut report = search(Protocol { bounds, variant }, 1, prey.clone(), depth);
        report.broken.retain(|(name, _)| *name == property);
        let steps = report.broken.first()?.1.len();
        Some((report, steps))
    };
    let (mut shortest, mut steps) = found(None)?;
    // The checker keeps the last counterexample of the states that it looks at in one go: there may be a shorter one.
    while let Some((report, fewer)) = found(Some(steps + 1)) {
        (shortest, steps) = (report, fewer);
    }
    Some(shortest)
}

fn search(protocol: Protocol, threads: usize, until: HasDiscoveries, max_depth: Option<usize>) -> Report {
    let began = Instant::now();
    let checker = protocol.checker().threads(threads).finish_when(until);
    let checker = match max_depth {
        Some(depth) => checker.target_max_depth(depth),
        None => checker,
    };
    let checker = checker.spawn_bfs().join();
    let took = began.elapsed();
    let mut found = checker.discoveries();
    let (mut broken, mut unseen) = (Vec::new(), Vec::new());
    for property in protocol.properties() {
        match (property.expectation, found.remove(property.name)) {
            (Expectation::Sometimes, None) => unseen.push(property.name),
            (Expectation::Always | Expectation::Eventually, Some(path)) => {
                broken.push((property.name, path.into_actions()));
            }
            (Expectation::Sometimes, Some(_)) | (Expectation::Always | Expectation::Eventually, None) => {}
        }
    }
    Report {
        generated: checker.state_count(),
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took,
        broken,
        unseen,
    }
}
