//! Running stacks: one for all tests that break nothing, and one each for those that do.

use std::{
    fs,
    ops::Deref,
    sync::{Arc, LazyLock},
    thread,
};

use stack::{Options, Stack};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many stacks of their own tests may have at a time: each is a PostgreSQL, a RabbitMQ and three services.
const OWN_STACKS: usize = 2;

/// The stack that is shared: two replicas of everything. It ends with the process.
static SHARED: LazyLock<Stack> = LazyLock::new(|| {
    let options = Options { catalogs: 2, reservations: 2, expirers: 2, ..Options::default() };
    Stack::start(options).expect("the shared stack starts")
});

static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(OWN_STACKS)));

/// The stack that everyone shares who leaves its parts alone.
#[must_use]
pub fn shared() -> &'static Stack {
    &SHARED
}

/// One of each service, with a sweep that comes often.
#[must_use]
pub fn hasty() -> Options {
    Options::default().env("HOLDFAST_SWEEP_INTERVAL_MS", "500").env("HOLDFAST_REVIEW_GRACE_MS", "300")
}

/// A stack that one test has to itself, to break. Shows its logs when the test fails.
#[derive(Debug)]
pub struct OwnStack {
    stack: Stack,
    _permit: OwnedSemaphorePermit,
}

/// Starts a stack to break, as soon as there are few enough of them.
pub async fn own(options: Options) -> OwnStack {
    let permit = Arc::clone(&PERMITS).acquire_owned().await.expect("nobody closes the semaphore");
    let stack = Stack::start(options).expect("a stack starts");
    OwnStack { stack, _permit: permit }
}

impl OwnStack {
    /// No service met anything, by its log, that must not happen.
    pub fn assert_sound(&self) {
        for service in self.stack.services() {
            let log = service.log().and_then(|path| Ok(fs::read_to_string(path)?)).expect("it has a log");
            // lapin calls it an error that a connection was lost.
            let defects = log.lines().filter(|line| line.contains(" ERROR ") && !line.contains("lapin::"));
            let defects: Vec<_> = defects.collect();
            assert!(defects.is_empty() && !log.contains("panicked"), "{}: {defects:#?}", service.name());
        }
    }
}

impl Deref for OwnStack {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl Drop for OwnStack {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.stack.log_tails(40));
        }
    }
}
