//! Which answers there may be.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tonic::{Code, Status};

/// What an answer is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is one that such a request may get.
    Fine,
    /// Something was too slow just now: it may be asked again after this time.
    Later(Duration),
    /// It is a defect, and which.
    Defect(&'static str),
}

impl Verdict {
    /// Of a failure of a method with this path. `readable`: the request was a message of the type that it takes.
    #[must_use]
    pub fn of(path: &str, status: &Status, readable: bool) -> Self {
        match status.code() {
            // tonic's word for a message of more than 4 MiB, which its own client says of an answer too.
            Code::OutOfRange if readable => Self::Defect("an answer that no client takes"),
            // Health and reflection are not ours.
            Code::InvalidArgument
                if readable && path.starts_with("/holdfast.") && api::fields_of(status).is_empty() =>
            {
                Self::Defect("a refusal that names no field")
            }
            Code::Ok
            | Code::InvalidArgument
            | Code::OutOfRange
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::ResourceExhausted
            | Code::DeadlineExceeded => Self::Fine,
            Code::Unavailable => match api::retry_delay_of(status) {
                Some(delay) => Self::Later(delay),
                None => Self::Defect("everything is there"),
            },
            Code::Internal | Code::Unknown | Code::DataLoss => Self::Defect("a mistake of the service"),
            Code::Unimplemented => Self::Defect("it is listed"),
            Code::Cancelled => Self::Defect("nobody cancelled"),
            Code::PermissionDenied | Code::Unauthenticated => Self::Defect("nobody is asked who they are"),
        }
    }
}

/// How often each method gave each answer.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<(String, &'static str), u64>>);

impl Tally {
    /// Counts an answer.
    pub fn count(&self, method: &str, code: Code) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((method.to_owned(), name(code))).or_default() += 1;
    }

    /// How many answers of this code there were.
    #[must_use]
    pub fn of(&self, code: Code) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().filter(|((_, of), _)| *of == name(code)).map(|(_, count)| count).sum()
    }

    /// Methods that never succeeded.
    #[must_use]
    pub fn never_ok(&self) -> Vec<String> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut methods: Vec<_> = counts.keys().map(|(method, _)| method.clone()).collect();
        methods.dedup();
        methods.retain(|method| !counts.contains_key(&(method.clone(), name(Code::Ok))));
        methods
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = "";
        for ((method, code), count) in counts.iter() {
            if method != last {
                write!(f, "\n  {method}")?;
                last = method;
            }
            write!(f, " {code}={count}")?;
        }
        Ok(())
    }
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid",
        Code::DeadlineExceeded => "deadline",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "exists",
        Code::PermissionDenied => "denied",
        Code::ResourceExhausted => "exhausted",
        Code::FailedPrecondition => "precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}
