//! Wrong protocols: each leaves out one rule, and the model has to find out what breaks then. If it did not, it would not
//! be worth much that it finds nothing in the right one.

use crate::{
    bounds::Bounds,
    property::{
        ANNOUNCED, IN_BOTH, IN_TIME, NOT_EARLY, PROGRESS, REPEATS, REST, SEAT, SOLD_ONCE, STOCK, TABLE,
        VERDICTS,
    },
    worlds::{CALM, LOST_TIMERS, NO_SWEEP, ONE_BOOKING, PAID_BACK, TWO_BOOKINGS, TWO_CLOCKS, TWO_DRAFTS},
};

/// The protocol, or one that is wrong in one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The protocol as it is.
    Right,
    /// The catalog releases a hold when its own time is up, without asking.
    CatalogReleasesByItsOwnTimer,
    /// The expirer releases whatever a timer names, without asking.
    ReleaseWithoutVerdict,
    /// The expirer believes the deadline that a message says, and releases an extended hold.
    VerdictInTheMessage,
    /// A call that does not learn what became of its insert releases the hold.
    ReleaseOnUnknownOutcome,
    /// A booking is HELD before its units are.
    HeldBeforePlaced,
    /// An unknown booking is RELEASE, and leaves no mark.
    NoTombstone,
    /// A draft whose attempt was released stays at that attempt.
    AttemptNotMovedOn,
    /// A payment is judged by an old clock.
    PayNotGuardedByTheDeadline,
    /// A verdict is judged by a clock that is far ahead.
    ResolvedByAFastClock,
    /// Money that came after the end confirms the booking.
    LateMoneyConfirms,
    /// Money that came after the end is recorded and nobody is told.
    LateMoneyForgotten,
    /// A hold that is released again gives its units back again.
    SettleTwice,
    /// A late COMMIT sells the units of a RELEASED hold.
    SettleBackwards,
    /// There is no sweep, and the broker may lose timers.
    TimersOnly,
    /// The relay deletes the timer's row before the broker has confirmed it. There is no sweep.
    RowDeletedBeforeTheConfirm,
    /// A hold that the sweep finds not due is not put off.
    NotDueIsListedAgain,
}

impl Variant {
    /// The wrong ones.
    pub const WRONG: [Self; 16] = [
        Self::CatalogReleasesByItsOwnTimer,
        Self::ReleaseWithoutVerdict,
        Self::VerdictInTheMessage,
        Self::ReleaseOnUnknownOutcome,
        Self::HeldBeforePlaced,
        Self::NoTombstone,
        Self::AttemptNotMovedOn,
        Self::PayNotGuardedByTheDeadline,
        Self::ResolvedByAFastClock,
        Self::LateMoneyConfirms,
        Self::LateMoneyForgotten,
        Self::SettleTwice,
        Self::SettleBackwards,
        Self::TimersOnly,
        Self::RowDeletedBeforeTheConfirm,
        Self::NotDueIsListedAgain,
    ];

    /// The properties that it breaks, each with a world that is large enough to show it. The right protocol passes
    /// there, but for that of [`Variant::TimersOnly`]: there the world is what is wrong.
    #[must_use]
    pub const fn breaks(self) -> &'static [(&'static str, Bounds)] {
        match self {
            Self::Right => &[],
            Self::CatalogReleasesByItsOwnTimer => &[(VERDICTS, TWO_CLOCKS), (SOLD_ONCE, TWO_CLOCKS)],
            Self::ReleaseWithoutVerdict
            | Self::VerdictInTheMessage
            | Self::ReleaseOnUnknownOutcome
            | Self::NoTombstone => &[(VERDICTS, TWO_BOOKINGS), (SOLD_ONCE, TWO_BOOKINGS)],
            Self::HeldBeforePlaced => &[(IN_BOTH, TWO_BOOKINGS), (SOLD_ONCE, TWO_BOOKINGS)],
            Self::AttemptNotMovedOn => &[(VERDICTS, TWO_DRAFTS), (SOLD_ONCE, TWO_DRAFTS)],
            Self::PayNotGuardedByTheDeadline => &[(IN_TIME, ONE_BOOKING)],
            Self::ResolvedByAFastClock => &[(NOT_EARLY, ONE_BOOKING)],
            Self::LateMoneyConfirms => {
                &[(TABLE, ONE_BOOKING), (IN_TIME, ONE_BOOKING), (SOLD_ONCE, TWO_BOOKINGS)]
            }
            Self::LateMoneyForgotten => &[(ANNOUNCED, ONE_BOOKING)],
            Self::SettleTwice => &[(STOCK, ONE_BOOKING), (REPEATS, ONE_BOOKING), (SEAT, TWO_BOOKINGS)],
            Self::SettleBackwards => &[(STOCK, TWO_BOOKINGS), (REST, PAID_BACK)],
            Self::TimersOnly => &[(REST, LOST_TIMERS)],
            Self::RowDeletedBeforeTheConfirm => &[(REST, NO_SWEEP)],
            Self::NotDueIsListedAgain => &[(PROGRESS, CALM)],
        }
    }
}
