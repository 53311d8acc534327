//! Certificates of connections to RabbitMQ, read for each connection: what is exchanged is used by the next.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};

use crate::ConfigError;

/// Whom to trust behind `amqps://`, and what to show there.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct AmqpTls {
    /// Who signs RabbitMQ's certificate, in PEM; beside the public CAs. For `amqps://` URLs. Read for each connection.
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
            (Some(cert), Some(key)) => Some(OwnedIdentity::PKCS8 { pem: read(cert)?, key: read(key)? }),
            _ => None,
        };
        let cert_chain = match &self.amqp_ca_file {
            Some(ca) => Some(String::from_utf8(read(ca)?).map_err(|_| no_pem(ca))?),
            None => None,
        };
        Ok(OwnedTLSConfig { identity, cert_chain })
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = fs::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    if bytes.windows(5).any(|at| at == b"-----") { Ok(bytes) } else { Err(no_pem(path)) }
}

fn no_pem(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is not in PEM", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_together_and_are_there() {
        assert!(AmqpTls::default().check().is_ok());
        let lone = AmqpTls { amqp_cert_file: Some("x.pem".into()), ..AmqpTls::default() };
        assert!(lone.check().unwrap_err().to_string().contains("HOLDFAST_AMQP_KEY_FILE"));
        let gone = AmqpTls { amqp_ca_file: Some("/no/such/ca.pem".into()), ..AmqpTls::default() };
        assert!(gone.check().unwrap_err().to_string().contains("/no/such/ca.pem"));
    }
}
