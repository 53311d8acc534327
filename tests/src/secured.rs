//! Clients of a stack where everybody speaks TLS.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

/// A connection to an `https` URL of a stack that is made when it is used, and again when it was lost.
#[must_use]
pub fn secured_channel(config: &Arc<ClientConfig>, url: &str) -> Channel {
    let address: SocketAddr =
        url.trim_start_matches("https://").parse().expect("the stack's URLs are addresses");
    let mut config = config.as_ref().clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    let connector = tower::service_fn(move |_: Uri| {
        let config = Arc::clone(&config);
        async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let name = ServerName::from(address.ip());
            TlsConnector::from(config).connect(name, stream).await.map(TokioIo::new)
        }
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("it is a URL");
    let endpoint = endpoint.origin(url.parse().expect("it is a URL")).connect_timeout(Duration::from_secs(5));
    // Longer than any service takes to answer, so that a service that does not fails the test.
    endpoint.timeout(Duration::from_secs(20)).connect_with_connector_lazy(connector)
}
