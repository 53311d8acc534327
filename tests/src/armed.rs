//! A service with a failpoint: it is to die, to fail or to wait at one of its steps.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
};

use failpoint::{ARM, Program, Step};
use stack::{Service, ServiceKind, Stack};
use tokio::task::block_in_place;

use crate::{PATIENCE, eventually, when};

/// A service that was started to do so. The others know nothing of it.
#[derive(Debug)]
pub struct Armed<'a> {
    service: &'a Service,
    step: Step,
    dies: bool,
    log_before: u64,
}

impl<'a> Armed<'a> {
    /// Kills the first service of this program and starts it again with what is to happen at `step`: `abort`, `error`,
    /// `error:TIMES` or `delay:MS`.
    pub async fn start(stack: &'a Stack, program: Program, step: Step, action: &str) -> Self {
        let service = stack.services().iter().find(|service| service.kind() == kind(program));
        let service = service.expect("the stack has one of each");
        let armed = Self { service, step, dies: action == "abort", log_before: log_length(service) };
        block_in_place(|| {
            service.kill();
            service.spawn_with(&[(ARM, &format!("{}={action}", step.name()))]).expect("it starts");
        });
        // It may have died by then, of what it found to do.
        eventually("it is ready", PATIENCE, async || {
            let ready = block_in_place(|| service.get("/readyz").is_ok_and(|answer| answer.status == 200));
            let refused = !ready && !service.is_running() && !armed.is_reached();
            assert!(!refused, "{}", block_in_place(|| armed.log()));
            when(ready || armed.is_reached(), ())
        })
        .await;
        armed
    }

    /// Whether it has come to the step.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.log().contains(&format!("failpoint reached step=\"{}\"", self.step.name()))
    }

    /// Waits until it has come to the step, and is whole again: a service that died is started anew.
    pub async fn revived(&self) {
        let what = format!("{} comes to {}", self.service.name(), self.step.name());
        eventually(&what, PATIENCE, async || when(self.is_reached(), ())).await;
        if self.dies {
            eventually("it dies", PATIENCE, async || when(!self.service.is_running(), ())).await;
            block_in_place(|| self.service.restart().expect("it starts again"));
        }
    }

    /// What it has logged since it was armed.
    fn log(&self) -> String {
        let mut bytes = Vec::new();
        let path = self.service.log().expect("it has a log");
        let mut file = File::open(path).expect("the log can be read");
        file.seek(SeekFrom::Start(self.log_before)).expect("the log has grown");
        file.read_to_end(&mut bytes).expect("the log can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn log_length(service: &Service) -> u64 {
    service.log().ok().and_then(|path| path.metadata().ok()).map_or(0, |log| log.len())
}

/// What the stack calls a program.
fn kind(program: Program) -> ServiceKind {
    match program {
        Program::Catalog => ServiceKind::Catalog,
        Program::Reservation => ServiceKind::Reservation,
        Program::Expirer => ServiceKind::Expirer,
    }
}
