//! What came of trying rows one by one, and which of them are at fault. Pure.

use std::{error::Error as _, iter};

use super::delivery::DeliveryError;

/// So many passes in a row that were refused in whole before one row is taken to be at fault, though nothing shows it: it may
/// be the only one there is.
const PATIENCE: u32 = 2;

/// What came of rows that were tried one by one.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// How many bookings the delivered ones were about.
    pub(super) delivered: usize,
    /// Those that make no sense.
    senseless: Vec<(i64, String)>,
    /// Those that were refused, the oldest first. They, or who refused them, are at fault.
    refused: Vec<(i64, DeliveryError)>,
}

impl Tried {
    /// Adds a row that failed, and not because somebody is away.
    pub(super) fn failed(&mut self, outbox_id: i64, error: DeliveryError) {
        if error.is_senseless() {
            self.senseless.push((outbox_id, in_one_line(&error)));
        } else {
            self.refused.push((outbox_id, error));
        }
    }

    /// Whether nothing that was asked for was granted.
    pub(super) fn all_refused(&self) -> bool {
        self.delivered == 0 && !self.refused.is_empty()
    }

    /// The rows to put aside, and why. One that was refused is at fault if another was taken meanwhile. If none was, it is more
    /// likely that who refuses is unwell, and parking would only scatter the promises; so after some passes (`refusals`
    /// before this one) only the oldest goes, that none can stand in the way for ever.
    pub(super) fn at_fault(&self, refusals: u32) -> Vec<(i64, String)> {
        let refused = match (self.all_refused(), refusals >= PATIENCE) {
            (false, _) => self.refused.len(),
            (true, true) => 1,
            (true, false) => 0,
        };
        let refused = self.refused.iter().take(refused).map(|(id, error)| (*id, in_one_line(error)));
        self.senseless.iter().cloned().chain(refused).collect()
    }

    /// The failure of the whole, if nothing that was asked for was granted.
    pub(super) fn into_failure(self) -> Option<DeliveryError> {
        if self.all_refused() { self.refused.into_iter().next().map(|(_, error)| error) } else { None }
    }
}

/// An error with its causes, such that PostgreSQL stores it: a text has no NUL there.
fn in_one_line(error: &DeliveryError) -> String {
    let causes = iter::successors(error.source(), |&cause| cause.source());
    let line = causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"));
    line.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    fn refused(ids: &[i64]) -> Tried {
        let mut tried = Tried::default();
        for id in ids {
            tried.failed(*id, Status::internal("no").into());
        }
        tried
    }

    fn ids(rows: &[(i64, String)]) -> Vec<i64> {
        rows.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn what_is_refused_while_another_is_taken_is_at_fault() {
        let tried = Tried { delivered: 1, ..refused(&[3, 5]) };
        assert_eq!(ids(&tried.at_fault(0)), [3, 5]);
        assert!(tried.into_failure().is_none());
    }

    #[test]
    fn who_refuses_everything_is_taken_to_be_unwell() {
        let tried = refused(&[3, 5]);
        assert!(tried.at_fault(0).is_empty() && tried.at_fault(1).is_empty());
        assert!(matches!(tried.into_failure(), Some(DeliveryError::Catalog(..))));
    }

    #[test]
    fn a_row_that_is_refused_alone_goes_in_the_end_and_never_more_than_one() {
        assert_eq!(ids(&refused(&[3]).at_fault(2)), [3]);
        assert_eq!(ids(&refused(&[3, 5]).at_fault(100)), [3]);
    }

    #[test]
    fn a_row_that_makes_no_sense_is_at_fault_whoever_refuses_the_others() {
        let mut tried = refused(&[3]);
        tried.failed(4, DeliveryError::Panicked);
        assert_eq!(ids(&tried.at_fault(0)), [4]);
        assert!(tried.into_failure().is_some());
        let mut alone = Tried::default();
        alone.failed(4, DeliveryError::Panicked);
        assert_eq!(ids(&alone.at_fault(0)), [4]);
        assert!(alone.into_failure().is_none());
    }

    #[test]
    fn a_failure_is_told_without_control_characters() {
        let error = DeliveryError::from(Status::internal("a\0b\nc\u{7f}"));
        assert_eq!(in_one_line(&error), "catalog: Internal: a b c ");
    }
}
