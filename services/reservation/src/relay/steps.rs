//! The relay's failpoints: the same three for each kind of promise.

use failpoint::Step;

use crate::store::outbox::Kind;

/// Rows are taken out, uncommitted; nobody has heard.
pub(super) const fn taken(kind: Kind) -> Step {
    match kind {
        Kind::Timer => Step::RelayTimersTaken,
        Kind::Event => Step::RelayEventsTaken,
        Kind::Settle => Step::RelaySettlesTaken,
    }
}

/// Everybody has heard; the rows would come back.
pub(super) const fn delivered(kind: Kind) -> Step {
    match kind {
        Kind::Timer => Step::RelayTimersDelivered,
        Kind::Event => Step::RelayEventsDelivered,
        Kind::Settle => Step::RelaySettlesDelivered,
    }
}

/// The rows are gone.
pub(super) const fn deleted(kind: Kind) -> Step {
    match kind {
        Kind::Timer => Step::RelayTimersDeleted,
        Kind::Event => Step::RelayEventsDeleted,
        Kind::Settle => Step::RelaySettlesDeleted,
    }
}
