//! Keys that change: in a file, and behind a URL that may be away.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use auth::{Algorithm, Authority, Refusal};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::signer::{KeyFile, Signer, authority, set};

fn signer(id: &str) -> Signer {
    Signer::new(id, Algorithm::EdDsa)
}

/// Waits until tokens of this signer are refused.
async fn until_refused(authority: &Authority, signer: &Signer) {
    let refused = async {
        while authority.authenticate(&signer.token()).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), refused).await.unwrap();
}

#[tokio::test]
async fn a_key_that_appears_in_the_file_is_good_at_once_and_one_that_goes_is_not_for_long() {
    let (one, two) = (signer("one"), signer("two"));
    let file = KeyFile::new(&set(&[&one]));
    let authority = authority(file.path(), &[]).unwrap();
    let stop = CancellationToken::new();
    let following = tokio::spawn(authority.clone().follow(stop.clone()));
    assert!(authority.authenticate(&one.token()).await.is_ok());
    assert_eq!(authority.authenticate(&two.token()).await, Err(Refusal::UnknownKey));
    file.write(&set(&[&one, &two]));
    assert!(authority.authenticate(&two.token()).await.is_ok());
    assert!(authority.authenticate(&one.token()).await.is_ok());
    // A token that is remembered goes with its key.
    file.write(&set(&[&two]));
    until_refused(&authority, &one).await;
    // Nonsense, and nothing, change nothing.
    file.write("nonsense");
    assert_eq!(authority.authenticate(&one.token()).await, Err(Refusal::UnknownKey));
    assert!(authority.authenticate(&two.token()).await.is_ok());
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn a_file_that_makes_no_sense_at_the_start_is_an_error() {
    assert!(authority("/nowhere/keys.json", &[]).is_err());
    assert!(authority(KeyFile::new("nonsense").path(), &[]).is_err());
}

/// A server of keys, as they are just now; what is empty is an error of its.
struct Keys {
    url: String,
    content: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Keys {
    async fn serve(content: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (content, asked) = (Arc::new(Mutex::new(content.to_owned())), Arc::<AtomicUsize>::default());
        let (now, count) = (Arc::clone(&content), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = vec![0; 4_096];
                let _ = stream.read(&mut head).await;
                count.fetch_add(1, Ordering::Relaxed);
                let content = now.lock().unwrap().clone();
                let status = if content.is_empty() { "503 Unavailable" } else { "200 OK" };
                let length = content.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{content}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, content, asked }
    }

    fn change(&self, content: &str) {
        content.clone_into(&mut self.content.lock().unwrap());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn keys_behind_a_url_are_fetched_for_a_key_that_is_unknown_and_not_too_often() {
    let (one, two, three) = (signer("one"), signer("two"), signer("three"));
    let keys = Keys::serve(&set(&[&one])).await;
    // The pace is longer than the test.
    let authority = authority(&keys.url, &["--auth-jwks-pace-ms", "3600000"]).unwrap();
    assert!(authority.authenticate(&one.token()).await.is_ok());
    assert_eq!(keys.asked(), 1);
    keys.change(&set(&[&one, &two]));
    for _ in 0..100 {
        assert_eq!(authority.authenticate(&three.token()).await, Err(Refusal::UnknownKey));
    }
    assert_eq!(keys.asked(), 1);
}

#[tokio::test]
async fn keys_stay_while_their_source_is_away_and_are_fetched_again() {
    let (one, two) = (signer("one"), signer("two"));
    let keys = Keys::serve("").await;
    let authority = authority(&keys.url, &["--auth-jwks-pace-ms", "100"]).unwrap();
    assert_eq!(authority.authenticate(&one.token()).await, Err(Refusal::NoKeys));
    keys.change(&set(&[&one]));
    let known = async {
        while authority.authenticate(&one.token()).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), known).await.unwrap();
    keys.change("");
    // Until it has asked once more, and got nothing.
    let (asked, token) = (keys.asked(), two.token());
    let again = async {
        while keys.asked() == asked {
            assert_eq!(authority.authenticate(&token).await, Err(Refusal::UnknownKey));
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), again).await.unwrap();
    assert!(authority.authenticate(&one.token()).await.is_ok());
    keys.change(&set(&[&one, &two]));
    let known = async {
        while authority.authenticate(&two.token()).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), known).await.unwrap();
}
