//! Who is on the other side of a connection.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

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
    /// In seconds since 1970.
    ends_at: i64,
}

impl PeerCertificate {
    /// The subject alternative names: DNS names and URIs. None once the certificate has ended, also on a connection that goes on.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let good = i64::try_from(now).is_ok_and(|now| now <= self.ends_at);
        self.names.iter().filter(move |_| good).map(String::as_str)
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
        let ends_at = certificate.validity().not_after.timestamp();
        Some(Self { names: names.iter().filter_map(text).collect(), ends_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_has_ended_names_nobody() {
        let names: Arc<[String]> = [String::from("catalog")].into();
        let of = |ends_at| PeerCertificate { names: Arc::clone(&names), ends_at };
        assert_eq!(of(i64::MAX).names().collect::<Vec<_>>(), ["catalog"]);
        assert_eq!(of(1_700_000_000).names().count(), 0);
    }
}
