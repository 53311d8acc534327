//! Figures: what is measured, and what is to be reached.

use serde::Serialize;

use crate::load::Latency;

/// What a figure is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Target {
    /// Whether it is reached.
    #[must_use]
    pub fn is_reached(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }

    /// How far a value goes: 1 is just reached, more is better.
    #[must_use]
    pub fn progress(self, value: f64) -> f64 {
        match self {
            Self::AtLeast(limit) => value / limit.max(f64::MIN_POSITIVE),
            Self::AtMost(limit) => limit / value.max(f64::MIN_POSITIVE),
        }
    }
}

/// One figure: the median of its rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// In which unit; empty: a ratio.
    pub unit: &'static str,
    /// The median of its rounds.
    pub value: f64,
    /// Each round.
    pub rounds: Vec<f64>,
    /// What it is to reach; none: it is told for what it is.
    pub target: Option<Target>,
}

/// What a scenario came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Its name.
    pub scenario: String,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// Latencies, where they are the point.
    pub latencies: Vec<Latency>,
    /// What else is to be known.
    pub notes: Vec<String>,
    /// How long it took, in seconds, with everything.
    pub took_s: f64,
}

impl Report {
    /// Adds a figure with what it is to reach.
    pub fn figure(&mut self, name: &str, unit: &'static str, rounds: &[f64], target: Target) {
        self.push(name, unit, rounds, Some(target));
    }

    /// Adds a figure that has nothing to reach.
    pub fn told(&mut self, name: &str, unit: &'static str, rounds: &[f64]) {
        self.push(name, unit, rounds, None);
    }

    /// Adds a note.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn push(&mut self, name: &str, unit: &'static str, rounds: &[f64], target: Option<Target>) {
        let (name, rounds) = (name.to_owned(), rounds.to_vec());
        self.figures.push(Figure { name, unit, value: median(&rounds), rounds, target });
    }
}

impl Figure {
    /// Whether it reaches its target, if it has one.
    #[must_use]
    pub fn is_reached(&self) -> Option<bool> {
        self.target.map(|target| target.is_reached(self.value))
    }

    /// Its value in words, with the rounds where there are several.
    #[must_use]
    pub fn spelled(&self) -> String {
        let value = spell(self.value, self.unit);
        let least = self.rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if self.rounds.len() < 2 {
            return value;
        }
        format!("{value} ({} .. {})", digits(least), digits(most))
    }
}

/// The middle one; of an even number, the mean of both in the middle. Of none, not a number.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (count, middle) if count % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        (_, middle) => sorted[middle],
    }
}

/// A number with its unit.
#[must_use]
pub fn spell(value: f64, unit: &str) -> String {
    if unit.is_empty() { digits(value) } else { format!("{} {unit}", digits(value)) }
}

/// Three digits that count, or all before the point.
fn digits(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 100.0 => thousands(value),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A whole number with commas.
fn thousands(value: f64) -> String {
    let plain = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_the_median_of_its_rounds() {
        let mut report = Report::default();
        report.figure("a rate", "/s", &[3_000.0, 1_000.0, 20_000.0], Target::AtLeast(2_999.0));
        let figure = &report.figures[0];
        assert!((figure.value - 3_000.0).abs() < 1e-9);
        assert_eq!(figure.is_reached(), Some(true));
        assert_eq!(figure.spelled(), "3,000 /s (1,000 .. 20,000)");
        assert!((median(&[1.0, 2.0]) - 1.5).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_target_is_reached_on_its_side_and_never_by_what_was_not_measured() {
        assert!(Target::AtLeast(0.9).is_reached(0.9) && !Target::AtLeast(0.9).is_reached(0.89));
        assert!(Target::AtMost(20.0).is_reached(20.0) && !Target::AtMost(20.0).is_reached(20.1));
        assert!(!Target::AtLeast(1.0).is_reached(f64::NAN) && !Target::AtMost(1.0).is_reached(f64::NAN));
        assert!((Target::AtMost(10.0).progress(20.0) - 0.5).abs() < 1e-9);
    }
}
