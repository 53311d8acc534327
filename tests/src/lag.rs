//! The expiry lag as the expirers measure it.

use stack::{ServiceKind, Stack};

/// How many holds the expirers of a stack have released, by what brought them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Holds that a timer brought.
    pub by_timer: u64,
    /// Holds that the sweep found.
    pub by_sweep: u64,
}

impl Lag {
    /// What the expirers' histograms say now.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        let expirers = stack.services().iter().filter(|service| service.kind() == ServiceKind::Expirer);
        let mut lag = Self::default();
        for expirer in expirers.filter(|expirer| expirer.is_running()) {
            let metrics = expirer.get("/metrics").expect("the expirer answers").body;
            lag.by_timer += count(&metrics, "timer");
            lag.by_sweep += count(&metrics, "sweep");
        }
        lag
    }

    /// All of them.
    #[must_use]
    pub const fn all(self) -> u64 {
        self.by_timer + self.by_sweep
    }
}

/// The count of the histogram with this path, in Prometheus' text format; 0 while it has none.
fn count(metrics: &str, path: &str) -> u64 {
    let label = format!("path=\"{path}\"");
    let counts = metrics.lines().filter_map(|line| line.strip_prefix("holdfast_expiry_lag_seconds_count"));
    let of_path = counts.filter(|rest| rest.contains(&label)).filter_map(|rest| rest.rsplit_once(' '));
    of_path.map(|(_, value)| value.parse::<u64>().expect("a count is a number")).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_path() {
        let metrics = "# TYPE holdfast_expiry_lag_seconds histogram\n\
                       holdfast_expiry_lag_seconds_bucket{path=\"timer\",le=\"0.001\"} 3\n\
                       holdfast_expiry_lag_seconds_count{path=\"timer\",otel_scope_name=\"holdfast\"} 7\n\
                       holdfast_expiry_lag_seconds_count{path=\"sweep\"} 2\n";
        assert_eq!((count(metrics, "timer"), count(metrics, "sweep"), count("", "sweep")), (7, 2, 0));
    }
}
