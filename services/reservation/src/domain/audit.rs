//! What is to be thought of a hold of the catalog, beside its booking: pure.
//!
//! The hold was read before the booking. So what it shows as settled must be decided by now, and what it shows as open
//! may have been settled since: then it is a suspect, to be looked at again.

use time::{Duration, OffsetDateTime};

use super::booking::StateName;

/// A hold as the catalog had it.
#[derive(Clone, Copy, Debug)]
pub struct AuditedHold {
    /// The attempt of its booking.
    pub attempt: i32,
    /// Its state; none when it is none that there is (the catalog has reported that).
    pub state: Option<HoldState>,
    /// When it was settled last, by the catalog's clock.
    pub settled_at: Option<OffsetDateTime>,
    /// How long ago its own time passed, by the catalog's clock; zero before. A booking may have given it more.
    pub overdue: Duration,
    /// Units on its lines.
    pub units: i64,
    /// What they cost.
    pub total_minor: i64,
    /// The digest of its lines; none from a catalog that does not say yet.
    pub lines: Option<LinesDigest>,
}

/// What tells lines from other lines: SHA-256 of all of them, sorted.
pub type LinesDigest = [u8; 32];

/// The states of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldState {
    /// Its units are held.
    Active,
    /// Its units are sold.
    Committed,
    /// Its units are on sale again.
    Released,
}

/// A booking as it is now.
#[derive(Clone, Copy, Debug)]
pub struct AuditedBooking {
    /// Its state.
    pub state: StateName,
    /// The attempt whose hold it has.
    pub attempt: i32,
    /// What it was held for; none while it never was.
    pub held: Option<HeldFor>,
    /// Units on its lines.
    pub units: i64,
    /// The digest of its lines.
    pub lines: Option<LinesDigest>,
    /// When it was decided: the last step of its history, if that is an end or CONFIRMED.
    pub decided_at: Option<OffsetDateTime>,
    /// Since when a verdict on this hold has been waiting to be carried to the catalog.
    pub waiting_since: Option<OffsetDateTime>,
}

/// The terms on which a booking was held.
#[derive(Clone, Copy, Debug)]
pub struct HeldFor {
    /// The deadline that it has or had.
    pub deadline: OffsetDateTime,
    /// What it costs.
    pub total_minor: i64,
}

/// How strictly to judge.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a hold may outlive its time, and a verdict wait.
    pub overdue: Duration,
    /// How far the clocks of the two databases may be apart.
    pub clock_tolerance: Duration,
}

/// Which rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The hold is settled otherwise than the booking was decided, or too early.
    Verdict,
    /// The hold outlived its time.
    Overdue,
    /// The hold has other lines, other units or another total than the booking.
    Units,
    /// The booking is decided, and nothing carries the verdict to the hold.
    Carried,
}

/// What is to be thought of a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is as its booking wants it.
    Agrees,
    /// ACTIVE, of no booking (yet), and its time is not up.
    Unclaimed,
    /// ACTIVE past its deadline, within the limit.
    Due,
    /// Its booking is decided, and the verdict is on its way.
    Settling,
    /// Wrong, unless it changed since it was read.
    Suspect(Broken, String),
    /// Wrong whatever is under way.
    Wrong(Broken, String),
}

