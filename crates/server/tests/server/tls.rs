//! Both ports with certificates, and those who call them.

use std::{env, fs, path::PathBuf, time::Duration};

use server::{CallsConfig, Channel, TlsConfig};
use stack::{Certificate, Pki};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};
use tonic::Code;

use crate::running::{PATIENCE, Running, call, end, start, start_secured};

/// How long the server lets a handshake last.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// An authority in a folder that goes with it.
struct Authority {
    pki: Pki,
    dir: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let dir = env::temp_dir().join(format!("holdfast-tls-{name}-{}", std::process::id()));
        Self { pki: Pki::new(&dir).unwrap(), dir }
    }

    /// How a server with this certificate is set up, for clients of the same authority.
    fn server(&self, certificate: Certificate) -> TlsConfig {
        TlsConfig {
            tls_cert_file: Some(certificate.cert),
            tls_key_file: Some(certificate.key),
            tls_client_ca_file: Some(self.pki.ca()),
        }
    }

    /// How a client is set up that trusts this authority.
    fn client(&self, certificate: Option<Certificate>) -> CallsConfig {
        let (cert, key) = certificate.map(|own| (own.cert, own.key)).unzip();
        CallsConfig { calls_ca_file: Some(self.pki.ca()), calls_cert_file: cert, calls_key_file: key }
    }

    fn issue(&self, name: &str, about: &[(&str, &str)]) -> Certificate {
        self.pki.issue(name, about).unwrap()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn channel(running: &Running, config: &CallsConfig) -> Channel {
    config.check(&running.url).unwrap();
    config.dialer().unwrap().channel(&running.url, PATIENCE).unwrap()
}

/// Who the server takes the caller for.
async fn who(running: &Running, config: &CallsConfig) -> String {
    let status = call(channel(running, config), "/test.Test/Who", None).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    status.message().to_owned()
}

#[tokio::test]
async fn a_caller_is_known_by_the_names_in_its_certificate_and_needs_none() {
    let authority = Authority::new("names");
    let running = start_secured(&authority.server(authority.issue("catalog", &[]))).await;
    assert_eq!(who(&running, &authority.client(None)).await, "nobody");
    let own = authority.issue("reservation", &[("DNS", "reservation.shop.svc")]);
    let names = who(&running, &authority.client(Some(own))).await;
    assert_eq!(names, "reservation,localhost,reservation.shop.svc");
    end(running).await;
}

#[tokio::test]
async fn nobody_has_a_certificate_over_plain_text() {
    let running = start().await;
    let status = call(server::channel(&running.url, PATIENCE).unwrap(), "/test.Test/Who", None).await;
    assert_eq!(status.unwrap_err().message(), "nobody");
    end(running).await;
}

#[tokio::test]
async fn a_client_with_a_strangers_certificate_is_refused() {
    let (authority, stranger) = (Authority::new("good"), Authority::new("stranger"));
    let running = start_secured(&authority.server(authority.issue("catalog", &[]))).await;
    let of_stranger = stranger.issue("reservation", &[]);
    let ended = authority.issue("ended", &[("ENDS", "-60")]);
    for certificate in [of_stranger, ended] {
        let status =
            call(channel(&running, &authority.client(Some(certificate))), "/test.Test/Who", None).await;
        assert_eq!(status.unwrap_err().code(), Code::Unavailable);
    }
    assert_eq!(who(&running, &authority.client(None)).await, "nobody");
    end(running).await;
}

#[tokio::test]
async fn a_server_that_cannot_be_trusted_is_not_called() {
    let (authority, stranger) = (Authority::new("trusted"), Authority::new("untrusted"));
    let ended = authority.issue("catalog", &[("ENDS", "-60")]);
    for (server, config) in [
        (start_secured(&authority.server(ended)).await, authority.client(None)),
        (start_secured(&stranger.server(stranger.issue("catalog", &[]))).await, authority.client(None)),
        (start().await, authority.client(None)),
    ] {
        let url = server.url.replace("http:", "https:");
        let channel = config.dialer().unwrap().channel(&url, PATIENCE).unwrap();
        let status = call(channel, "/test.Test/Who", None).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(status.message(), "the other service cannot be reached");
        end(server).await;
    }
    // By its name: the certificate is for 127.0.0.1 and for catalog.
    let running = start_secured(&authority.server(authority.issue("catalog", &[]))).await;
    for (name, wanted) in [("localhost", Code::Aborted), ("ip6-localhost", Code::Unavailable)] {
        let url = running.url.replace("127.0.0.1", name);
        if tokio::net::lookup_host(url.trim_start_matches("https://")).await.is_err() {
            continue; // this machine knows no such name
        }
        let channel = authority.client(None).dialer().unwrap().channel(&url, PATIENCE).unwrap();
        let status = call(channel, "/test.Test/Who", None).await.unwrap_err();
        assert_eq!(status.code(), wanted, "{name}: {status:?}");
    }
    end(running).await;
}

#[tokio::test]
async fn plain_text_is_refused_on_both_ports() {
    let authority = Authority::new("plain");
    let running = start_secured(&authority.server(authority.issue("catalog", &[]))).await;
    let url = running.url.replace("https:", "http:");
    let status = call(server::channel(&url, PATIENCE).unwrap(), "/test.Test/Who", None).await;
    assert_eq!(status.unwrap_err().code(), Code::Unavailable);
    for address in [running.grpc, running.http] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        assert!(!said.starts_with(b"HTTP"), "{said:?}");
    }
    assert!(
        server::channel(&running.url, PATIENCE).unwrap_err().to_string().contains("HOLDFAST_CALLS_CA_FILE")
    );
    end(running).await;
}

