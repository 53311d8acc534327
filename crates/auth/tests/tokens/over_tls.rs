//! Keys behind https, of a server whom an authority of one's own vouches for.

use std::{env, fs, path::PathBuf, sync::Arc};

use auth::{Algorithm, Refusal};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Authority, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::{
    authority::{Following, eventually},
    issuer::Issuer,
    signer::{Signer, set},
};

/// An authority, with its certificate in a file that goes with it.
struct Pki {
    issuer: Authority<'static, KeyPair>,
    ca: PathBuf,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let ca = env::temp_dir().join(format!("holdfast-ca-{}.pem", uuid::Uuid::new_v4()));
        fs::write(&ca, certificate.pem()).unwrap();
        Self { issuer: Authority::new(params, key), ca }
    }

    /// A server of this name.
    fn server(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = config.with_no_client_auth();
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap()))
    }

    fn ca(&self) -> &str {
        self.ca.to_str().unwrap()
    }
}

impl Drop for Pki {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.ca);
    }
}

#[tokio::test]
async fn keys_come_over_https_from_a_server_of_ones_own_authority_and_from_no_other() {
    let (own, other) = (Pki::new(), Pki::new());
    let signer = Signer::new("one", Algorithm::EdDsa);
    let keys = set(&[&signer]);
    let good = Issuer::over(&keys, Some(own.server("127.0.0.1"))).await;
    let authority = Following::of(&good.url, &["--auth-jwks-ca-file", own.ca()]);
    assert!(authority.authenticate(&signer.token()).await.is_ok());
    // Another authority's, one of another name, and public authorities alone.
    let stranger = Issuer::over(&keys, Some(other.server("127.0.0.1"))).await;
    let misnamed = Issuer::over(&keys, Some(own.server("issuer.example"))).await;
    for (issuer, options) in [
        (&stranger, &["--auth-jwks-ca-file", own.ca()][..]),
        (&misnamed, &["--auth-jwks-ca-file", own.ca()]),
        (&good, &[]),
    ] {
        let asked = issuer.asked();
        let authority = Following::of(&issuer.url, options);
        assert_eq!(authority.authenticate(&signer.token()).await, Err(Refusal::NoKeys), "{}", issuer.url);
        authority.until_told(Err("certificate")).await;
        assert_eq!(issuer.asked(), asked, "it was not even asked");
    }
    // In plain text it says nothing that is believed either.
    let plain = Issuer::serve(&keys).await;
    let authority =
        Following::of(&plain.url.replace("http://", "https://"), &["--auth-jwks-ca-file", own.ca()]);
    eventually(|| authority.told.lock().unwrap().is_some()).await;
    assert_eq!(authority.authenticate(&signer.token()).await, Err(Refusal::NoKeys));
}
