//! Certificates of a stack with TLS: an authority of its own, and what it has issued, in files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use time::OffsetDateTime;

/// Longer than any stack lives, and than certificates are that alarm somebody.
const LIFE: Duration = Duration::from_hours(24 * 365);

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, in PEM.
    pub cert: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

/// An authority, and a folder for what it issues.
pub struct Pki {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Pki {
    /// A new authority in a folder of its own.
    pub fn new(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let mut params = params("Holdfast test authority", &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().context("make a key")?;
        let ca = params.self_signed(&key).context("sign the authority")?;
        let pki = Self { dir: dir.to_owned(), issuer: Issuer::new(params, key) };
        replace(&pki.ca(), &ca.pem(), 0o644)?;
        Ok(pki)
    }

    /// Its own certificate, in PEM: whom to trust.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// Where the certificate of this name is.
    #[must_use]
    pub fn files(&self, name: &str) -> Certificate {
        Certificate { cert: self.dir.join(format!("{name}.pem")), key: self.dir.join(format!("{name}.key")) }
    }

    /// Issues a certificate for `name`, `localhost` and 127.0.0.1, as server and as client. One that is there is exchanged, each
    /// file at once. `about`: `CN` for another common name than `name`, `DNS` and `URI` for further names, `ENDS` for seconds
    /// until it ends, which may be less than 0.
    pub fn issue(&self, name: &str, about: &[(&str, &str)]) -> Result<Certificate> {
        let find = |key| about.iter().find(|(found, _)| *found == key).map(|(_, value)| *value);
        let names: Vec<&str> = [name, "localhost", "127.0.0.1"].into_iter().chain(find("DNS")).collect();
        let mut params = params(find("CN").unwrap_or(name), &names)?;
        if let Some(uri) = find("URI") {
            params.subject_alt_names.push(SanType::URI(uri.try_into().context("read URI")?));
        }
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        if let Some(seconds) = find("ENDS") {
            let seconds: i64 = seconds.parse().context("read ENDS")?;
            params.not_after = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        }
        let key = KeyPair::generate().context("make a key")?;
        let cert = params.signed_by(&key, &self.issuer).with_context(|| format!("issue {name}"))?;
        let files = self.files(name);
        replace(&files.key, &key.serialize_pem(), 0o600)?;
        replace(&files.cert, &cert.pem(), 0o644)?;
        Ok(files)
    }

    /// How a client trusts this authority and shows a certificate, if it has one.
    pub fn client(&self, identity: Option<&Certificate>) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).context("read the authority")?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.with_root_certificates(roots);
        Ok(Arc::new(match identity {
            Some(Certificate { cert, key }) => {
                let chain = vec![CertificateDer::from_pem_file(cert).context("read the certificate")?];
                let key = PrivateKeyDer::from_pem_file(key).context("read the key")?;
                builder.with_client_auth_cert(chain, key)?
            }
            None => builder.with_no_client_auth(),
        }))
    }
}

fn params(common_name: &str, names: &[&str]) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).context("name a certificate")?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = OffsetDateTime::now_utc();
    // Long since: one that has ended must have begun before.
    params.not_before = now - LIFE;
    params.not_after = now + LIFE;
    Ok(params)
}

/// Writes a file beside its place and renames it: it is there as a whole.
fn replace(path: &Path, text: &str, mode: u32) -> Result<()> {
    let draft = path.with_extension("new");
    fs::write(&draft, text).with_context(|| format!("write {}", draft.display()))?;
    fs::set_permissions(&draft, Permissions::from_mode(mode))?;
    fs::rename(&draft, path).with_context(|| format!("replace {}", path.display()))
}
