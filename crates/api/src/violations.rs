//! Bad fields: gathered while a request is read, sent as `INVALID_ARGUMENT` with `google.rpc.BadRequest`.

use std::fmt;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// Violations that are sent at most; the rest is only counted. Details travel in HTTP/2 trailers, which clients
/// limit to some 16 KiB.
const SENT_AT_MOST: usize = 20;
/// Characters of a field path that are sent at most.
const PATH_CHARS: usize = 128;

/// One bad field: its path in the request ("seats[3].label") and what is wrong with it.
///
/// The description is for people and never repeats the caller's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    field: String,
    description: String,
}

impl Violation {
    /// `field` is the path in the request, `description` what the field must be.
    pub fn new(field: impl fmt::Display, description: impl Into<String>) -> Self {
        Self { field: field.to_string(), description: description.into() }
    }

    /// The field's path.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong with it.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }
}

/// The bad fields of one request. Empty while nothing is wrong.
///
/// ```
/// use api::{Violations, field};
/// fn read(sku: &str, quantity: i64) -> Result<(String, i64), Violations> {
///     let mut bad = Violations::default();
///     let sku = bad.keep(field::text("sku", sku, 1..=64));
///     let quantity = bad.keep(field::quantity("quantity", quantity));
///     bad.complete((sku, quantity))
/// }
/// assert_eq!(read("A-1", 2), Ok(("A-1".to_owned(), 2)));
/// assert_eq!(read("", 0).unwrap_err().fields().collect::<Vec<_>>(), ["sku", "quantity"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    first: Vec<Violation>,
    total: usize,
}

impl Violations {
    /// Adds a bad field.
    pub fn add(&mut self, violation: Violation) {
        self.total += 1;
        if self.first.len() < SENT_AT_MOST {
            self.first.push(violation);
        }
    }

    /// Keeps the value of a good field; notes a bad one and answers `None`.
    pub fn keep<T>(&mut self, checked: Result<T, Violation>) -> Option<T> {
        checked.map_err(|violation| self.add(violation)).ok()
    }

    /// Takes over what was gathered about a part of the request, and keeps the part's value.
    pub fn keep_all<T>(&mut self, checked: Result<T, Violations>) -> Option<T> {
        checked.map_err(|part| self.append(part)).ok()
    }

    /// `Ok` as long as nothing is wrong.
    pub fn check(self) -> Result<(), Self> {
        if self.total == 0 { Ok(()) } else { Err(self) }
    }

    /// The kept values, as long as nothing is wrong: ends the reading of a request.
    ///
    /// # Panics
    /// When a part is `None` although no violation was noted: only [`Self::keep`] and [`Self::keep_all`] make parts.
    pub fn complete<P: Parts>(self, parts: P) -> Result<P::Whole, Self> {
        self.check()?;
        Ok(parts.whole().expect("a part is missing only where a violation was noted"))
    }

    /// The paths of the bad fields, in the order in which they were found.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.first.iter().map(Violation::field)
    }

    fn append(&mut self, other: Self) {
        let unlisted = other.total - other.first.len();
        other.first.into_iter().for_each(|violation| self.add(violation));
        self.total += unlisted;
    }
}

impl From<Violation> for Violations {
    fn from(violation: Violation) -> Self {
        Self { first: vec![violation], total: 1 }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.first.first() else { return f.write_str("no bad field") };
        write!(f, "{}: {}", shorten(&first.field), first.description)?;
        if self.total > 1 { write!(f, " (and {} more)", self.total - 1) } else { Ok(()) }
    }
}

impl std::error::Error for Violations {}

impl From<Violations> for Status {
    fn from(violations: Violations) -> Self {
        let message = violations.to_string();
        let fields: Vec<_> = violations
            .first
            .into_iter()
            .map(|violation| FieldViolation::new(shorten(&violation.field), violation.description))
            .collect();
        Self::with_error_details(Code::InvalidArgument, message, ErrorDetails::with_bad_request(fields))
    }
}

impl From<Violation> for Status {
    fn from(violation: Violation) -> Self {
        Violations::from(violation).into()
    }
}

/// A path may carry text of the caller's (a map key, a mask path): never send more of it than people read.
fn shorten(path: &str) -> String {
    match path.char_indices().nth(PATH_CHARS) {
        Some((end, _)) => format!("{}...", &path[..end]),
        None => path.to_owned(),
    }
}

/// Tuples of kept values, made whole by [`Violations::complete`].
pub trait Parts {
    /// The tuple without the options.
    type Whole;
    /// The values, if all are there.
    fn whole(self) -> Option<Self::Whole>;
}

macro_rules! parts {
    ($($name:ident)+) => {
        impl<$($name),+> Parts for ($(Option<$name>,)+) {
            type Whole = ($($name,)+);
            #[expect(non_snake_case, reason = "each type parameter names its value too")]
            fn whole(self) -> Option<Self::Whole> {
                let ($($name,)+) = self;
                Some(($($name?,)+))
            }
        }
    };
}

parts!(A);
parts!(A B);
parts!(A B C);
parts!(A B C D);
parts!(A B C D E);
parts!(A B C D E F);
parts!(A B C D E F G);
parts!(A B C D E F G H);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields_of;

    #[test]
    fn bad_fields_are_named_in_their_order() {
        let mut bad = Violations::default();
        assert_eq!(bad.keep(Ok(1)), Some(1));
        assert_eq!(bad.keep(Err::<(), _>(Violation::new("sku", "must not be empty"))), None);
        let part = Violations::from(Violation::new(format_args!("seats[{}].label", 3), "must be unique"));
        assert_eq!(bad.keep_all(Err::<(), _>(part)), None);
        let status = Status::from(bad);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "sku: must not be empty (and 1 more)");
        assert_eq!(fields_of(&status), ["sku", "seats[3].label"]);
    }

    #[test]
    fn what_is_sent_stays_small_whatever_is_wrong() {
        let mut bad = Violations::default();
        let mut part = Violations::default();
        for i in 0..10_000 {
            part.add(Violation::new(format!("{}[{i}]", "x".repeat(1_000)), "must be known"));
        }
        bad.keep_all(Err::<(), _>(part));
        assert!(bad.to_string().ends_with("(and 9999 more)"));
        let status = Status::from(bad);
        assert_eq!(fields_of(&status).len(), SENT_AT_MOST);
        assert!(status.details().len() < 8 << 10, "fits the clients' limit on trailers");
    }

    #[test]
    fn a_request_without_bad_fields_is_complete() {
        let mut bad = Violations::default();
        let parts = (bad.keep(Ok(1)), bad.keep(Ok("a")));
        assert_eq!(bad.complete(parts), Ok((1, "a")));
    }
}
