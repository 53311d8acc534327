//! From when and until when certificates are good: as metrics, so that somebody hears of an end before.

use std::sync::LazyLock;

use anyhow::Context as _;
use opentelemetry::{KeyValue, metrics::Gauge};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

static ENDS: LazyLock<Gauge<i64>> = LazyLock::new(|| {
    telemetry::meter()
        .i64_gauge("holdfast_tls_certificate_expiry_timestamp_seconds")
        .with_description("When a certificate of this process, or one of its chain, ends; 0: there is none")
        .build()
});

static STARTS: LazyLock<Gauge<i64>> = LazyLock::new(|| {
    telemetry::meter()
        .i64_gauge("holdfast_tls_certificate_start_timestamp_seconds")
        .with_description("When that certificate began; 0: there is none")
        .build()
});

/// When a certificate is good, in seconds since 1970; zeros: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) starts_at: i64,
    pub(crate) ends_at: i64,
}

/// Says when the certificate for this purpose is good.
pub(crate) fn tell(certificate: &'static str, validity: Validity) {
    let purpose = [KeyValue::new("certificate", certificate)];
    STARTS.record(validity.starts_at, &purpose);
    ENDS.record(validity.ends_at, &purpose);
}

/// That of the first of them to end; there is one at least.
pub(crate) fn first_to_end(certificates: &[CertificateDer<'_>]) -> anyhow::Result<Validity> {
    let mut all = Vec::new();
    for certificate in certificates {
        let (_, certificate) = X509Certificate::from_der(certificate).context("read a certificate")?;
        let validity = certificate.validity();
        let (starts_at, ends_at) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        all.push(Validity { starts_at, ends_at });
    }
    all.into_iter().min_by_key(|validity| validity.ends_at).context("there is no certificate")
}
