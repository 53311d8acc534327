//! What is to happen at which step: read once, when the process starts.

use std::env;

use crate::{Program, Step};

/// The environment variable that says what is to happen: `STEP=ACTION`, several with commas between them.
pub const ARM: &str = "HOLDFAST_FAILPOINTS";

/// Why a process cannot be told so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmError {
    /// It has no failpoints.
    #[error(
        "{ARM} is set, and this program was built without failpoints: build it with `--features failpoints`"
    )]
    NotBuiltIn,
    /// There is no such step in it.
    #[error("{program} has no failpoint {name:?}")]
    NoSuchStep {
        /// The program.
        program: Program,
        /// What was asked for.
        name: String,
    },
    /// Nobody knows what is meant.
    #[error("failpoint {0:?} is not STEP=abort, STEP=error, STEP=error:TIMES or STEP=delay:MS")]
    Malformed(String),
}

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The process ends, at once and without a word to anyone.
    Abort,
    /// The step fails, so many times.
    Error { times: u32 },
    /// The step takes so long, once.
    Delay { ms: u64 },
}

/// Arms this process as its environment says; to be called once, when its log is set up.
///
/// # Errors
/// It asks for something that this program does not have.
pub fn arm(program: Program) -> Result<(), ArmError> {
    env::var(ARM).map_or(Ok(()), |text| arm_as(program, &text))
}

/// Arms this process as `text` says: what [`arm`] does with the environment.
///
/// # Errors
/// It asks for something that this program does not have.
pub fn arm_as(program: Program, text: &str) -> Result<(), ArmError> {
    if cfg!(not(feature = "failpoints")) {
        return Err(ArmError::NotBuiltIn);
    }
    for (step, action) in parse(program, text)? {
        set(step, action);
    }
    Ok(())
}

fn parse(program: Program, text: &str) -> Result<Vec<(Step, Action)>, ArmError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| parse_one(program, part)).collect()
}

fn parse_one(program: Program, part: &str) -> Result<(Step, Action), ArmError> {
    let malformed = || ArmError::Malformed(part.to_owned());
    let (name, action) = part.split_once('=').ok_or_else(malformed)?;
    let step = Step::ALL.iter().find(|step| step.name() == name && step.programs().contains(&program));
    let step = step.ok_or_else(|| ArmError::NoSuchStep { program, name: name.to_owned() })?;
    let action = match action.split_once(':').unwrap_or((action, "")) {
        ("abort", "") => Action::Abort,
        ("error", "") => Action::Error { times: 1 },
        ("error", times) => Action::Error { times: times.parse().map_err(|_| malformed())? },
        ("delay", ms) => Action::Delay { ms: ms.parse().map_err(|_| malformed())? },
        _ => return Err(malformed()),
    };
    Ok((*step, action))
}

#[cfg(not(feature = "failpoints"))]
fn set(_: Step, _: Action) {}

#[cfg(feature = "failpoints")]
pub(crate) use built_in::{set, triggered};

/// The crate `fail` keeps count of what is still to happen.
#[cfg(feature = "failpoints")]
mod built_in {
    use std::{process, time::Duration};

    use super::Action;
    use crate::{Fault, Step};

    pub(crate) fn set(step: Step, action: Action) {
        tracing::warn!(step = step.name(), ?action, "failpoint armed: this process is here to be tested");
        let task = match action {
            Action::Abort => "return(abort)".to_owned(),
            Action::Error { times } => format!("{times}*return(error)"),
            Action::Delay { ms } => format!("1*return({ms})"),
        };
        fail::cfg(step.name(), &task).expect("a task in the words of the crate `fail`");
    }

    /// What is to happen at this step now.
    pub(crate) fn triggered(step: Step) -> Option<Action> {
        fail::fail_point!(step.name(), |task| Some(match task.as_deref().unwrap_or_default() {
            "abort" => Action::Abort,
            "error" => Action::Error { times: 1 },
            ms => Action::Delay { ms: ms.parse().expect("the milliseconds that were set") },
        }));
        None
    }

    impl Action {
        /// Lets it happen. The line in the log is how a test knows that it did.
        pub(crate) async fn take(self, step: Step) -> Result<(), Fault> {
            tracing::warn!(step = step.name(), action = ?self, "failpoint reached");
            match self {
                Self::Abort => process::abort(),
                Self::Error { .. } => Err(Fault(step)),
                Self::Delay { ms } => {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    Ok(())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_what_is_to_happen_there_are_read() {
        let read =
            parse(Program::Reservation, "create.placed=abort, publish.sent=error:2,hold.placed=delay:500");
        let wanted = [
            (Step::CreatePlaced, Action::Abort),
            (Step::PublishSent, Action::Error { times: 2 }),
            (Step::HoldPlaced, Action::Delay { ms: 500 }),
        ];
        assert_eq!(read, Ok(wanted.to_vec()));
        assert_eq!(
            parse(Program::Catalog, "place.decided=error"),
            Ok(vec![(Step::PlaceDecided, Action::Error { times: 1 })])
        );
    }

    #[test]
    fn what_does_not_exist_or_lives_in_another_program_is_refused() {
        for name in ["no.such.step", "place.decided", ""] {
            let refused = parse(Program::Expirer, &format!("{name}=abort"));
            let program = Program::Expirer;
            assert_eq!(refused, Err(ArmError::NoSuchStep { program, name: name.to_owned() }));
        }
    }

    #[test]
    fn what_nobody_understands_is_refused() {
        for part in [
            "place.decided",
            "place.decided=",
            "place.decided=panic",
            "place.decided=error:often",
            "place.decided=delay",
            "place.decided=abort:2",
        ] {
            assert_eq!(parse(Program::Catalog, part), Err(ArmError::Malformed(part.to_owned())));
        }
    }
}
