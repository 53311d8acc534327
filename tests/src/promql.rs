//! Just enough of PromQL to know what a query names: metrics, their labels, and the labels that it groups by.

use std::collections::BTreeSet;

/// What takes a list of labels in parentheses behind it.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// What is neither a metric nor followed by a parenthesis at once: operators, and aggregations with `by` behind them.
const WORDS: [&str; 16] = [
    "and", "or", "unless", "bool", "offset", "inf", "nan", "sum", "min", "max", "avg", "count", "topk",
    "bottomk", "quantile", "group",
];

/// What a query names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Its metrics, each with what it asks of their labels.
    pub selectors: Vec<Selector>,
    /// The labels that it groups or matches by.
    pub grouped: BTreeSet<String>,
}

/// A metric, and what is asked of its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// The metric.
    pub metric: String,
    /// Labels, each with its operator (`=`, `!=`, `=~`, `!~`) and value.
    pub matchers: Vec<(String, String, String)>,
}

/// Reads the names out of a query that is well-formed.
#[must_use]
pub fn names(query: &str) -> Names {
    let mut rest = query;
    let mut names = Names::default();
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() || first == '_' || first == ':' {
            let (word, behind) = split(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
            rest = behind.trim_start();
            if LISTS.contains(&word) {
                let (list, behind) = enclosed(rest, '(', ')');
                let labels = list.split(',').map(str::trim).filter(|label| !label.is_empty());
                names.grouped.extend(labels.map(str::to_owned));
                rest = behind;
            } else if !WORDS.contains(&word) && !rest.starts_with('(') {
                let (matchers, behind) =
                    if rest.starts_with('{') { enclosed(rest, '{', '}') } else { ("", rest) };
                names.selectors.push(Selector { metric: word.to_owned(), matchers: parse(matchers) });
                rest = behind;
            }
        } else if first.is_ascii_digit() {
            // A number or a duration.
            rest = split(rest, |c| c.is_ascii_alphanumeric() || c == '.').1;
        } else if first == '"' {
            rest = quoted(rest).1;
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    names
}

/// The matchers between braces.
fn parse(mut rest: &str) -> Vec<(String, String, String)> {
    let mut matchers = Vec::new();
    while let Some(at) = rest.find(['=', '!']) {
        let label = rest[..at].trim_matches([' ', ',']).to_owned();
        let (operator, behind) = split(&rest[at..], |c| "=!~".contains(c));
        let (value, behind) = quoted(behind.trim_start());
        matchers.push((label, operator.to_owned(), value.to_owned()));
        rest = behind;
    }
    matchers
}

/// The longest beginning of such characters, and what is behind it.
fn split(text: &str, of: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !of(c)).unwrap_or(text.len()))
}

/// What stands between an opening at the beginning and its end, and what is behind that. Strings may have either in them.
fn enclosed(text: &str, open: char, close: char) -> (&str, &str) {
    let inside = text.strip_prefix(open).expect("it opens");
    let mut at = 0;
    while !inside[at..].starts_with(close) {
        let rest = &inside[at..];
        at += if rest.starts_with('"') { rest.len() - quoted(rest).1.len() } else { 1 };
    }
    (&inside[..at], &inside[at + 1..])
}

/// The text in quotes at the beginning, and what is behind it.
fn quoted(text: &str) -> (&str, &str) {
    let inside = text.strip_prefix('"').expect("a string begins");
    inside.split_once('"').expect("a string ends")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_labels_and_groups_are_told_from_functions_numbers_and_strings() {
        let query = "histogram_quantile(0.99, sum by (le, path) (rate(a_bucket{code=\"OK\",m=~\"x{1}(y|z)\"}[5m])))\n\
                     / on (job) b:c > 1e3 or (time() - max(d) > 14.4 * 0.001 and absent(up{job!=\"sum\"}))";
        let found = names(query);
        let matcher = |label: &str, operator: &str, value: &str| {
            (label.to_owned(), operator.to_owned(), value.to_owned())
        };
        let selector = |metric: &str, matchers: Vec<_>| Selector { metric: metric.to_owned(), matchers };
        let wanted = vec![
            selector("a_bucket", vec![matcher("code", "=", "OK"), matcher("m", "=~", "x{1}(y|z)")]),
            selector("b:c", vec![]),
            selector("d", vec![]),
            selector("up", vec![matcher("job", "!=", "sum")]),
        ];
        assert_eq!(found.selectors, wanted);
        assert_eq!(found.grouped, ["job", "le", "path"].map(str::to_owned).into());
    }
}
