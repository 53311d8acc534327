//! Certificates of connections to RabbitMQ, read for each connection: what is exchanged is used by the next.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use crate::ConfigError;

const NO_CERTIFICATE: &str = "it has no certificate in PEM";

/// Whom to trust behind `amqps://`, and what to show there.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct AmqpTls {
    /// Who signs RabbitMQ's certificate, in PEM; beside the public CAs. For `amqps://` URLs, and refused with others. Read for
    /// each connection.
    #[arg(long, env = "HOLDFAST_AMQP_CA_FILE", value_name = "FILE")]
    pub amqp_ca_file: Option<PathBuf>,
    /// The certificate to show to RabbitMQ, with its chain, in PEM. Read for each connection.
    #[arg(long, env = "HOLDFAST_AMQP_CERT_FILE", value_name = "FILE")]
    pub amqp_cert_file: Option<PathBuf>,
    /// That certificate's key, in PEM.
    #[arg(long, env = "HOLDFAST_AMQP_KEY_FILE", value_name = "FILE")]
    pub amqp_key_file: Option<PathBuf>,
}

impl AmqpTls {
    /// Whether there is any.
    pub(crate) fn is_set(&self) -> bool {
        [&self.amqp_ca_file, &self.amqp_cert_file, &self.amqp_key_file].iter().any(|file| file.is_some())
    }

    /// Whether a connection can be made with the files, as far as that is known without making one.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.amqp_cert_file.is_some() != self.amqp_key_file.is_some() {
            let why =
                "HOLDFAST_AMQP_CERT_FILE and HOLDFAST_AMQP_KEY_FILE go together: one of them is missing";
            return Err(ConfigError::Certificates(why.to_owned()));
        }
        self.read().map(drop).map_err(|error| ConfigError::Certificates(error.to_string()))
    }

    /// What the files have now. What no connection can use is an error here, which names the file.
    pub(crate) fn read(&self) -> io::Result<OwnedTLSConfig> {
        let identity = match (&self.amqp_cert_file, &self.amqp_key_file) {
            (Some(cert), Some(key)) => Some(identity(cert, key)?),
            _ => None,
        };
        let cert_chain = self.amqp_ca_file.as_deref().map(authorities).transpose()?;
        Ok(OwnedTLSConfig { identity, cert_chain })
    }
}

/// Who signs RabbitMQ's certificate.
fn authorities(path: &Path) -> io::Result<String> {
    let bytes = read(path)?;
    // One of a bundle that makes no sense is passed over, as lapin does.
    let (used, _) = RootCertStore::empty().add_parsable_certificates(certificates(path, &bytes)?);
    if used == 0 {
        return Err(useless(path, "none of its certificates is an authority's"));
    }
    String::from_utf8(bytes).map_err(|_| useless(path, NO_CERTIFICATE))
}

/// A certificate with its chain, and its key, which is of this certificate. Nothing of the key is shown.
fn identity(cert: &Path, key: &Path) -> io::Result<OwnedIdentity> {
    let (pem, key_pem) = (read(cert)?, read(key)?);
    let chain = certificates(cert, &pem)?;
    let der = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| useless(key, "it has no key in PEM"))?;
    CertifiedKey::from_der(chain, der, &ring::default_provider()).map_err(|error| match error {
        rustls::Error::InvalidCertificate(_) => useless(cert, &error.to_string()),
        _ => useless(key, &format!("it is no key for the certificate in {}: {error}", cert.display())),
    })?;
    Ok(OwnedIdentity::PKCS8 { pem, key: key_pem })
}

/// The certificates of a file, one at least.
fn certificates(path: &Path, bytes: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    all.ok().filter(|all| !all.is_empty()).ok_or_else(|| useless(path, NO_CERTIFICATE))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn useless(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use stack::Pki;

    use super::*;

    /// What is said of these files.
    fn said(ca: Option<&Path>, identity: Option<(&Path, &Path)>) -> Option<String> {
        let tls = AmqpTls {
            amqp_ca_file: ca.map(Path::to_owned),
            amqp_cert_file: identity.map(|(cert, _)| cert.to_owned()),
            amqp_key_file: identity.map(|(_, key)| key.to_owned()),
        };
        tls.check().err().map(|error| error.to_string())
    }

    #[test]
    fn files_are_good_for_a_connection() {
        let dir = env::temp_dir().join(format!("holdfast-amqp-tls-{}", process::id()));
        let pki = Pki::new(&dir).unwrap();
        let [one, other] = ["one", "other"].map(|name| pki.issue(name, &[]).unwrap());
        assert_eq!(said(Some(&pki.ca()), Some((&one.cert, &one.key))), None);

        // What looks like PEM, and is nothing.
        let [no_key, no_certificate, nothing] =
            [("key", "PRIVATE KEY"), ("cert", "CERTIFICATE"), ("nothing", "")].map(|(name, kind)| {
                let path = dir.join(name);
                fs::write(&path, format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n")).unwrap();
                path
            });
        // A bundle may have one that makes no sense.
        let bundle = dir.join("bundle");
        fs::write(&bundle, [fs::read(&no_certificate).unwrap(), fs::read(pki.ca()).unwrap()].concat())
            .unwrap();
        assert_eq!(said(Some(&bundle), None), None);
        for (ca, identity, at_fault) in [
            (None, Some((&one.cert, &no_key)), &no_key),
            (None, Some((&one.cert, &nothing)), &nothing),
            (None, Some((&one.cert, &one.cert)), &one.cert),
            // Another's key.
            (None, Some((&one.cert, &other.key)), &other.key),
            (None, Some((&no_certificate, &one.key)), &no_certificate),
            (None, Some((&one.key, &one.key)), &one.key),
            (Some(&no_certificate), None, &no_certificate),
            (Some(&one.key), None, &one.key),
            (Some(&nothing), None, &nothing),
        ] {
            let identity = identity.map(|(cert, key)| (cert.as_path(), key.as_path()));
            let said = said(ca.map(PathBuf::as_path), identity).expect("it is refused");
            assert!(said.contains(&format!("{}: ", at_fault.display())), "{at_fault:?}: {said}");
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn files_go_together_and_are_there() {
        assert!(AmqpTls::default().check().is_ok());
        let lone = AmqpTls { amqp_cert_file: Some("x.pem".into()), ..AmqpTls::default() };
        assert!(lone.check().unwrap_err().to_string().contains("HOLDFAST_AMQP_KEY_FILE"));
        let gone = AmqpTls { amqp_ca_file: Some("/no/such/ca.pem".into()), ..AmqpTls::default() };
        assert!(gone.check().unwrap_err().to_string().contains("/no/such/ca.pem"));
    }
}
