//! An authority that follows its keys, as a service has it.

use std::{
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use auth::{AuthConfig, Authority};
use clap::Parser;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::signer::ISSUER;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    auth: AuthConfig,
}

/// An authority with keys from here, and further options. Nobody follows its keys.
pub(crate) fn authority(jwks: &str, further: &[&str]) -> anyhow::Result<Authority> {
    let given = ["test", "--auth-jwks", jwks, "--auth-issuer", ISSUER, "--auth-audience", "holdfast"];
    let config = Program::parse_from([&given[..], further].concat()).auth;
    config.check()?;
    Authority::start(&config)
}

/// One whose keys are followed, until this goes.
pub(crate) struct Following {
    authority: Authority,
    /// Whether there are keys, and else why not.
    pub(crate) told: Arc<Mutex<Option<Result<(), String>>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Following {
    pub(crate) fn of(jwks: &str, further: &[&str]) -> Self {
        let authority = authority(jwks, further).unwrap();
        let (told, stop) = (Arc::<Mutex<_>>::default(), CancellationToken::new());
        let note = Arc::clone(&told);
        let tell = move |now| *note.lock().unwrap() = Some(now);
        let task = tokio::spawn(authority.clone().follow(tell, stop.clone()));
        Self { authority, told, stop, task }
    }

    /// Until it was told that there are keys, or why there are none.
    pub(crate) async fn until_told(&self, wanted: Result<(), &str>) {
        eventually(|| {
            let told = self.told.lock().unwrap().clone();
            told.is_some_and(|told| match (told, wanted) {
                (Ok(()), Ok(())) => true,
                (Err(why), Err(wanted)) => why.contains(wanted),
                _ => false,
            })
        })
        .await;
    }

    /// Follows them no longer.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

impl Deref for Following {
    type Target = Authority;

    fn deref(&self) -> &Authority {
        &self.authority
    }
}

/// Waits until this is so.
pub(crate) async fn eventually(mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), so).await.unwrap();
}
