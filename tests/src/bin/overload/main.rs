//! `make overload`: how Holdfast does under ten times the load that it can take.
//!
//! Two floods. In the first the database is far away and bookings are large: what limits is the database, and generator and
//! services have processors to spare; there the rules are judged, and the program fails if one is broken. In the second,
//! bookings are small and everything competes for the processors of this machine: the generator cannot send ten times the
//! best, and what it takes itself is missing from the goodput; only what holds all the same is judged.

mod flood;
mod load;
mod verdict;

use std::{env, fs, process::ExitCode, time::Duration};

use crate::flood::Flood;

/// The floods, in their order.
const FLOODS: [Flood; 2] = [
    Flood {
        what: "bookings of 100 lines, 25 ms from the services to the database",
        lines: 100,
        delay: Duration::from_millis(25),
        customers: &[16, 64, 128],
        spares_processors: true,
    },
    Flood {
        what: "bookings of one line, as many as this machine can send",
        lines: 1,
        delay: Duration::ZERO,
        customers: &[64, 256, 1_024, 1_536],
        spares_processors: false,
    },
];

#[tokio::main]
async fn main() -> ExitCode {
    let seconds = env::args().nth(1).map_or(60, |text| text.parse().expect("the duration in seconds"));
    let mut broken = Vec::new();
    for flood in FLOODS {
        println!("\n{}", flood.what);
        println!("load average before: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
        broken.extend(flood.run(Duration::from_secs(seconds)).await);
    }
    if broken.is_empty() {
        println!("\nall rules were kept");
        return ExitCode::SUCCESS;
    }
    println!("\nbroken rules:");
    for rule in broken {
        println!("  {rule}");
    }
    ExitCode::FAILURE
}
