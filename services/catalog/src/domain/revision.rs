//! Revisions: which version of an operator's fields a row has. On the wire a revision is an etag, opaque to callers.

/// The version of a row; grows with every change of the operator's fields, and with nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision(i64);

impl Revision {
    /// Its etag.
    #[must_use]
    pub fn etag(self) -> String {
        format!("r{}", self.0)
    }
}

impl From<i64> for Revision {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

/// The revision that a caller wants to change: any, or the one whose etag it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected(Option<i64>);

/// A revision that no row has: they count from 1.
const NO_REVISION: i64 = 0;

impl Expected {
    /// From an etag; empty means any revision. A text that is no etag of ours is the current one of nothing.
    #[must_use]
    pub fn from_etag(etag: &str) -> Self {
        if etag.is_empty() {
            return Self(None);
        }
        let number = etag.strip_prefix('r').and_then(|number| number.parse().ok());
        Self(Some(number.filter(|&number| Revision(number).etag() == etag).unwrap_or(NO_REVISION)))
    }

    /// The number that the row's revision must have; `None`: any.
    #[must_use]
    pub fn number(self) -> Option<i64> {
        self.0
    }

    /// Whether a row of this revision is meant.
    #[must_use]
    pub fn admits(self, current: Revision) -> bool {
        self.0.is_none_or(|number| number == current.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_etag_admits_its_own_revision_only(one in 1_i64.., other in 1_i64..) {
            let expected = Expected::from_etag(&Revision(one).etag());
            prop_assert!(expected.admits(Revision(one)));
            prop_assert_eq!(expected.admits(Revision(other)), one == other);
        }

        #[test]
        fn a_text_that_is_no_etag_admits_nothing(text in ".{1,8}|r[+0]?[0-9]{1,3}x?", revision in 1_i64..1_000) {
            prop_assume!(text != Revision(revision).etag());
            prop_assert!(!Expected::from_etag(&text).admits(Revision(revision)));
        }
    }

    #[test]
    fn no_etag_admits_every_revision() {
        assert!(Expected::from_etag("").admits(Revision(7)));
    }
}
