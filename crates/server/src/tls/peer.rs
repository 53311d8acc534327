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

/// A name in a certificate, by its kind: what is written the same in another kind is another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// Of a host, in small letters: they do not matter in it (RFC 4343).
    Dns(String),
    /// Of anything: `spiffe://shop/reservation`.
    Uri(String),
}

impl Name {
    /// That of a configuration: a URI has a colon, which no host has.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.contains(':') { Self::Uri(text.to_owned()) } else { Self::Dns(text.to_ascii_lowercase()) }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Dns(name) | Self::Uri(name) => name,
        }
    }
}

/// A client's certificate that was verified against the client CA. Clones share its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    names: Arc<[Name]>,
    /// In seconds since 1970.
    ends_at: i64,
}

impl PeerCertificate {
    /// The subject alternative names: DNS names and URIs. None once the certificate has ended, also on a connection that goes on.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let good = i64::try_from(now).is_ok_and(|now| now <= self.ends_at);
        self.names.iter().filter(move |_| good)
    }

    /// One that has these and does not end.
    #[cfg(test)]
    pub(crate) fn named(names: Vec<Name>) -> Self {
        Self { names: names.into(), ends_at: i64::MAX }
    }

    /// Of the chain that a client showed, after it was verified; none if it showed none.
    pub(crate) fn of(chain: Option<&[CertificateDer<'_>]>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(chain?.first()?).ok()?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let of_kind = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some(Name::Dns(name.to_ascii_lowercase())),
            GeneralName::URI(name) => Some(Name::Uri((*name).to_owned())),
            _ => None,
        };
        let ends_at = certificate.validity().not_after.timestamp();
        Some(Self { names: names.iter().filter_map(of_kind).collect(), ends_at })
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use rustls::pki_types::pem::PemObject as _;
    use stack::Pki;

    use super::*;

    #[test]
    fn a_name_of_a_host_is_no_uri_whatever_it_says_and_no_uri_is_a_host() {
        let dir = env::temp_dir().join(format!("holdfast-peer-{}", process::id()));
        let pki = Pki::new(&dir).unwrap();
        let names = |about: (&'static str, &'static str)| {
            let files = pki.issue("Shop", &[about]).unwrap();
            let chain = [CertificateDer::from_pem_file(files.cert).unwrap()];
            let names: Vec<_> = PeerCertificate::of(Some(&chain)).unwrap().names().cloned().collect();
            assert_eq!(names[..2], [Name::parse("shop"), Name::parse("LOCALHOST")]);
            names
        };
        let spiffe = "spiffe://shop/reservation";
        let of_uri = names(("URI", spiffe));
        assert_eq!(of_uri[2..], [Name::Uri(spiffe.to_owned())]);
        assert!(of_uri.contains(&Name::parse(spiffe)));
        assert!(!names(("DNS", spiffe)).contains(&Name::parse(spiffe)));
        assert!(!names(("URI", "reservation")).contains(&Name::parse("reservation")));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_certificate_that_has_ended_names_nobody() {
        let of =
            |ends_at| PeerCertificate { ends_at, ..PeerCertificate::named(vec![Name::parse("catalog")]) };
        assert_eq!(of(i64::MAX).names().map(Name::as_str).collect::<Vec<_>>(), ["catalog"]);
        assert_eq!(of(1_700_000_000).names().count(), 0);
    }
}
