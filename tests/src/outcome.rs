//! What a test returns, so that `?` fails it with the place where it did.

use std::{error::Error, fmt::Debug};

/// The result of a test.
pub type Outcome = Result<(), Failed>;

/// Never made: turning an error into it panics, which names the place of the `?`.
#[derive(Debug)]
pub enum Failed {}

impl<E: Error + Debug> From<E> for Failed {
    #[track_caller]
    fn from(error: E) -> Self {
        panic!("{error:?}")
    }
}
