//! A server of keys, which can be away, silent, or behind TLS.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

/// Keys as they are just now.
pub(crate) struct Issuer {
    pub(crate) url: String,
    served: Arc<Served>,
    silent: watch::Sender<bool>,
}

/// What it serves; what is empty is an error of its.
struct Served {
    content: Mutex<String>,
    asked: AtomicUsize,
}

impl Issuer {
    pub(crate) async fn serve(content: &str) -> Self {
        Self::over(content, None).await
    }

    pub(crate) async fn over(content: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/keys", listener.local_addr().unwrap());
        let content = Mutex::new(content.to_owned());
        let served = Arc::new(Served { content, asked: AtomicUsize::new(0) });
        let (silent, gate) = watch::channel(false);
        let answers = Arc::clone(&served);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answers, gate, tls) = (Arc::clone(&answers), gate.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answers.answer(stream, gate).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answers.answer(stream, gate).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, served, silent }
    }

    /// From now on it has these.
    pub(crate) fn change(&self, content: &str) {
        content.clone_into(&mut self.served.content.lock().unwrap());
    }

    /// Whether it keeps its answers to itself.
    pub(crate) fn silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.served.asked.load(Ordering::Relaxed)
    }
}

impl Served {
    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, mut gate: watch::Receiver<bool>) {
        let mut head = vec![0; 4_096];
        let _ = stream.read(&mut head).await;
        self.asked.fetch_add(1, Ordering::Relaxed);
        let _ = gate.wait_for(|silent| !silent).await;
        let content = self.content.lock().unwrap().clone();
        let status = if content.is_empty() { "503 Unavailable" } else { "200 OK" };
        let length = content.len();
        let answer =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{content}");
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}
