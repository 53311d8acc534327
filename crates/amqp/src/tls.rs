//! Certificates of connections to RabbitMQ, read for each connection: what is exchanged is used by the next.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use crate::ConfigError;

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

    /// Whether the files go together and can be read.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.amqp_cert_file.is_some() != self.amqp_key_file.is_some() {
            let why =
                "HOLDFAST_AMQP_CERT_FILE and HOLDFAST_AMQP_KEY_FILE go together: one of them is missing";
            return Err(ConfigError::Certificates(why.to_owned()));
        }
        self.read().map(drop).map_err(|error| ConfigError::Certificates(error.to_string()))
    }

    /// What the files have now.
    pub(crate) fn read(&self) -> io::Result<OwnedTLSConfig> {
        let identity = match (&self.amqp_cert_file, &self.amqp_key_file) {
            (Some(cert), Some(key)) => {
                Some(OwnedIdentity::PKCS8 { pem: certificates(cert)?, key: key_of(key)? })
            }
            _ => None,
        };
        let cert_chain = match &self.amqp_ca_file {
            Some(ca) => Some(String::from_utf8(certificates(ca)?).map_err(|_| useless(ca, "certificate"))?),
            None => None,
        };
        Ok(OwnedTLSConfig { identity, cert_chain })
    }
}

/// A file with one certificate at least.
fn certificates(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = read(path)?;
    let mut all = CertificateDer::pem_slice_iter(&bytes).peekable();
    let good = all.peek().is_some() && all.all(|certificate| certificate.is_ok());
    drop(all);
    if good { Ok(bytes) } else { Err(useless(path, "certificate")) }
}

/// A file with a key, of which nothing is shown.
fn key_of(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = read(path)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes);
    if key.is_ok() { Ok(bytes) } else { Err(useless(path, "key")) }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn useless(path: &Path, wanted: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} has no {wanted} in PEM", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    #[test]
    fn files_have_what_they_are_for() {
        let path = env::temp_dir().join(format!("holdfast-amqp-tls-{}.pem", process::id()));
        let kind = "PRIVATE KEY"; // looks like PEM, and has no certificate
        fs::write(&path, format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n")).unwrap();
        let said = certificates(&path).unwrap_err().to_string();
        assert!(said.contains("no certificate"), "{said}");
        assert!(key_of(&path).is_ok());
        fs::write(&path, "-----").unwrap();
        assert!(certificates(&path).is_err() && key_of(&path).is_err());
        fs::remove_file(&path).unwrap();
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
