//! The worlds that are searched: small ones with every test run, larger ones with `make model`.

use crate::{
    action::{
        Ask::{
            Cancel, CompletePayment, CreateDraft, CreateHeld, CreateOther, Extend, Hold, Pay, Refund,
            StartPayment,
        },
        Fault::{self, CallDies, ExpirerDies, RelayDies, SettleLate, TimerDoubled, TimerLost},
        MONEY, MORE_MONEY, NO_MONEY,
    },
    bounds::{Bounds, Sweep, Times},
};

const ALL_FAULTS: &[Fault] = &[CallDies, TimerLost, TimerDoubled, ExpirerDies, RelayDies, SettleLate];
const TIMES: Times = Times { hold: 2, draft: 3, extension: 1, window: 2, grace: 1 };

const SOLD: &str = "a booking is paid and its units are sold";
const RUN_OUT: &str = "a hold runs out and is released";
const CANCELLED: &str = "a cancelled hold is released";
const PAID_BACK_SEEN: &str = "sold units come back";
const ORPHAN: &str = "an orphan gets a tombstone and is released";
const LATE: &str = "money that came after the end is due back";
const TWICE: &str = "money that came twice is due back";
const EXTENDED: &str = "an extended hold outlives its first deadline";
const SUPERSEDED: &str = "an attempt is superseded and the next one is HELD";
const SOLD_TO_THE_OTHER: &str = "what ran out for one is sold to the other";

/// One booking by the fast path, with everything that may be asked of it and everything that may fail.
pub const ONE_BOOKING: Bounds = Bounds {
    name: "one booking, every call, every fault",
    bookings: 1,
    on_hand: 1,
    units: 1,
    seat: false,
    asks: &[
        CreateHeld,
        Extend,
        StartPayment,
        CompletePayment(MONEY),
        CompletePayment(NO_MONEY),
        Pay(MONEY),
        Pay(MORE_MONEY),
        Cancel,
        Refund,
    ],
    faults: ALL_FAULTS,
    calls: 2,
    copies: 2,
    attempts: 1,
    sweep: Sweep::AnyTime,
    times: TIMES,
    calm: false,
    sights: &[SOLD, RUN_OUT, CANCELLED, PAID_BACK_SEEN, ORPHAN, LATE, TWICE, EXTENDED],
};

/// A draft, its attempts, and somebody else who uses its id.
pub const DRAFTS: Bounds = Bounds {
    name: "a draft, its attempts and a stranger with its id",
    on_hand: 2,
    asks: &[CreateDraft, CreateHeld, CreateOther, Hold, Pay(MONEY), Cancel],
    faults: &[CallDies, ExpirerDies],
    copies: 1,
    attempts: 2,
    times: Times { hold: 1, ..TIMES },
    sights: &[SOLD, RUN_OUT, CANCELLED, ORPHAN, SUPERSEDED],
    ..ONE_BOOKING
};

/// Two bookings for the one unit and the one seat.
pub const TWO_BOOKINGS: Bounds = Bounds {
    name: "two bookings for the last unit and seat",
    bookings: 2,
    seat: true,
    asks: &[CreateHeld, Extend, Pay(MONEY), Refund],
    faults: &[CallDies, TimerLost, ExpirerDies, RelayDies],
    calls: 1,
    copies: 1,
    times: Times { hold: 1, ..TIMES },
    sights: &[SOLD, RUN_OUT, PAID_BACK_SEEN, ORPHAN, LATE, EXTENDED, SOLD_TO_THE_OTHER],
    ..ONE_BOOKING
};

/// After anything may have failed, the calm.
pub const CALM: Bounds = Bounds {
    name: "the calm after everything, one booking",
    asks: &[CreateHeld, Extend, StartPayment, CompletePayment(MONEY), Pay(MONEY), Cancel, Refund],
    sweep: Sweep::WhenDue,
    calls: 1,
    copies: 1,
    calm: true,
    sights: &[SOLD, RUN_OUT, CANCELLED, PAID_BACK_SEEN, ORPHAN, LATE, EXTENDED],
    ..ONE_BOOKING
};

/// The same with drafts.
pub const CALM_DRAFTS: Bounds = Bounds {
    name: "the calm after everything, a draft",
    asks: DRAFTS.asks,
    faults: DRAFTS.faults,
    on_hand: 2,
    attempts: 2,
    times: Times { hold: 1, grace: 0, ..TIMES },
    sights: DRAFTS.sights,
    ..CALM
};

