//! Connections to other services: verified against a CA, with a certificate of our own where there is one.

use std::{fmt, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport;

use super::{
    config::CallsConfig,
    expiry::{self, Validity},
    follow::{Ends, Followed},
    pem::{self, Identity},
    provider,
};
use crate::{Channel, client, directory};

/// How connections are made.
struct Client {
    config: Arc<ClientConfig>,
    validity: Validity,
}

impl Ends for Client {
    fn validity(&self) -> Validity {
        self.validity
    }
}

impl Client {
    fn read(ca: &Path, identity: Option<&Identity>) -> anyhow::Result<Self> {
        let builder =
            ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = builder.with_root_certificates(pem::roots(ca)?);
        let (mut config, validity) = match identity {
            Some(identity) => {
                let (chain, key) = identity.read()?;
                let validity = expiry::first_to_end(&chain)?;
                let config = builder.with_client_auth_cert(chain, key);
                let context = || format!("use the certificate {}", identity.cert.display());
                (config.with_context(context)?, validity)
            }
            None => (builder.with_no_client_auth(), Validity::default()),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { config: Arc::new(config), validity })
    }
}

/// Makes connections to other services: of `http` URLs in plain text, of `https` URLs as the configuration says.
#[derive(Clone, Default)]
pub struct Dialer {
    client: Option<Followed<Client>>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("secured", &self.client.is_some()).finish()
    }
}

impl Dialer {
    pub(crate) fn new(config: &CallsConfig) -> anyhow::Result<Self> {
        let Some((ca, identity)) = config.files()? else {
            expiry::tell("calls", Validity::default());
            return Ok(Self::default());
        };
        let files = [ca.clone()].into_iter().chain(identity.iter().flat_map(Identity::files)).collect();
        let read = move || Client::read(&ca, identity.as_ref());
        Ok(Self { client: Some(Followed::start("calls", files, read)?) })
    }

    /// Whether it makes secured connections.
    pub(crate) fn is_secured(&self) -> bool {
        self.client.is_some()
    }

    /// Whether it could be made.
    pub(crate) fn check(config: &CallsConfig) -> anyhow::Result<()> {
        if let Some((ca, identity)) = config.files()? {
            Client::read(&ca, identity.as_ref())?;
        }
        Ok(())
    }

    /// Makes a channel, as [`channel`](crate::channel) does.
    ///
    /// # Errors
    /// One of `urls` is not a URL, or is of `https` and there is no CA.
    pub fn channel(&self, urls: &str, timeout: Duration) -> anyhow::Result<Channel> {
        client::channel_over(urls, timeout, directory::of_the_system(), self)
    }

    /// A connection to `address` that is made when it is first used; to `host`, by its certificate, where it is secured.
    pub(crate) fn dial(
        &self,
        endpoint: &transport::Endpoint,
        secured: bool,
        host: &str,
        address: SocketAddr,
    ) -> anyhow::Result<transport::Channel> {
        if !secured {
            return Ok(endpoint.connect_lazy());
        }
        let Some(client) = self.client.clone() else {
            bail!("https://{host} needs HOLDFAST_CALLS_CA_FILE: who signs the certificates there");
        };
        let host = ServerName::try_from(host.to_owned()).with_context(|| format!("{host:?} is no name"))?;
        let connector = tower::service_fn(move |_: ::http::Uri| {
            let (config, host) = (Arc::clone(&client.get().config), host.clone());
            async move { connect(config, host, address).await.map(TokioIo::new) }
        });
        Ok(endpoint.connect_with_connector_lazy(connector))
    }
}

async fn connect(
    config: Arc<ClientConfig>,
    host: ServerName<'static>,
    address: SocketAddr,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    TlsConnector::from(config).connect(host, stream).await
}

/// Secures a connection to this very process, whatever certificate it shows: it may have run out, and that it runs is all that
/// is asked. Nothing secret is said over it.
pub(crate) async fn unverified(
    address: SocketAddr,
    stream: TcpStream,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)).connect(address.ip().into(), stream).await?)
}

/// Takes every certificate.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
