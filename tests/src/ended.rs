//! The end of a service.

use stack::Service;

use crate::{PATIENCE, eventually, when};

/// The exit code of a service that was told to stop, once it has ended by itself.
pub async fn ended(service: &Service) -> i32 {
    eventually("it has ended", PATIENCE, async || {
        let running = service.is_running();
        when(!running, running)
    })
    .await;
    service.exit_code().expect("no signal ended it")
}