/// A connection that was there before goes on; one that comes after gets the new certificate, also with another authority.
#[tokio::test]
async fn a_certificate_is_exchanged_and_no_connection_is_dropped() {
    let (authority, next) = (Authority::new("old"), Authority::new("new"));
    let config = authority.server(authority.issue("catalog", &[]));
    let running = start_secured(&config).await;
    let old = channel(&running, &authority.client(None));
    let who =
        async |channel: &Channel| call(channel.clone(), "/test.Test/Who", None).await.unwrap_err().code();
    assert_eq!(who(&old).await, Code::Aborted);

    let (cert, key) = (config.tls_cert_file.unwrap(), config.tls_key_file.unwrap());
    let replacement = next.issue("catalog", &[]);
    fs::copy(&replacement.key, &key).unwrap();
    fs::copy(&replacement.cert, &cert).unwrap();
    let new = next.client(None);
    let exchanged = async {
        while who(&channel(&running, &new)).await != Code::Aborted {
            assert_eq!(who(&old).await, Code::Aborted);
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, exchanged).await.expect("new connections get the new certificate");
    assert_eq!(who(&old).await, Code::Aborted);
    assert_eq!(who(&channel(&running, &authority.client(None))).await, Code::Unavailable);
    end(running).await;
}

/// Many who connect from one address and say nothing: another one gets in at once.
#[tokio::test]
async fn silent_handshakes_keep_nobody_out() {
    let authority = Authority::new("silent");
    let running = start_secured(&authority.server(authority.issue("catalog", &[]))).await;
    let (mut silent, start) = (Vec::new(), Instant::now());
    for _ in 0..300 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.9:0".parse().unwrap()).unwrap(); // all of 127/8 is this machine
        silent.push(socket.connect(running.grpc).await.unwrap());
    }
    assert_eq!(who(&running, &authority.client(None)).await, "nobody");
    // The first of them made place for it, long before its handshake had lasted too long.
    let mut said = Vec::new();
    let _ = silent[0].read_to_end(&mut said).await;
    assert_eq!(said, b"");
    assert!(start.elapsed() < HANDSHAKE_LIMIT);
    end(running).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_at_the_start() {
    let authority = Authority::new("broken");
    let good = authority.issue("catalog", &[]);
    assert!(authority.server(good.clone()).check().is_ok());
    let other = authority.issue("other", &[]);
    let crossed = Certificate { cert: good.cert.clone(), key: other.key };
    assert!(authority.server(crossed.clone()).check().is_err());
    assert!(authority.client(Some(crossed)).check("https://catalog").is_err());
    let no_key = Certificate { cert: good.cert.clone(), key: good.cert.clone() };
    let error = format!("{:#}", authority.server(no_key).check().unwrap_err());
    assert!(error.contains("has no key"), "{error}");
    let no_certificate = Certificate { cert: good.key.clone(), key: good.key };
    let error = format!("{:#}", authority.server(no_certificate).check().unwrap_err());
    assert!(error.contains("has no certificate"), "{error}");
}
