//! Every command, in every state, before, at and after the deadline.

use super::{super::command::Verdict, *};

/// What each command makes of a booking in each state, before the deadline.
///
/// - `HELD`, `A>B`: it takes these steps
/// - `=`: a success that changes nothing; `=+`: but that the booking is at its next attempt
/// - `!HELD`: an illegal transition, from the state it is in to this one
/// - in lower case: refused for another reason, or the verdict
const TABLE: &str = "
                   INITIATED        HELD                      PAYMENT_PENDING  CONFIRMED        REFUNDED         CANCELLED         EXPIRED
Hold               HELD             =                         !HELD            !HELD            !HELD            !HELD             !HELD
HoldEarlier        superseded       =                         !HELD            !HELD            !HELD            !HELD             !HELD
HoldLater          superseded       =                         !HELD            !HELD            !HELD            !HELD             !HELD
HoldNothing        superseded       =                         !HELD            !HELD            !HELD            !HELD             !HELD
Extend             !HELD            HELD                      !HELD            !HELD            !HELD            !HELD             !HELD
ExtendByNothing    !HELD            =                         !HELD            !HELD            !HELD            !HELD             !HELD
ExtendTooFar       !HELD            too_far                   !HELD            !HELD            !HELD            !HELD             !HELD
StartPayment       !PAYMENT_PENDING PAYMENT_PENDING           =                !PAYMENT_PENDING !PAYMENT_PENDING !PAYMENT_PENDING  !PAYMENT_PENDING
CompletePaid       !CONFIRMED       !CONFIRMED                CONFIRMED        already_paid     already_paid     booking_cancelled hold_expired
CompleteFailed     !HELD            !HELD                     HELD             !HELD            !HELD            !HELD             =
PayPaid            !CONFIRMED       PAYMENT_PENDING>CONFIRMED CONFIRMED        already_paid     already_paid     booking_cancelled hold_expired
PayFailed          !HELD            PAYMENT_PENDING>HELD      HELD             !HELD            !HELD            !HELD             =
Cancel             CANCELLED        CANCELLED                 CANCELLED        !CANCELLED       !CANCELLED       =                 !CANCELLED
Refund             !REFUNDED        !REFUNDED                 !REFUNDED        REFUNDED         !REFUNDED        !REFUNDED         !REFUNDED
RefundOfBefore     !REFUNDED        !REFUNDED                 !REFUNDED        REFUNDED         =                !REFUNDED         !REFUNDED
Resolve            release+         not_due                   not_due          commit           release          release           expired
ResolveEarlier     release          release                   release          release          release          release           release
ResolveLater       release+         release                   release          release          release          release           release
Abandon            =+               =                         =                =                =                =                 =
AbandonEarlier     =                =                         =                =                =                =                 =
AbandonLater       =+               =                         =                =                =                =                 =
Review             =                =                         =                =                =                =                 =
";

/// The commands of the table, by the names of its rows.
fn command(row: &str) -> Command {
    let (earlier, later) = (attempt(1), attempt(3));
    match row {
        "Hold" => Command::Hold(Some(placed(own_attempt()))),
        "HoldEarlier" => Command::Hold(Some(placed(earlier))),
        "HoldLater" => Command::Hold(Some(placed(later))),
        "HoldNothing" => Command::Hold(None),
        "Extend" => Command::Extend(Duration::seconds(30)),
        "ExtendByNothing" => Command::Extend(Duration::ZERO),
        "ExtendTooFar" => Command::Extend(POLICY.max_hold - TTL + TICK),
        "StartPayment" => Command::StartPayment,
        "CompletePaid" => Command::CompletePayment(paid(1)),
        "CompleteFailed" => Command::CompletePayment(failed(1)),
        "PayPaid" => Command::Pay(paid(1)),
        "PayFailed" => Command::Pay(failed(1)),
        "Cancel" => Command::Cancel,
        "Refund" => Command::Refund(refund_id(1)),
        "RefundOfBefore" => Command::Refund(refunded_before()),
        "Resolve" => Command::Resolve(own_attempt()),
        "ResolveEarlier" => Command::Resolve(earlier),
        "ResolveLater" => Command::Resolve(later),
        "Abandon" => Command::Abandon(own_attempt()),
        "AbandonEarlier" => Command::Abandon(earlier),
        "AbandonLater" => Command::Abandon(later),
        "Review" => Command::Review,
        _ => panic!("the table names an unknown command: {row}"),
    }
}

/// What a cell of the table says.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    steps: Vec<(StateName, StateName)>,
    answer: Result<Reply, Refusal>,
    attempt_moved: bool,
}

