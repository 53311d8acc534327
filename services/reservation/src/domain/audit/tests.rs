//! Every pair of a hold's state and a booking's, and what time makes of them.

use time::macros::datetime;

use super::*;
use crate::domain::booking::StateName::{
    Cancelled, Confirmed, Expired, Held, Initiated, PaymentPending, Refunded,
};

const NOW: OffsetDateTime = datetime!(2026-11-22 10:00:00 UTC);
const LIMITS: Limits = Limits { overdue: Duration::seconds(10), clock_tolerance: Duration::ZERO };

fn hold(state: HoldState) -> AuditedHold {
    let settled_at = (state != HoldState::Active).then_some(NOW);
    AuditedHold {
        attempt: 2,
        state: Some(state),
        settled_at,
        overdue: Duration::ZERO,
        units: 3,
        total_minor: 300,
        lines: Some([7; 32]),
    }
}

/// With its deadline so many seconds ago.
fn booking(state: StateName, late: i64) -> AuditedBooking {
    let held = HeldFor { deadline: NOW - Duration::seconds(late), total_minor: 300 };
    let held = (state != Initiated).then_some(held);
    AuditedBooking {
        state,
        attempt: 2,
        held,
        units: 3,
        lines: Some([7; 32]),
        decided_at: None,
        waiting_since: None,
    }
}

/// What is thought, without the words.
fn thought(hold: &AuditedHold, booking: Option<&AuditedBooking>) -> &'static str {
    match judge(hold, booking, &LIMITS, NOW) {
        Judgement::Agrees => "agrees",
        Judgement::Unclaimed => "unclaimed",
        Judgement::Due => "due",
        Judgement::Settling => "settling",
        Judgement::Suspect(Broken::Overdue, _) => "overdue?",
        Judgement::Suspect(Broken::Carried, _) => "carried?",
        Judgement::Wrong(Broken::Verdict, _) => "verdict!",
        Judgement::Wrong(Broken::Units, _) => "units!",
        Judgement::Suspect(..) | Judgement::Wrong(..) => "?",
    }
}

#[test]
fn every_pair_of_states_is_judged() {
    for (state, active, committed, released) in [
        (Initiated, "unclaimed", "verdict!", "verdict!"),
        (Held, "agrees", "verdict!", "verdict!"),
        (PaymentPending, "agrees", "verdict!", "verdict!"),
        (Confirmed, "carried?", "agrees", "verdict!"),
        (Refunded, "carried?", "carried?", "agrees"),
        (Cancelled, "carried?", "verdict!", "agrees"),
    ] {
        let booking = booking(state, -60);
        let judged = [HoldState::Active, HoldState::Committed, HoldState::Released]
            .map(|s| thought(&hold(s), Some(&booking)));
        assert_eq!(judged, [active, committed, released], "{state:?}");
    }
    let expired = booking(Expired, 1);
    let judged = [HoldState::Active, HoldState::Committed, HoldState::Released]
        .map(|s| thought(&hold(s), Some(&expired)));
    assert_eq!(judged, ["due", "verdict!", "agrees"]);
}

#[test]
fn a_hold_may_outlive_its_deadline_by_the_limit_and_no_longer() {
    for state in [Held, PaymentPending, Expired] {
        for (late, judged) in [(0, "due"), (10, "due"), (11, "overdue?")] {
            assert_eq!(
                thought(&hold(HoldState::Active), Some(&booking(state, late))),
                judged,
                "{state:?} {late}"
            );
        }
    }
    let waiting = |since| AuditedBooking {
        waiting_since: Some(NOW - Duration::seconds(since)),
        ..booking(Expired, 60)
    };
    assert_eq!(thought(&hold(HoldState::Active), Some(&waiting(10))), "settling");
    assert_eq!(thought(&hold(HoldState::Active), Some(&waiting(11))), "overdue?");
}

#[test]
fn a_release_before_the_deadline_is_wrong_beyond_the_tolerance() {
    let early = booking(Expired, -5);
    assert_eq!(thought(&hold(HoldState::Released), Some(&early)), "verdict!");
    let tolerant = Limits { clock_tolerance: Duration::seconds(5), ..LIMITS };
    assert_eq!(judge(&hold(HoldState::Released), Some(&early), &tolerant, NOW), Judgement::Agrees);
}

