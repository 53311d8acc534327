//! What is made of files, and made anew when they change.
//!
//! Files are looked at, not watched: a Secret of Kubernetes is exchanged by a link to a link, and some file systems tell nobody. A
//! change counts once two looks see the same, so that nothing half written is taken.

use std::{fmt, fs, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};

use super::expiry::{self, Validity};

/// How often files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the files had when they were looked at.
type Content = Vec<io::Result<Vec<u8>>>;

/// Something that comes from certificates, which end.
pub(crate) trait Ends {
    /// Of the first of them that does; of none, zeros.
    fn validity(&self) -> Validity;
}

/// The newest that could be made of the files. Clones share it; it is followed until the last is dropped.
pub(crate) struct Followed<T> {
    current: watch::Receiver<Arc<T>>,
}

impl<T> Clone for Followed<T> {
    fn clone(&self) -> Self {
        Self { current: self.current.clone() }
    }
}

impl<T> fmt::Debug for Followed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").finish_non_exhaustive()
    }
}

impl<T: Ends + Send + Sync + 'static> Followed<T> {
    /// Makes it for the first time with `make`, and again whenever one of `files` has changed. Call it inside the runtime.
    pub(crate) fn start(
        what: &'static str,
        files: Vec<PathBuf>,
        make: impl Fn() -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        // First the look: what changes after it is seen by the next one.
        let seen = look(&files);
        let first = make()?;
        expiry::tell(what, first.validity());
        let (sender, current) = watch::channel(Arc::new(first));
        tokio::spawn(follow(what, files, seen, Arc::new(make), sender));
        Ok(Self { current })
    }

    /// The newest.
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.current.borrow())
    }
}

async fn follow<T: Ends + Send + Sync + 'static>(
    what: &'static str,
    files: Vec<PathBuf>,
    mut used: Content,
    make: Arc<dyn Fn() -> anyhow::Result<T> + Send + Sync>,
    sender: watch::Sender<Arc<T>>,
) {
    let files = Arc::new(files);
    let (mut before, mut complained_of) = (None, None);
    loop {
        tokio::select! {
            () = sender.closed() => return,
            () = sleep(INTERVAL) => {}
        }
        let looked = Arc::clone(&files);
        let Ok(now) = spawn_blocking(move || look(&looked)).await else { return };
        if same(&now, &used) {
            before = None;
            continue;
        }
        if before.as_ref().is_none_or(|before| !same(&now, before)) {
            before = Some(now);
            continue;
        }
        let (attempt, looked) = (Arc::clone(&make), Arc::clone(&files));
        // Looked at again afterwards: what was made is of what was seen twice.
        let tried = spawn_blocking(move || (attempt(), look(&looked))).await;
        let Ok((result, after)) = tried else { return };
        if !same(&now, &after) {
            before = None;
            continue;
        }
        match result {
            Ok(new) => {
                let validity = new.validity();
                tracing::info!(certificate = what, ends_at = validity.ends_at, "certificates were exchanged");
                expiry::tell(what, validity);
                sender.send_replace(Arc::new(new));
                (used, before, complained_of) = (now, None, None);
            }
            // It is tried again and again, in case it was not their fault, but complained of once.
            Err(error) if complained_of.as_ref().is_none_or(|complained| !same(&now, complained)) => {
                let error = format!("{error:#}");
                tracing::error!(certificate = what, error, "new certificates are no good: the old ones stay");
                complained_of = Some(now);
            }
            Err(_) => {}
        }
    }
}

fn look(files: &[PathBuf]) -> Content {
    files.iter().map(fs::read).collect()
}

fn same(one: &Content, other: &Content) -> bool {
    one.iter().zip(other).all(|pair| match pair {
        (Ok(one), Ok(other)) => one == other,
        (Err(one), Err(other)) => one.kind() == other.kind(),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        env, process,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use anyhow::ensure;

    use super::*;

    struct Text(String);

    impl Ends for Text {
        fn validity(&self) -> Validity {
            Validity::default()
        }
    }

    /// A file of this test, with the text `one`, and what is made of it: anything but `bad`. Tries are counted, and the second one
    /// fails whatever the text is.
    fn followed(name: &str) -> (PathBuf, Followed<Text>, Arc<AtomicUsize>) {
        let path = env::temp_dir().join(format!("holdfast-follow-{name}-{}", process::id()));
        fs::write(&path, "one").unwrap();
        let (read, tries) = (path.clone(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&tries);
        let make = move || {
            let text = fs::read_to_string(&read)?;
            ensure!(counted.fetch_add(1, Ordering::Relaxed) != 1, "it does not work for once");
            ensure!(text != "bad", "it is bad");
            Ok(Text(text))
        };
        let followed = Followed::start("test", vec![path.clone()], make).unwrap();
        (path, followed, tries)
    }

    async fn becomes(followed: &Followed<Text>, wanted: &str) {
        let mut current = followed.current.clone();
        current.wait_for(|text| text.0 == wanted).await.unwrap();
    }

    #[tokio::test]
    async fn what_changes_is_made_anew_and_what_is_bad_is_not() {
        let (path, followed, tries) = followed("anew");
        fs::write(&path, "bad").unwrap();
        while tries.load(Ordering::Relaxed) < 4 {
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(followed.get().0, "one");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "two").unwrap();
        becomes(&followed, "two").await;
        fs::remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn what_failed_once_is_tried_again() {
        let (path, followed, tries) = followed("again");
        fs::write(&path, "two").unwrap();
        becomes(&followed, "two").await;
        assert_eq!(tries.load(Ordering::Relaxed), 3);
        fs::remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn it_is_not_followed_when_nobody_has_it() {
        let (path, followed, _) = followed("gone");
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        drop(followed);
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() == tasks {
            tokio::task::yield_now().await;
        }
        fs::remove_file(&path).unwrap();
    }
}
