//! Errors, and what they are about, in log lines.

use std::{
    error::Error,
    fmt::{self, Display, Formatter},
    iter,
};

/// An error with all its causes, in one line: `database: connection refused`. To be logged with `%`; as `dyn Error` a line in JSON
/// would lack the causes.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        iter::successors(self.0.source(), |&cause| cause.source())
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}

/// The most ids in one line.
pub const FEW: usize = 8;

/// The first few of these ids, for a line about many of them; `None`, which leaves the field out, without any.
#[must_use]
pub fn few<Id: Display>(ids: impl IntoIterator<Item = Id>) -> Option<String> {
    let mut ids = ids.into_iter();
    let few: Vec<String> = ids.by_ref().take(FEW).map(|id| id.to_string()).collect();
    let more = if ids.next().is_some() { " .." } else { "" };
    (!few.is_empty()).then(|| few.join(" ") + more)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn causes_follow_their_error() {
        let error = anyhow::Error::from(io::Error::other("refused")).context("connect").context("database");
        assert_eq!(Chain(error.as_ref()).to_string(), "database: connect: refused");
    }

    #[test]
    fn of_many_ids_the_first_few_are_told() {
        assert_eq!(few::<u8>([]), None);
        assert_eq!(few([1, 2]).as_deref(), Some("1 2"));
        assert_eq!(few(1..10).as_deref(), Some("1 2 3 4 5 6 7 8 .."));
    }
}
