//! When certificates end: as a metric, so that somebody hears of it before.

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

/// Says when the certificate for this purpose ends, in seconds since 1970; 0: there is none.
pub(crate) fn tell(certificate: &'static str, ends_at: i64) {
    ENDS.record(ends_at, &[KeyValue::new("certificate", certificate)]);
}

/// When the first of them ends, in seconds since 1970.
pub(crate) fn first_end(certificates: &[CertificateDer<'_>]) -> anyhow::Result<i64> {
    let mut first = i64::MAX;
    for certificate in certificates {
        let (_, certificate) = X509Certificate::from_der(certificate).context("read a certificate")?;
        first = first.min(certificate.validity().not_after.timestamp());
    }
    Ok(first)
}
