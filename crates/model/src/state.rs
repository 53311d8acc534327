//! One state of the whole system: what stands in both databases and in the broker, and what is in somebody's hands.
//!
//! Small and flat, because millions of them are kept. Time is told as what is left of it, so that two states that differ
//! only in the hour are one.

use catalog::domain::hold::HoldState;
use reservation::domain::{booking::StateName, command::PaymentOutcome, promise::Settlement};

/// The most bookings.
pub const BOOKINGS: usize = 2;
/// The most attempts of a booking at a hold.
pub const ATTEMPTS: usize = 3;
/// The most calls under way that place holds for a booking.
pub const CALLS: usize = 2;
/// The most copies of a booking's timer in the broker.
pub const COPIES: usize = 2;
/// The payments that may be reported of a booking: two that take money, and one that does not.
pub const PAYMENTS: usize = 3;

/// The whole system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// The bookings, each with everything that is about it.
    pub cases: [Case; BOOKINGS],
    /// Catalog: the product's `held`.
    pub held: i8,
    /// Catalog: the product's `sold`.
    pub sold: i8,
    /// Catalog: which hold has the seat, and whether it is sold.
    pub seat: Option<SeatTaken>,
    /// From here on nothing fails and no customer asks for anything.
    pub calm: bool,
    /// What the steps up to here did wrong.
    pub flaws: Flaws,
}

/// A seat that is HELD or SOLD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatTaken {
    /// By the hold of this booking.
    pub booking: u8,
    /// And of this attempt.
    pub attempt: u8,
    /// SOLD.
    pub sold: bool,
}

/// A booking, and everything about it in all parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Case {
    /// Reservation: its row.
    pub record: Option<Record>,
    /// Reservation: the payments that were reported, by number.
    pub payments: [Option<PaymentOutcome>; PAYMENTS],
    /// Reservation: there is a timer row in the outbox.
    pub timer_row: bool,
    /// Reservation: the settle rows in the outbox.
    pub settle_rows: Verdicts,
    /// Settlements that their senders have given up, and that will yet reach the catalog, or not.
    pub astray: Verdicts,
    /// Catalog: the holds, by attempt.
    pub holds: [Option<HoldRow>; ATTEMPTS],
    /// Broker and expirer: the copies of its timer.
    pub timers: [Timer; COPIES],
    /// Expirer: what the sweep has in hand for the hold of each attempt.
    pub sweeps: [Carried; ATTEMPTS],
    /// Reservation: calls under way.
    pub calls: [Call; CALLS],
}

/// A row of `bookings`, as far as the protocol depends on it.
#[expect(clippy::struct_excessive_bools, reason = "they are columns, each its own")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// The state.
    pub state: StateName,
    /// The attempt whose hold it has, or would place next.
    pub attempt: u8,
    /// What is left to its deadline, while it is open; 0: it has passed.
    pub left: u8,
    /// What is left to the first deadline of its hold, while it is open.
    pub first_left: i8,
    /// The payment window was given.
    pub window_given: bool,
    /// The payment that paid for it.
    pub paid_by: Option<u8>,
    /// It was HELD once.
    pub had_hold: bool,
    /// It is the mark of a booking that was not there.
    pub tombstone: bool,
    /// It was asked for with the other content.
    pub other: bool,
}

impl Record {
    /// It can still run out.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, StateName::Initiated | StateName::Held | StateName::PaymentPending)
    }
}

/// A row of `holds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldRow {
    /// Its state.
    pub state: HoldState,
    /// It was asked for with the other content.
    pub other: bool,
    /// What is left until the sweep is to look at it, while it is ACTIVE.
    pub review_left: u8,
}

/// A set of final verdicts on holds: by attempt, COMMIT or RELEASE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Verdicts(u8);

impl Verdicts {
    const fn bit(attempt: u8, verdict: Settlement) -> u8 {
        1 << (2 * (attempt - 1) + matches!(verdict, Settlement::Release) as u8)
    }

