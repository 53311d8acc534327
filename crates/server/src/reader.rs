//! Connections whose other side has to read what it is sent, at some speed at least: one that does not is closed, and what it was
//! to be sent takes no memory any more.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::ruled::Rule;

/// How long the other side may be waited for...
const LIMIT: Duration = Duration::from_secs(10);
/// ... until it has taken so many bytes: 6 KiB a second at least. Time in which nothing waits to be sent does not count.
const LEAST: usize = 64 << 10;

/// That it reads.
#[derive(Debug)]
pub(crate) struct Reader {
    /// How long it may still be waited for, and what it has taken since that was [`LIMIT`].
    patience: Duration,
    taken: usize,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { patience: LIMIT, taken: 0, waiting: None }
    }
}

impl Rule for Reader {
    /// Of a flush over TLS it is that which waits.
    fn written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = written else {
            let patience = self.patience;
            let waiting = self.waiting.get_or_insert_with(|| {
                let since = Instant::now();
                Waiting { since, end: Box::pin(sleep_until(since + patience)) }
            });
            ready!(waiting.end.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        };
        if let Some(waiting) = self.waiting.take() {
            self.patience = self.patience.saturating_sub(waiting.since.elapsed());
        }
        if self.patience < LIMIT {
            self.taken += written.as_ref().copied().unwrap_or_default();
            if self.taken >= LEAST {
                (self.patience, self.taken) = (LIMIT, 0);
            }
        }
        Poll::Ready(written)
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process, sync::Arc};

    use rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    };
    use stack::Pki;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::sleep,
    };
    use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

    use super::*;
    use crate::ruled::Ruled;

    fn read_by<S>(stream: S) -> Ruled<S, Reader> {
        Ruled { stream, rule: Reader::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_is_given_up() {
        let (near, _far) = duplex(16);
        let start = Instant::now();
        let error = read_by(near).write_all(&[0; 17]).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_fast_enough_gets_everything_and_who_drips_does_not() {
        for (pause, gets_it) in [(LIMIT * 9 / 10, true), (LIMIT / 2, true), (LIMIT * 11 / 10, false)] {
            let (near, mut far) = duplex(LEAST);
            let reading = tokio::spawn(async move {
                let mut bytes = vec![0; LEAST];
                for _ in 0..4 {
                    sleep(pause).await;
                    far.read_exact(&mut bytes).await?;
                }
                io::Result::Ok(())
            });
            assert_eq!(read_by(near).write_all(&vec![0; LEAST * 4]).await.is_ok(), gets_it, "{pause:?}");
            assert_eq!(reading.await.unwrap().is_ok(), gets_it, "{pause:?}");
        }
        let (near, mut far) = duplex(16);
        let start = Instant::now();
        let dripping = tokio::spawn(async move {
            while far.read_u8().await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let error = read_by(near).write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() <= LIMIT + Duration::from_secs(1));
        dripping.await.unwrap();
    }

    /// Both ends of a secured connection with room for so many bytes on the way.
    async fn secured(room: usize) -> (server::TlsStream<DuplexStream>, client::TlsStream<DuplexStream>) {
        let dir = env::temp_dir().join(format!("holdfast-reader-{room}-{}", process::id()));
        let pki = Pki::new(&dir).unwrap();
        let own = pki.issue("catalog", &[]).unwrap();
        let chain = CertificateDer::pem_file_iter(&own.cert).unwrap().collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let (near, far) = duplex(room);
        let name = ServerName::try_from("catalog").unwrap();
        let connector = TlsConnector::from(pki.client(None).unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (near, far) = tokio::join!(acceptor.accept(near), connector.connect(name, far));
        fs::remove_dir_all(&dir).unwrap();
        (near.unwrap(), far.unwrap())
    }

    /// TLS takes what is written at once, and waits when it is to hand it on.
    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_of_a_secured_connection_is_given_up() {
        let (near, _far) = secured(4 << 10).await;
        let mut reader = read_by(near);
        reader.write_all(&[0; 8 << 10]).await.unwrap();
        let start = Instant::now();
        let error = reader.flush().await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, LIMIT));

        let (near, _far) = secured(5 << 10).await;
        let mut reader = read_by(near);
        reader.write_all(&[0; 8 << 10]).await.unwrap();
        let start = Instant::now();
        let error = reader.shutdown().await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, LIMIT));
    }
}