/// Reads the cell of a booking that the clock had its say on.
fn read(cell: &str, booking: &Booking) -> Expected {
    let from = booking.state.name();
    let (what, attempt_moved) = cell.strip_suffix('+').map_or((cell, false), |what| (what, true));
    let state = |text| StateName::parse(text).unwrap_or_else(|| panic!("the table says {text}"));
    let deadline = booking.state.hold().map(|hold| hold.deadline);
    let verdict = |verdict| Ok(Reply::Verdict(verdict));
    let mut steps = Vec::new();
    let answer = match what {
        "=" => Ok(Reply::Done),
        "superseded" => Err(Refusal::Superseded),
        "too_far" => Err(Refusal::LifetimeExceeded { latest: CREATED + POLICY.max_hold }),
        "already_paid" => Err(Refusal::AlreadyPaid),
        "booking_cancelled" => Err(Refusal::BookingCancelled),
        "hold_expired" => Err(Refusal::HoldExpired),
        "release" => verdict(Verdict::Release { expired: None }),
        "expired" => verdict(Verdict::Release { expired: deadline }),
        "commit" => verdict(Verdict::Commit),
        "not_due" => verdict(Verdict::NotDue { deadline: DEADLINE }),
        _ if what.starts_with('!') => Err(Refusal::Illegal { from, to: state(&what[1..]) }),
        _ => {
            let path: Vec<StateName> = what.split('>').map(state).collect();
            steps = std::iter::once(from).chain(path.iter().copied()).zip(path.iter().copied()).collect();
            Ok(Reply::Done)
        }
    };
    Expected { steps, answer, attempt_moved }
}

/// The rows of the table: the name of each, and its seven cells.
fn rows() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    TABLE.lines().skip(2).map(|line| {
        let mut words = line.split_whitespace();
        (words.next().expect("a row has a name"), words.collect())
    })
}

fn check(row: &str, cells: &[&str], state: StateName, now: OffsetDateTime) {
    let context = format!("{row} on {} at {now}", state.as_str());
    let before = in_state(state);
    let mut after = before.clone();
    let (change, answer) = apply(&mut after, &command(row), now);

    // The clock has its say first; then the booking counts as what it has become.
    let aged = aged(&before, now);
    let (from, to) = (before.state.name(), aged.state.name());
    let column = StateName::ALL.iter().position(|name| *name == to).expect("every state has a column");
    let expected = read(cells[column], &aged);
    let mut steps = expected.steps;
    let moved = !steps.is_empty();
    if from != to {
        steps.insert(0, (from, to));
    }

    assert_eq!(answer, expected.answer, "{context}");
    let taken: Vec<_> = change.steps.iter().map(|step| (step.from, step.to)).collect();
    assert_eq!(taken, steps, "{context}");
    assert_eq!(after.state.name(), steps.last().map_or(from, |step| step.1), "{context}");
    assert_eq!(
        after.history_length,
        before.history_length + i32::try_from(steps.len()).unwrap(),
        "{context}"
    );
    assert_eq!(change.attempt_moved, expected.attempt_moved, "{context}");
    assert_eq!(after.attempt > before.attempt, expected.attempt_moved, "{context}");
    if moved {
        assert_eq!(after.updated_at, now, "{context}");
    } else {
        let attempt = after.attempt;
        assert_eq!(after, Booking { attempt, ..aged }, "{context}: nothing else may change");
    }
}

#[test]
fn every_command_does_in_every_state_at_every_time_what_the_table_says() {
    let mut checked = 0;
    for (row, cells) in rows() {
        assert_eq!(cells.len(), StateName::ALL.len(), "{row}");
        for state in StateName::ALL {
            for now in [CREATED, DEADLINE - TICK, DEADLINE, DEADLINE + TICK, DEADLINE + Duration::hours(1)] {
                check(row, &cells, state, now);
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 22 * 7 * 5);
}

#[test]
fn the_table_has_a_row_for_every_command_and_a_column_for_every_state() {
    let heads: Vec<_> = TABLE.lines().nth(1).expect("the table has a head").split_whitespace().collect();
    assert_eq!(heads, StateName::ALL.map(StateName::as_str));
    let mut kinds: Vec<_> = rows()
        .map(|(row, _)| match command(row) {
            Command::Hold(_) => 0,
            Command::Extend(_) => 1,
            Command::StartPayment => 2,
            Command::CompletePayment(_) => 3,
            Command::Pay(_) => 4,
            Command::Cancel => 5,
            Command::Refund(_) => 6,
            Command::Resolve(_) => 7,
            Command::Abandon(_) => 8,
            Command::Review => 9,
        })
        .collect();
    kinds.dedup();
    assert_eq!(kinds, (0..10).collect::<Vec<_>>());
}
