//! Metrics: as a process exports them, and as `docs/metrics.md` promises them.

use std::collections::{BTreeMap, BTreeSet};

use stack::ServiceKind;

/// The label that belongs to the format of histograms.
const BOUND: &str = "le";

/// A family of metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// counter, gauge or histogram.
    pub kind: String,
    /// Its labels, with the values that each has or may have; a page that does not enumerate them has none.
    pub labels: BTreeMap<String, BTreeSet<String>>,
}

/// Families by their names.
pub type Families = BTreeMap<String, Family>;

/// What is exported, read from Prometheus' text format; added to what others export.
pub fn read_exported(text: &str, into: &mut Families) {
    let mut family = Family::default();
    let mut name = String::new();
    let mut keep = |name: &str, family: &Family| {
        if name.is_empty() {
            return;
        }
        let known = into.entry(name.to_owned()).or_insert_with(|| family.clone());
        assert_eq!(known.kind, family.kind, "{name}");
        for (label, values) in &family.labels {
            known.labels.entry(label.clone()).or_default().extend(values.iter().cloned());
        }
    };
    for line in text.lines() {
        if let Some((of, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            keep(&name, &family);
            of.clone_into(&mut name);
            family = Family { kind: kind.to_owned(), labels: BTreeMap::new() };
        } else if let Some((_, rest)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            for (label, value) in labels(rest) {
                family.labels.entry(label).or_default().insert(value);
            }
        }
    }
    keep(&name, &family);
}

/// Reads `a="b",c="d"} 1`. No value here has a quote in it.
fn labels(text: &str) -> Vec<(String, String)> {
    let mut rest = text;
    let mut labels = Vec::new();
    while let Some((label, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').expect("a value ends");
        labels.push((label.trim_start_matches(',').to_owned(), value.to_owned()));
        rest = after;
    }
    labels.retain(|(label, _)| label != BOUND);
    labels
}

/// What the page promises of each process.
#[must_use]
pub fn read_promised(page: &str) -> Vec<(ServiceKind, Families)> {
    let mut promised: Vec<_> = ServiceKind::ALL.map(|kind| (kind, Families::new())).into();
    let mut processes = Vec::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            processes = heading.split(", ").map(str::to_owned).collect();
        }
        let Some(row) = line.strip_prefix("| `") else { continue };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [name, kind, labels, _tells, ""] = cells[..] else { panic!("a row of four cells: {line}") };
        let family = Family { kind: kind.to_owned(), labels: promised_labels(labels) };
        for (_, families) in
            promised.iter_mut().filter(|(kind, _)| processes.contains(&kind.name().to_owned()))
        {
            let before = families.insert(name.trim_end_matches('`').to_owned(), family.clone());
            assert!(before.is_none(), "{name} stands there twice");
        }
    }
    promised
}

/// Reads `` `path` (`timer`, `sweep`), `code` ``: labels, and the values of those that are enumerated.
fn promised_labels(cell: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels = BTreeMap::new();
    let mut rest = cell;
    while let Some((label, after)) =
        rest.trim_start_matches([',', ' ']).strip_prefix('`').and_then(|l| l.split_once('`'))
    {
        let enumerated = after.strip_prefix(" (").and_then(|values| values.split_once(')'));
        let (values, after) = enumerated.unwrap_or(("", after));
        let values = values.split(", ").filter(|value| !value.is_empty()).map(|value| value.replace('`', ""));
        labels.insert(label.to_owned(), values.collect());
        rest = after;
    }
    assert_eq!(rest, "", "labels that cannot be read: {cell}");
    labels
}

/// What `exported` and `promised` differ in, a line each.
#[must_use]
pub fn differences(exported: &Families, promised: &Families) -> Vec<String> {
    let mut found = Vec::new();
    for (name, family) in exported {
        let Some(expected) = promised.get(name) else {
            found.push(format!("{name} is exported and not documented"));
            continue;
        };
        if family.kind != expected.kind {
            found.push(format!("{name} is a {}, not a {}", family.kind, expected.kind));
        }
        let names = |family: &Family| family.labels.keys().cloned().collect::<Vec<_>>();
        if names(family) != names(expected) {
            found.push(format!("{name} has the labels {:?}, not {:?}", names(family), names(expected)));
        }
        for (label, values) in &family.labels {
            let may = expected.labels.get(label).filter(|may| !may.is_empty());
            let other: Vec<_> =
                values.iter().filter(|value| may.is_some_and(|may| !may.contains(*value))).collect();
            if !other.is_empty() {
                found.push(format!("{name}: {label} is {other:?}, which is not documented"));
            }
        }
    }
    let missing = promised.keys().filter(|name| !exported.contains_key(*name));
    found.extend(missing.map(|name| format!("{name} is documented and not exported")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "## catalog, expirer\n\n| name | type | labels | what |\n|---|---|---|---|\n\
                        | `a_total` | counter | `path` (`timer`, ``), `code` | text |\n| `b` | gauge | | text |\n";

    fn compared(exported: &str) -> Vec<String> {
        let mut families = Families::new();
        read_exported(exported, &mut families);
        let promised = read_promised(PAGE);
        assert!(promised[1].1.is_empty(), "nothing is said of reservation");
        assert_eq!(promised[0].1, promised[2].1);
        differences(&families, &promised[0].1)
    }

    #[test]
    fn what_is_exported_as_documented_does_not_differ() {
        let exported = "# HELP a_total x\n# TYPE a_total counter\na_total{path=\"timer\",code=\"x, y\"} 1\n\
                        a_total{path=\"\",code=\"OK\"} 1\n# TYPE b gauge\nb 3\n";
        assert_eq!(compared(exported), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_difference_is_found() {
        let exported = "# TYPE a_total gauge\na_total{path=\"late\",le=\"1\"} 1\n# TYPE c gauge\nc 1\n";
        let found = compared(exported);
        for expected in [
            "a gauge, not a counter",
            "has the labels [\"path\"]",
            "is [\"late\"]",
            "c is exported",
            "b is documented",
        ] {
            assert!(found.iter().any(|difference| difference.contains(expected)), "{expected}: {found:?}");
        }
    }
}