#[test]
fn what_is_settled_before_its_booking_was_decided_is_wrong_beyond_the_tolerance() {
    for (state, hold_state) in [
        (Expired, HoldState::Released),
        (Cancelled, HoldState::Released),
        (Refunded, HoldState::Released),
        (Confirmed, HoldState::Committed),
    ] {
        let decided =
            |later| AuditedBooking { decided_at: Some(NOW + Duration::seconds(later)), ..booking(state, 60) };
        assert_eq!(thought(&hold(hold_state), Some(&decided(0))), "agrees", "{state:?}");
        assert_eq!(thought(&hold(hold_state), Some(&decided(5))), "verdict!", "{state:?}");
        let tolerant = Limits { clock_tolerance: Duration::seconds(5), ..LIMITS };
        assert_eq!(judge(&hold(hold_state), Some(&decided(5)), &tolerant, NOW), Judgement::Agrees);
    }
    // Never held, and decided all the same.
    let draft =
        AuditedBooking { held: None, decided_at: Some(NOW + Duration::seconds(5)), ..booking(Cancelled, 0) };
    assert_eq!(thought(&hold(HoldState::Released), Some(&draft)), "verdict!");
}

#[test]
fn a_verdict_may_wait_for_the_limit_and_no_longer() {
    for (state, hold_state) in
        [(Confirmed, HoldState::Active), (Cancelled, HoldState::Active), (Refunded, HoldState::Committed)]
    {
        let waiting = |since| AuditedBooking {
            waiting_since: Some(NOW - Duration::seconds(since)),
            ..booking(state, -60)
        };
        assert_eq!(thought(&hold(hold_state), Some(&waiting(10))), "settling", "{state:?}");
        assert_eq!(thought(&hold(hold_state), Some(&waiting(11))), "carried?", "{state:?}");
    }
}

#[test]
fn a_hold_that_no_booking_has_is_a_suspect_once_its_review_is_long_past() {
    let active = |overdue| AuditedHold { overdue: Duration::seconds(overdue), ..hold(HoldState::Active) };
    let left_behind = AuditedBooking { attempt: 3, ..booking(Held, -60) };
    let never_held = AuditedBooking { held: None, ..booking(Cancelled, 0) };
    let tombstone = AuditedBooking { held: None, ..booking(Expired, 0) };
    let draft = booking(Initiated, 0);
    for booking in [None, Some(&left_behind), Some(&never_held), Some(&tombstone), Some(&draft)] {
        assert_eq!(thought(&active(0), booking), "unclaimed", "{booking:?}");
        assert_eq!(thought(&active(10), booking), "unclaimed", "{booking:?}");
        assert_eq!(thought(&active(11), booking), "overdue?", "{booking:?}");
    }
}

#[test]
fn a_settled_hold_has_a_booking_that_got_as_far() {
    for state in [HoldState::Committed, HoldState::Released] {
        assert_eq!(thought(&hold(state), None), "verdict!");
        let behind = AuditedBooking { attempt: 1, ..booking(Held, -60) };
        assert_eq!(thought(&hold(state), Some(&behind)), "verdict!");
    }
    let ahead = AuditedBooking { attempt: 3, ..booking(Held, -60) };
    assert_eq!(thought(&hold(HoldState::Released), Some(&ahead)), "agrees");
    assert_eq!(thought(&hold(HoldState::Committed), Some(&ahead)), "verdict!");
}

#[test]
fn a_hold_has_the_units_and_the_total_of_its_booking() {
    for other in [
        AuditedHold { units: 2, ..hold(HoldState::Active) },
        AuditedHold { total_minor: 299, ..hold(HoldState::Active) },
        AuditedHold { lines: Some([8; 32]), ..hold(HoldState::Active) },
    ] {
        assert_eq!(thought(&other, Some(&booking(Held, -60))), "units!");
        // Before it was held, and on a tombstone, there is nothing to compare with.
        assert_eq!(thought(&other, Some(&booking(Initiated, 0))), "unclaimed");
    }
    // From a catalog that does not tell the lines.
    let silent = AuditedHold { lines: None, ..hold(HoldState::Active) };
    assert_eq!(thought(&silent, Some(&booking(Held, -60))), "agrees");
}
