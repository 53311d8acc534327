//! How a program ends: what its exit code says, and where the reason is told.

use std::{fmt, process::ExitCode};

use tracing::Level;

/// The exit code for a configuration that cannot be used, as for flags that cannot be read.
const MISCONFIGURED: u8 = 2;

/// What an error says that comes of the configuration alone.
#[derive(Clone, Copy, Debug)]
struct Misconfigured;

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used")
    }
}

/// Marks what is wrong with the configuration as that.
#[must_use]
pub fn misconfigured(error: anyhow::Error) -> anyhow::Error {
    error.context(Misconfigured)
}

/// The exit code of a program that came to this: its own, 2 if its configuration cannot be used, else 1. The reason becomes one line
/// of the log; of standard error, where there is no log yet, or one that shows no errors.
#[must_use]
pub fn end(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match outcome {
        Ok(code) => return code,
        Err(error) => error,
    };
    if tracing::enabled!(Level::ERROR) {
        tracing::error!(error = %format_args!("{error:#}"), "the process ends");
    } else {
        eprintln!("Error: {error:#}");
    }
    if error.is::<Misconfigured>() { ExitCode::from(MISCONFIGURED) } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn the_exit_code_tells_a_bad_configuration_from_what_failed() {
        assert_eq!(end(Ok(ExitCode::from(7))), ExitCode::from(7));
        assert_eq!(end(Err(anyhow!("no database"))), ExitCode::from(1));
        assert_eq!(end(Err(misconfigured(anyhow!("no URL")).context("serve"))), ExitCode::from(2));
    }
}
