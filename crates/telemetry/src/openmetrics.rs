//! The text format of Prometheus made into OpenMetrics, which differs little: a counter's family goes by its name without `_total`,
//! bounds are floats, there are no comments, and an end.
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>

/// Whether a request with this `Accept` header is to be answered in OpenMetrics: as Prometheus asks for it. Which of several it
/// likes best is not looked at: who can read both gets the newer.
pub(crate) fn is_asked_for(accept: &str) -> bool {
    accept.split(',').any(|kind| kind.trim_start().starts_with("application/openmetrics-text"))
}

/// The same metrics in OpenMetrics. `text` is what the encoder of Prometheus wrote.
pub(crate) fn from_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 256);
    // HELP comes before TYPE, which says whether it is a counter: so HELP waits.
    let mut help = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let family = if kind == "counter" { name.strip_suffix("_total").unwrap_or(name) } else { name };
            out.extend(["# TYPE ", family, " ", kind, "\n"]);
            if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                out.extend(["# HELP ", family, " ", help, "\n"]);
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            push_sample(&mut out, line);
        }
    }
    out.push_str("# EOF\n");
    out
}

/// Writes a sample; the bound of a bucket (`le="5"`) as a float (`le="5.0"`).
fn push_sample(out: &mut String, line: &str) {
    const BOUND: &str = "le=\"";
    let bound = line.find(BOUND).map(|at| at + BOUND.len());
    let end = bound.and_then(|start| Some(start + line[start..].find('"')?));
    match (bound, end) {
        (Some(start), Some(end)) if line[start..end].bytes().all(|byte| byte.is_ascii_digit()) => {
            out.extend([&line[..end], ".0", &line[end..]]);
        }
        _ => out.push_str(line),
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_asks_for_it_and_people_do_not() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert!(is_asked_for(prometheus));
        assert!(is_asked_for("text/plain, application/openmetrics-text"));
        for other in ["", "*/*", "text/plain;version=0.0.4", "text/html,application/xhtml+xml"] {
            assert!(!is_asked_for(other), "{other}");
        }
    }

    #[test]
    fn counters_bounds_and_the_end_are_written_as_openmetrics_wants_them() {
        let text = "# HELP holds_total Holds\n# TYPE holds_total counter\nholds_total{reason=\"\"} 3\n\
                    # HELP wait_seconds Waits\n# TYPE wait_seconds histogram\n\
                    wait_seconds_bucket{path=\"a\",le=\"0.5\"} 1\nwait_seconds_bucket{path=\"a\",le=\"5\"} 2\n\
                    wait_seconds_bucket{path=\"a\",le=\"+Inf\"} 2\nwait_seconds_sum{path=\"a\"} 1.5\n\
                    wait_seconds_count{path=\"a\"} 2\n# TYPE depth gauge\ndepth 4\n";
        let expected = "# TYPE holds counter\n# HELP holds Holds\nholds_total{reason=\"\"} 3\n\
                        # TYPE wait_seconds histogram\n# HELP wait_seconds Waits\n\
                        wait_seconds_bucket{path=\"a\",le=\"0.5\"} 1\nwait_seconds_bucket{path=\"a\",le=\"5.0\"} 2\n\
                        wait_seconds_bucket{path=\"a\",le=\"+Inf\"} 2\nwait_seconds_sum{path=\"a\"} 1.5\n\
                        wait_seconds_count{path=\"a\"} 2\n# TYPE depth gauge\ndepth 4\n# EOF\n";
        assert_eq!(from_text(text), expected);
    }
}
