//! What can be set about certificates.

use std::path::PathBuf;

use anyhow::bail;

use super::{
    accept::Servers,
    connect::Dialer,
    expiry::{self, Validity},
    follow::Followed,
    pem::Identity,
};

/// The certificate of this process, as its callers see it.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// This process's certificate with its chain, in PEM: from then on all ports speak TLS alone, health and metrics too. The
    /// file is followed: a new certificate is used within two seconds, and no connection is dropped for it.
    #[arg(long, env = "HOLDFAST_TLS_CERT_FILE", value_name = "FILE")]
    pub tls_cert_file: Option<PathBuf>,
    /// The certificate's key, in PEM; followed likewise.
    #[arg(long, env = "HOLDFAST_TLS_KEY_FILE", value_name = "FILE")]
    pub tls_key_file: Option<PathBuf>,
    /// Who may sign the certificates of clients, in PEM; followed likewise. A client of the gRPC port may show a certificate
    /// then, and is refused if it is not good; customers need none.
    #[arg(long, env = "HOLDFAST_TLS_CLIENT_CA_FILE", value_name = "FILE")]
    pub tls_client_ca_file: Option<PathBuf>,
}

impl TlsConfig {
    /// Whether the ports speak TLS.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.tls_cert_file.is_some()
    }

    /// Whether it can be used.
    ///
    /// # Errors
    /// A file is missing, cannot be read, or makes no sense.
    pub fn check(&self) -> anyhow::Result<()> {
        if let Some((identity, client_ca)) = self.files()? {
            Servers::read(&identity, client_ca.as_deref())?;
        }
        Ok(())
    }

    /// What accepts connections, kept up to date; none: plain text.
    pub(crate) fn servers(&self) -> anyhow::Result<Option<Followed<Servers>>> {
        let Some((identity, client_ca)) = self.files()? else {
            expiry::tell("server", Validity::default());
            return Ok(None);
        };
        let files = identity.files().chain(client_ca.clone()).collect();
        let read = move || Servers::read(&identity, client_ca.as_deref());
        Ok(Some(Followed::start("server", files, read)?))
    }

    fn files(&self) -> anyhow::Result<Option<(Identity, Option<PathBuf>)>> {
        let identity = identity(
            self.tls_cert_file.as_ref(),
            self.tls_key_file.as_ref(),
            "HOLDFAST_TLS_CERT_FILE and HOLDFAST_TLS_KEY_FILE",
        )?;
        match identity {
            Some(identity) => Ok(Some((identity, self.tls_client_ca_file.clone()))),
            None if self.tls_client_ca_file.is_some() => {
                bail!("HOLDFAST_TLS_CLIENT_CA_FILE is good for nothing without HOLDFAST_TLS_CERT_FILE")
            }
            None => Ok(None),
        }
    }
}

/// How this process knows other services, and they it.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct CallsConfig {
    /// Who signs the certificates of the services that are called, in PEM: needed for `https://` URLs, and refused with others. The
    /// file is followed: new connections use what is there.
    #[arg(long, env = "HOLDFAST_CALLS_CA_FILE", value_name = "FILE")]
    pub calls_ca_file: Option<PathBuf>,
    /// The certificate that is shown to services that are called, with its chain, in PEM; followed likewise. May be the one that
    /// this process serves with.
    #[arg(long, env = "HOLDFAST_CALLS_CERT_FILE", value_name = "FILE")]
    pub calls_cert_file: Option<PathBuf>,
    /// That certificate's key, in PEM; followed likewise.
    #[arg(long, env = "HOLDFAST_CALLS_KEY_FILE", value_name = "FILE")]
    pub calls_key_file: Option<PathBuf>,
}

impl CallsConfig {
    /// Whether it can be used to call these URLs, parted by commas.
    ///
    /// # Errors
    /// One of them is not a URL, is of `https` without a CA, or of `http` with one; or a file is missing, cannot be read, or makes
    /// no sense.
    pub fn check(&self, urls: &str) -> anyhow::Result<()> {
        crate::client::check_schemes(urls, self.calls_ca_file.is_some())?;
        Dialer::check(self)
    }

    /// What makes connections. Call it inside the runtime.
    ///
    /// # Errors
    /// A file is missing, cannot be read, or makes no sense.
    pub fn dialer(&self) -> anyhow::Result<Dialer> {
        Dialer::new(self)
    }

    /// The CA, and the certificate to show, if there is one.
    pub(crate) fn files(&self) -> anyhow::Result<Option<(PathBuf, Option<Identity>)>> {
        let identity = identity(
            self.calls_cert_file.as_ref(),
            self.calls_key_file.as_ref(),
            "HOLDFAST_CALLS_CERT_FILE and HOLDFAST_CALLS_KEY_FILE",
        )?;
        match &self.calls_ca_file {
            Some(ca) => Ok(Some((ca.clone(), identity))),
            None if identity.is_some() => {
                bail!("HOLDFAST_CALLS_CERT_FILE is good for nothing without HOLDFAST_CALLS_CA_FILE")
            }
            None => Ok(None),
        }
    }
}

fn identity(cert: Option<&PathBuf>, key: Option<&PathBuf>, names: &str) -> anyhow::Result<Option<Identity>> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(Identity { cert: cert.clone(), key: key.clone() })),
        (None, None) => Ok(None),
        _ => bail!("{names} go together: one of them is missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_and_its_key_go_together() {
        let file = Some(PathBuf::from("x.pem"));
        let lone = TlsConfig { tls_cert_file: file.clone(), ..TlsConfig::default() };
        assert!(lone.check().unwrap_err().to_string().contains("HOLDFAST_TLS_KEY_FILE"));
        let lone = TlsConfig { tls_client_ca_file: file.clone(), ..TlsConfig::default() };
        assert!(lone.check().unwrap_err().to_string().contains("HOLDFAST_TLS_CERT_FILE"));
        let lone = CallsConfig { calls_key_file: file.clone(), ..CallsConfig::default() };
        assert!(lone.check("http://h").unwrap_err().to_string().contains("HOLDFAST_CALLS_CERT_FILE"));
        let lone =
            CallsConfig { calls_key_file: file.clone(), calls_cert_file: file, ..CallsConfig::default() };
        assert!(lone.check("http://h").unwrap_err().to_string().contains("HOLDFAST_CALLS_CA_FILE"));
        assert!(TlsConfig::default().check().is_ok());
    }

    #[test]
    fn https_needs_to_be_told_whom_to_trust() {
        let plain = CallsConfig::default();
        assert!(plain.check("http://h:1,http://i:1").is_ok());
        let error = plain.check("http://h:1,https://i:1").unwrap_err();
        assert!(error.to_string().contains("HOLDFAST_CALLS_CA_FILE"), "{error}");
    }

    #[test]
    fn nothing_is_called_in_plain_text_where_there_are_certificates() {
        let config = CallsConfig { calls_ca_file: Some("ca.pem".into()), ..CallsConfig::default() };
        for urls in ["http://h:1", "https://h:1,http://i:1"] {
            let error = config.check(urls).unwrap_err();
            assert!(error.to_string().contains("plain text"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let config = CallsConfig { calls_ca_file: Some("/no/such/ca.pem".into()), ..CallsConfig::default() };
        let error = format!("{:#}", config.check("https://h").unwrap_err());
        assert!(error.contains("/no/such/ca.pem"), "{error}");
    }
}
