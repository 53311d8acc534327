//! How large and how long everything is: in full, quickly, or tiny for the test of the harness itself.

use std::time::Duration;

/// Sizes and times.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// What it is called.
    pub name: &'static str,
    /// How often each measurement is taken, alternating with its baselines.
    pub rounds: usize,
    /// How long load runs before anything counts.
    pub warm_up: Duration,
    /// How long a measurement takes.
    pub measured: Duration,
    /// Calls in flight at the peak.
    pub in_flight: usize,
    /// Clients of baseline N.
    pub sql_clients: usize,
    /// Products where there are many.
    pub products: usize,
    /// Seat maps, and the seats of each.
    pub seat_maps: usize,
    /// As above.
    pub seats: usize,
    /// Holds each second whose expiry is measured.
    pub expiry_rate: f64,
    /// For how long they are placed.
    pub expiry_time: Duration,
    /// Holds that fall due within one second.
    pub storm: u64,
    /// Holds that are open.
    pub parked: u64,
    /// Bookings that were settled long ago.
    pub history: u64,
    /// Holds whose statements and messages are counted.
    pub counted: u64,
    /// Whether targets mean anything at this size.
    pub judged: bool,
}

impl Scale {
    /// `make bench`.
    pub const FULL: Self = Self {
        name: "full",
        rounds: 3,
        warm_up: Duration::from_secs(3),
        measured: Duration::from_secs(8),
        in_flight: 256,
        sql_clients: 64,
        products: 10_000,
        seat_maps: 100,
        seats: 10_000,
        expiry_rate: 500.0,
        expiry_time: Duration::from_mins(1),
        storm: 100_000,
        parked: 1_000_000,
        history: 5_000_000,
        counted: 20_000,
        judged: true,
    };

    /// `make bench-quick`: what holds for rates holds here too; what depends on how much there is does not.
    pub const QUICK: Self = Self {
        name: "quick",
        rounds: 1,
        warm_up: Duration::from_secs(2),
        measured: Duration::from_secs(3),
        products: 2_000,
        seat_maps: 10,
        expiry_time: Duration::from_secs(8),
        storm: 10_000,
        parked: 20_000,
        history: 50_000,
        counted: 5_000,
        ..Self::FULL
    };

    /// For the test of the harness: everything happens, nothing can be concluded.
    pub const TINY: Self = Self {
        name: "tiny",
        rounds: 1,
        warm_up: Duration::from_millis(200),
        measured: Duration::from_millis(300),
        in_flight: 32,
        sql_clients: 8,
        products: 50,
        seat_maps: 2,
        seats: 1_000,
        expiry_rate: 50.0,
        expiry_time: Duration::from_secs(1),
        storm: 200,
        parked: 200,
        history: 500,
        counted: 1_000,
        judged: false,
    };
}
