//! What the repair makes of bookings and their holds. Pure.

use std::collections::BTreeMap;

use proto::catalog::{
    HoldKey, HoldLine, HoldState, Money, RefusedHold, RestoreHold, SettleHold, settle_hold,
};

use crate::{
    domain::{
        actor::Actor,
        booking::{Booking, State, StateName},
        command::{Command, Verdict},
    },
    placement,
    store::row::Seen,
    transitions::Asked,
};

/// The most lines of holds that are put back in one transaction.
const LINES: usize = 1_000;
/// The shortest and the longest time that a hold may be put back for, in ms.
const TTL_MS: (i128, i128) = (100, 86_400_000);

/// Parts with a bounded number of lines, of one booking at least.
pub(super) fn portions(live: &[Seen]) -> Vec<&[Seen]> {
    let mut portions = Vec::new();
    let (mut start, mut lines) = (0, 0);
    for (i, seen) in live.iter().enumerate() {
        if i > start && lines + seen.booking.lines.len() > LINES {
            portions.push(&live[start..i]);
            (start, lines) = (i, 0);
        }
        lines += seen.booking.lines.len();
    }
    if start < live.len() {
        portions.push(&live[start..]);
    }
    portions
}

/// The question for the verdict on a booking's hold; none for a draft: it has no hold yet, and a verdict on one would end its attempt.
pub(super) fn resolving(booking: &Booking) -> Option<Asked> {
    let is_draft = matches!(booking.state, State::Initiated { .. });
    (!is_draft).then_some(Asked {
        booking_id: booking.id,
        command: Command::Resolve(booking.attempt),
        actor: Actor::program("repair"),
    })
}

pub(super) fn key(booking: &Booking) -> HoldKey {
    HoldKey { booking_id: booking.id.to_string(), attempt: booking.attempt.get() }
}

/// What the catalog is told of a hold.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub(super) booking: Booking,
    pub(super) settle: SettleHold,
    /// Whether it is released although it was never paid for: then it cannot be COMMITTED in a catalog that is as old as reservation.
    pub(super) unpaid: bool,
}

impl Carried {
    fn new(booking: &Booking, key: HoldKey, verdict: settle_hold::Verdict, unpaid: bool) -> Self {
        let settle = SettleHold { key: Some(key), verdict: Some(verdict) };
        Self { booking: booking.clone(), settle, unpaid }
    }

    /// The verdict on a booking's hold, if there is anything to tell.
    pub(super) fn verdict((seen, verdict): &(Seen, Verdict)) -> Option<Self> {
        let booking = &seen.booking;
        let verdict = match verdict {
            Verdict::Release { .. } => settle_hold::Verdict::Release(settle_hold::Release {}),
            Verdict::Commit => settle_hold::Verdict::Commit(settle_hold::Commit {}),
            Verdict::NotDue { .. } => return None,
        };
        let unpaid = matches!(booking.state.name(), StateName::Expired | StateName::Cancelled);
        Some(Self::new(booking, key(booking), verdict, unpaid))
    }

    /// The end of every attempt before a booking's last: each of them was released, and never paid for.
    pub(super) fn earlier(booking: &Booking) -> impl Iterator<Item = Self> {
        let release = settle_hold::Verdict::Release(settle_hold::Release {});
        (1..booking.attempt.get()).map(move |attempt| {
            let key = HoldKey { booking_id: booking.id.to_string(), attempt };
            Self::new(booking, key, release, true)
        })
    }
}

/// The hold of a live booking as it was placed, for the time that is left.
pub(super) fn encode(Seen { booking, now }: &Seen) -> RestoreHold {
    let hold = booking.state.hold();
    let currency_code = hold.map(|hold| hold.currency.clone()).unwrap_or_default();
    let left = hold.map_or(0, |hold| (hold.deadline - *now).whole_milliseconds());
    let left = i64::try_from(left.clamp(TTL_MS.0, TTL_MS.1)).unwrap_or_default();
    let price = |minor_units: Option<i64>| Money {
        currency_code: currency_code.clone(),
        minor_units: minor_units.unwrap_or_default(),
    };
    RestoreHold {
        key: Some(key(booking)),
        lines: booking
            .lines
            .iter()
            .map(|line| HoldLine { item: Some(placement::encode_item(&line.item)) })
            .collect(),
        unit_prices: booking.lines.iter().map(|line| price(line.unit_price_minor)).collect(),
        hold_ttl: Some(api::time::to_duration_ms(left)),
        customer_id: booking.customer_id.clone(),
    }
}

/// What the catalog has of a live booking's hold that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A hold that is past ACTIVE.
    Past(HoldState),
    /// None, and it cannot be put back.
    Nothing(String),
}

impl Found {
    /// What is wrong with that, by the verdict of afterwards: what has changed since, the booking says.
    pub(super) fn complaint(&self, booking: &Booking, verdict: Verdict) -> Option<String> {
        match (self, verdict) {
            (Self::Past(HoldState::Committed), Verdict::Commit)
            | (Self::Past(HoldState::Released) | Self::Nothing(_), Verdict::Release { .. }) => None,
            (Self::Past(HoldState::Committed), Verdict::Release { .. })
                if booking.state.name() == StateName::Refunded =>
            {
                None
            }
            (Self::Past(state), _) => Some(newer(*state)),
            (Self::Nothing(why), _) => Some(why.clone()),
        }
    }
}

/// What is wrong with a hold that is in this state.
pub(super) fn newer(state: HoldState) -> String {
    let name = state.as_str_name().trim_start_matches("HOLD_STATE_");
    format!("its hold is {name}: the catalog is newer than reservation")
}

/// Why the catalog refused, with what about.
pub(super) fn reason(refused: &RefusedHold) -> String {
    let name = api::reason_name(refused.reason().as_str_name()).to_owned();
    let about =
        BTreeMap::from_iter(&refused.metadata).into_iter().map(|(name, value)| format!("{name}={value}"));
    [name].into_iter().chain(about).collect::<Vec<_>>().join(" ")
}
