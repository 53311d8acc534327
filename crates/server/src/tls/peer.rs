//! Who is on the other side of a connection.

use std::{net::SocketAddr, sync::Arc};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::places::Line;

/// The other side of a gRPC connection: stands in the extensions of every request that came over it.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Its address.
    pub address: Option<SocketAddr>,
    /// The certificate that it showed, and that was found good.
    pub certificate: Option<PeerCertificate>,
    /// To have the connection closed.
    pub(crate) line: Option<Arc<Line>>,
}

/// A client's certificate that was verified against the client CA. Clones share its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    names: Arc<[String]>,
}

impl PeerCertificate {
    /// The subject alternative names: DNS names and URIs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Of the chain that a client showed, after it was verified; none if it showed none.
    pub(crate) fn of(chain: Option<&[CertificateDer<'_>]>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(chain?.first()?).ok()?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let text = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
            _ => None,
        };
        Some(Self { names: names.iter().filter_map(text).collect() })
    }
}