    /// With this one.
    pub const fn add(&mut self, attempt: u8, verdict: Settlement) {
        self.0 |= Self::bit(attempt, verdict);
    }

    /// Without this one.
    pub const fn remove(&mut self, attempt: u8, verdict: Settlement) {
        self.0 &= !Self::bit(attempt, verdict);
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = (u8, Settlement)> {
        let all = (1..=3).flat_map(|attempt| [(attempt, Settlement::Commit), (attempt, Settlement::Release)]);
        all.filter(move |(attempt, verdict)| self.0 & Self::bit(*attempt, *verdict) != 0)
    }
}

/// A copy of a timer message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// There is none.
    #[default]
    None,
    /// In a lane, in the queue of due timers, or in the expirer's hands before it has an answer.
    Parked,
    /// In the expirer's hands, which has this verdict and is on the way to the catalog.
    Answered(Carried),
}

/// A verdict in somebody's hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carried {
    /// None.
    #[default]
    Nothing,
    /// RELEASE.
    Release,
    /// COMMIT.
    Commit,
    /// Not due: to be reviewed after so many ticks.
    Review(u8),
}

/// A call that places a hold, between two of its commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// There is none.
    #[default]
    None,
    /// `CreateBooking{hold: true}` has placed the first attempt; next it inserts the booking.
    Create {
        /// With the other content.
        other: bool,
    },
    /// It found under the first attempt a hold that the booking is not to get; next it abandons that.
    Abandon,
    /// `HoldBooking` has read the draft; next it places the hold of this attempt.
    Read(u8),
    /// It has placed it; next it makes the draft HELD.
    Placed(u8),
}

/// What steps did wrong that no state shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flaws(u8);

impl Flaws {
    /// A booking moved against the table.
    pub const ILLEGAL_MOVE: Self = Self(1);
    /// A booking was CONFIRMED at or after its deadline.
    pub const CONFIRMED_LATE: Self = Self(2);
    /// Something that was done twice did something the second time.
    pub const REPEATED: Self = Self(4);
    /// Money that must go back was not announced.
    pub const UNANNOUNCED: Self = Self(8);
    /// A step of the calm system did not bring it nearer to rest.
    pub const STALLED: Self = Self(16);
    /// A booking was EXPIRED while it had time left.
    pub const EXPIRED_EARLY: Self = Self(32);

    /// Whether this flaw is among them.
    #[must_use]
    pub const fn has(self, flaw: Self) -> bool {
        self.0 & flaw.0 != 0
    }

    /// Adds a flaw if it was seen.
    pub const fn note(&mut self, flaw: Self, seen: bool) {
        if seen {
            self.0 |= flaw.0;
        }
    }
}

impl State {
    /// Nothing was ever asked for.
    #[must_use]
    pub fn initial() -> Self {
        Self {
            cases: [Case::default(); BOOKINGS],
            held: 0,
            sold: 0,
            seat: None,
            calm: false,
            flaws: Flaws::default(),
        }
    }

    /// A tick of the one clock.
    pub fn tick(&mut self) {
        for case in &mut self.cases {
            if let Some(record) = case.record.as_mut().filter(|record| record.left > 0) {
                record.left -= 1;
                record.first_left -= 1;
                // What has run out is EXPIRED by whatever comes next: the rest of its times is nothing to tell apart.
                if record.left == 0 || !record.had_hold {
                    (record.first_left, record.window_given) = (0, false);
                }
            }
            for hold in case.holds.iter_mut().flatten() {
                hold.review_left = hold.review_left.saturating_sub(1);
            }
        }
    }

    /// The bookings have no names: of two states that differ in the order of equal bookings, the one that stands for both.
    #[must_use]
    pub fn canonical(mut self, bookings: u8) -> Self {
        for case in &mut self.cases {
            case.timers.sort_unstable();
            case.calls.sort_unstable();
        }
        if bookings > 1 && self.cases[1] < self.cases[0] {
            self.cases.swap(0, 1);
            if let Some(taken) = &mut self.seat {
                taken.booking = 1 - taken.booking;
            }
        }
        self
    }
}
