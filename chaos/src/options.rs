//! What can be set.

use std::path::PathBuf;
use std::time::Duration;

/// Runs Holdfast under load, breaks it in every way, and proves from what its clients saw that nothing was lost or sold twice.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "chaos", version)]
pub struct Options {
    /// How long to break things: 90s, 30m, 2h.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    pub duration: Duration,
    /// What all dice start from: the plan of faults and the choices of clients. Their timing is the machine's. None: any.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// How many clients.
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u64).range(1..=1000), value_name = "COUNT")]
    pub clients: u64,
    /// How long a client thinks between two calls, at most, in milliseconds.
    #[arg(long, default_value_t = 200, value_name = "MS")]
    pub think_ms: u64,
    /// On a cluster: a PostgreSQL primary with a synchronous standby that gets promoted, and three RabbitMQ nodes.
    #[arg(long)]
    pub cluster: bool,
    /// Where the report goes and, when something is wrong, logs and histories.
    #[arg(long, default_value = ".holdfast/chaos", value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// A number of seconds, minutes or hours.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is not a duration such as 90s or 30m"))?;
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(format!("{unit:?} is none of s, m and h")),
    };
    match number.checked_mul(seconds).filter(|seconds| (10..=86_400).contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => Err("a run takes 10 s at least and a day at most".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_limits() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("60"), Ok(Duration::from_mins(1)));
        assert_eq!(duration("30m"), Ok(Duration::from_mins(30)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        for bad in ["", "m", "1d", "9s", "25h", "-5m", "99999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
