//! Certificates and keys out of PEM files.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// A certificate with its chain, and its key.
pub(crate) type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Where a certificate and its key are.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Identity {
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> + use<> {
        [self.cert.clone(), self.key.clone()].into_iter()
    }

    /// Reads both. That they belong together is seen when they are used.
    pub(crate) fn read(&self) -> anyhow::Result<Chain> {
        let bytes = fs::read(&self.key).with_context(|| format!("read the key {}", self.key.display()))?;
        // The error would show a part of the key.
        let key = PrivateKeyDer::from_pem_slice(&bytes).ok();
        let key = key.with_context(|| format!("{} has no key in PEM", self.key.display()))?;
        Ok((certificates(&self.cert)?, key))
    }
}

/// All certificates of a file, one at least.
pub(crate) fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let bytes = fs::read(path).with_context(|| format!("read the certificates {}", path.display()))?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("read the certificates {}", path.display()))?;
    ensure!(!certificates.is_empty(), "{} has no certificate in PEM", path.display());
    Ok(certificates)
}

/// Those who may sign.
pub(crate) fn roots(path: &Path) -> anyhow::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).with_context(|| format!("trust {}", path.display()))?;
    }
    Ok(Arc::new(roots))
}