/// Judges one hold. `booking`: as it is at `now`, by the clock of its database; none if there is none.
#[must_use]
pub fn judge(
    hold: &AuditedHold,
    booking: Option<&AuditedBooking>,
    limits: &Limits,
    now: OffsetDateTime,
) -> Judgement {
    use StateName::{Cancelled, Confirmed, Expired, Held, Initiated, PaymentPending, Refunded};
    let Some(state) = hold.state else { return Judgement::Agrees };
    let wrong = |what: &str| Judgement::Wrong(Broken::Verdict, format!("it is {}; {what}", state.as_str()));
    let Some(booking) = booking else {
        return match state {
            HoldState::Active => unclaimed(hold, limits, "there is no such booking"),
            HoldState::Committed | HoldState::Released => wrong("there is no such booking"),
        };
    };
    let has = format!("its booking is {}, with attempt {}", booking.state.as_str(), booking.attempt);
    if hold.attempt != booking.attempt {
        return match state {
            HoldState::Active => unclaimed(hold, limits, &has),
            HoldState::Released if hold.attempt < booking.attempt => Judgement::Agrees,
            HoldState::Committed | HoldState::Released => wrong(&has),
        };
    }
    if let Some(held) = &booking.held
        && (hold.units, hold.total_minor) != (booking.units, held.total_minor)
    {
        let terms = |units, total_minor| format!("{units} units for {total_minor}");
        let (ours, theirs) = (terms(booking.units, held.total_minor), terms(hold.units, hold.total_minor));
        return Judgement::Wrong(Broken::Units, format!("it has {theirs} minor units; its booking {ours}"));
    }
    if booking.held.is_some() && hold.lines.zip(booking.lines).is_some_and(|(theirs, ours)| theirs != ours) {
        let what = "it has other lines than its booking, with as many units and the same total";
        return Judgement::Wrong(Broken::Units, what.to_owned());
    }
    let too_early = || before_its_decision(hold, booking, limits);
    match (booking.state, state) {
        (Held | PaymentPending | Expired, HoldState::Active) => match &booking.held {
            Some(terms) => overdue(booking, now - terms.deadline, limits, now, &has),
            None => unclaimed(hold, limits, &has),
        },
        (Expired, HoldState::Released) => match (&booking.held, hold.settled_at) {
            (Some(terms), Some(at)) if at + limits.clock_tolerance < terms.deadline => {
                wrong(&format!("since {at}, before the deadline of its booking, {}", terms.deadline))
            }
            _ => too_early().map_or(Judgement::Agrees, |what| wrong(&what)),
        },
        (Confirmed, HoldState::Committed) | (Cancelled | Refunded, HoldState::Released) => {
            too_early().map_or(Judgement::Agrees, |what| wrong(&what))
        }
        (Confirmed | Cancelled | Refunded, HoldState::Active) | (Refunded, HoldState::Committed) => {
            match booking.held {
                Some(_) => carried(booking, limits, now, state, &has),
                None => unclaimed(hold, limits, &has),
            }
        }
        (Initiated, HoldState::Active) => unclaimed(hold, limits, &has),
        (Initiated | Held | PaymentPending | Expired | Cancelled, HoldState::Committed)
        | (Initiated | Held | PaymentPending | Confirmed, HoldState::Released) => wrong(&has),
    }
}

/// A hold that was settled as its booking decided, but before it did: the units were on sale, or sold, too early.
fn before_its_decision(hold: &AuditedHold, booking: &AuditedBooking, limits: &Limits) -> Option<String> {
    let (settled, decided) = hold.settled_at.zip(booking.decided_at)?;
    let state = booking.state.as_str();
    (settled + limits.clock_tolerance < decided)
        .then(|| format!("since {settled}, before its booking became {state}, {decided}"))
}

/// An ACTIVE hold that no booking has: a call is on its way to claim it, or died; then the sweep gets a verdict.
fn unclaimed(hold: &AuditedHold, limits: &Limits, why: &str) -> Judgement {
    if hold.overdue <= limits.overdue {
        return Judgement::Unclaimed;
    }
    let late = hold.overdue.as_seconds_f64();
    let text = format!("it is ACTIVE {late:.3} s after its time, and claimed by nobody: {why}");
    Judgement::Suspect(Broken::Overdue, text)
}

/// An ACTIVE hold whose deadline may have passed.
fn overdue(
    booking: &AuditedBooking,
    late: Duration,
    limits: &Limits,
    now: OffsetDateTime,
    has: &str,
) -> Judgement {
    if late.is_negative() {
        return if booking.state == StateName::Expired { Judgement::Due } else { Judgement::Agrees };
    }
    if late <= limits.overdue {
        return Judgement::Due;
    }
    if booking.waiting_since.is_some_and(|since| now - since <= limits.overdue) {
        return Judgement::Settling;
    }
    let text = format!("it is ACTIVE {:.3} s after its deadline; {has}", late.as_seconds_f64());
    Judgement::Suspect(Broken::Overdue, text)
}

/// A hold that is not yet what its booking decided: the verdict went into the outbox with the decision.
fn carried(
    booking: &AuditedBooking,
    limits: &Limits,
    now: OffsetDateTime,
    state: HoldState,
    has: &str,
) -> Judgement {
    let state = state.as_str();
    let text = match booking.waiting_since {
        Some(since) if now - since <= limits.overdue => return Judgement::Settling,
        Some(since) => {
            let waits = (now - since).as_seconds_f64();
            format!("it is {state}; {has}; the verdict has been waiting in the outbox for {waits:.3} s")
        }
        None => format!("it is {state}; {has}; no verdict is waiting in the outbox"),
    };
    Judgement::Suspect(Broken::Carried, text)
}

impl HoldState {
    /// As the catalog calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Committed => "COMMITTED",
            Self::Released => "RELEASED",
        }
    }
}

#[cfg(test)]
mod tests;
