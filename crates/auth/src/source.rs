//! Where the issuer's keys come from: a file, or a URL.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, anyhow, bail, ensure};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::time::timeout;
use url::{Host, Url};

/// How long the keys may take to come over the network.
const LIMIT: Duration = Duration::from_secs(3);
/// The most that they may be, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// Where keys come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file on this machine.
    File(PathBuf),
    /// Somewhere else.
    Url(Box<Remote>),
}

/// Keys that are fetched over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    uri: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<&'static [u8]>>,
}

/// What tells one content of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u64, u64, Option<SystemTime>);

impl Source {
    /// The file of this path, or what is at this URL; reached by certificates of these authorities, or of those that browsers trust.
    pub(crate) fn new(place: &str, authorities: Option<&Path>) -> anyhow::Result<Self> {
        if !place.starts_with("http://") && !place.starts_with("https://") {
            return Ok(Self::File(place.into()));
        }
        let url = Url::parse(place).context("it is no URL")?;
        ensure!(url.username().is_empty() && url.password().is_none(), "its URL has a password");
        let is_https = url.scheme() == "https";
        ensure!(
            is_https || is_here(&url),
            "http:// is for this machine alone: whoever is on the way could send keys of their own; use https://"
        );
        let uri = url.as_str().parse().context("it is no URL")?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls(authorities)?);
        let connector = if is_https { connector.https_only() } else { connector.https_or_http() };
        let connector = connector.enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self::Url(Box::new(Remote { uri, client })))
    }

    /// Reads the keys as they are now.
    pub(crate) async fn read(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::File(path) => read_file(path),
            Self::Url(remote) => {
                let read = timeout(LIMIT, remote.read()).await;
                read.map_err(|_| anyhow!("no answer within {} s", LIMIT.as_secs()))?
            }
        }
    }

    /// What tells whether a file was changed; `None` where only reading tells.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        let Self::File(path) = self else { return None };
        let meta = fs::metadata(path).ok()?;
        Some(Stamp(meta.ino(), meta.len(), meta.modified().ok()))
    }
}

/// Whether a URL leads to this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// Reads a file of keys.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    ensure!(text.len() <= MAX_BYTES, "{} is larger than {MAX_BYTES} bytes", path.display());
    Ok(text)
}

impl Remote {
    async fn read(&self) -> anyhow::Result<Vec<u8>> {
        let request = Request::get(self.uri.clone()).header("accept", "application/json");
        let request = request.body(Empty::new()).context("ask for them")?;
        let answer = self.client.request(request).await.context("ask for them")?;
        if answer.status() != StatusCode::OK {
            bail!("the answer is {}", answer.status()); // a redirection too: the URL is to be the right one
        }
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
        Ok(body.map_err(|error| anyhow!("read them: {error}"))?.to_bytes().into())
    }
}

fn tls(authorities: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let context = || format!("read the certificates in {}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).with_context(context)? {
                roots.add(certificate.with_context(context)?).with_context(context)?;
            }
            ensure!(!roots.is_empty(), "there is no certificate in {}", path.display());
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().context("set up TLS")?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_plain_text_from_this_machine_alone() {
        for place in [
            "http://127.0.0.1:8000/keys",
            "http://localhost/keys",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(Source::new(place, None).is_ok(), "{place}");
        }
        for place in [
            "http://issuer.example/keys",
            "http://10.0.0.7/",
            "http://localhost.example/",
            "http://[2001:db8::1]/",
        ] {
            let error = Source::new(place, None).unwrap_err();
            assert!(error.to_string().contains("https://"), "{place}: {error}");
        }
        assert!(Source::new("https://issuer.example/keys", None).is_ok());
    }
}