/// The same with two bookings.
pub const CALM_TWO: Bounds = Bounds {
    name: "the calm after everything, two bookings",
    sweep: Sweep::WhenDue,
    calm: true,
    asks: &[CreateHeld, Pay(MONEY)],
    faults: &[CallDies, TimerLost, ExpirerDies],
    times: Times { hold: 1, grace: 0, ..TIMES },
    sights: &[SOLD, RUN_OUT, ORPHAN, LATE, SOLD_TO_THE_OTHER],
    ..TWO_BOOKINGS
};

/// Two bookings whose holds the catalog's clock and reservation's judge each by itself.
pub const TWO_CLOCKS: Bounds = Bounds {
    name: "two bookings, two clocks",
    sweep: Sweep::WhenDue,
    asks: &[CreateHeld, Extend, Pay(MONEY)],
    faults: &[CallDies],
    times: Times { hold: 1, grace: 0, ..TIMES },
    sights: &[SOLD, RUN_OUT, ORPHAN, LATE, EXTENDED, SOLD_TO_THE_OTHER],
    ..TWO_BOOKINGS
};

/// Two drafts for the one unit.
pub const TWO_DRAFTS: Bounds = Bounds {
    name: "two drafts for the last unit",
    bookings: 2,
    on_hand: 1,
    asks: &[CreateDraft, Hold, Pay(MONEY)],
    faults: &[CallDies],
    calls: 1,
    times: Times { hold: 1, draft: 2, ..TIMES },
    sights: &[SOLD, RUN_OUT, SUPERSEDED, SOLD_TO_THE_OTHER],
    ..DRAFTS
};

/// Settlements that overtake each other on the way to the catalog.
pub const PAID_BACK: Bounds = Bounds {
    name: "the calm after a refund that overtook its payment",
    asks: &[CreateHeld, Pay(MONEY), Refund],
    faults: &[RelayDies, SettleLate, ExpirerDies],
    sights: &[SOLD, PAID_BACK_SEEN],
    ..CALM
};

/// Without a sweep, the timers alone: enough as long as the broker loses none and no call dies half-way.
pub const NO_SWEEP: Bounds = Bounds {
    name: "timers alone, a broker that loses nothing",
    sweep: Sweep::Off,
    faults: &[TimerDoubled, ExpirerDies, RelayDies, SettleLate],
    copies: 2,
    sights: &[SOLD, RUN_OUT, CANCELLED, PAID_BACK_SEEN, LATE, EXTENDED],
    ..CALM
};

/// The same with a broker that loses timers: not enough.
pub const LOST_TIMERS: Bounds =
    Bounds { name: "timers alone, a broker that loses some", faults: &[TimerLost], ..NO_SWEEP };

/// What every test run searches.
pub const SMALL: [Bounds; 10] = [
    ONE_BOOKING,
    DRAFTS,
    TWO_BOOKINGS,
    TWO_CLOCKS,
    TWO_DRAFTS,
    CALM,
    CALM_DRAFTS,
    CALM_TWO,
    PAID_BACK,
    NO_SWEEP,
];

/// One booking, from draft to refund, with everything at once.
pub const ONE_LIFE: Bounds = Bounds {
    name: "one booking, drafts and all calls, every fault",
    on_hand: 2,
    asks: &[
        CreateDraft,
        CreateHeld,
        CreateOther,
        Hold,
        Extend,
        StartPayment,
        CompletePayment(MONEY),
        CompletePayment(NO_MONEY),
        Pay(MORE_MONEY),
        Cancel,
        Refund,
    ],
    copies: 1,
    attempts: 2,
    times: Times { hold: 1, draft: 2, ..TIMES },
    sights: &[SOLD, RUN_OUT, CANCELLED, PAID_BACK_SEEN, ORPHAN, LATE, TWICE, EXTENDED, SUPERSEDED],
    ..ONE_BOOKING
};

/// Two bookings, and customers who change their minds.
pub const TWO_MINDS: Bounds = Bounds {
    name: "two bookings, with cancels",
    asks: &[CreateHeld, Pay(MONEY), Cancel, Refund],
    sights: &[SOLD, RUN_OUT, CANCELLED, PAID_BACK_SEEN, ORPHAN, LATE, SOLD_TO_THE_OTHER],
    ..TWO_BOOKINGS
};

/// The calm with all calls and all faults.
pub const CALM_LIFE: Bounds = Bounds {
    name: "the calm after everything, drafts and all calls",
    calm: true,
    sweep: Sweep::WhenDue,
    calls: 1,
    times: Times { hold: 1, draft: 3, grace: 0, ..TIMES },
    ..ONE_LIFE
};

/// What `make model` searches beside them.
pub const LARGE: [Bounds; 3] = [ONE_LIFE, TWO_MINDS, CALM_LIFE];
