//! cert-manager: `cert-manager.io/v1`.

#![expect(dead_code, reason = "reading the fields is the check")]

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Certificate {
    secret_name: String,
    #[serde(rename = "isCA")]
    is_ca: Option<bool>,
    common_name: Option<String>,
    dns_names: Option<Vec<String>>,
    duration: Option<String>,
    renew_before: Option<String>,
    usages: Option<Vec<Usage>>,
    private_key: PrivateKey,
    issuer_ref: IssuerRef,
}

#[derive(Deserialize)]
enum Usage {
    #[serde(rename = "digital signature")]
    DigitalSignature,
    #[serde(rename = "server auth")]
    ServerAuth,
    #[serde(rename = "client auth")]
    ClientAuth,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PrivateKey {
    algorithm: Algorithm,
    size: u16,
    encoding: Option<Encoding>,
    rotation_policy: RotationPolicy,
}

#[derive(Deserialize)]
enum Algorithm {
    #[serde(rename = "RSA")]
    Rsa,
    #[serde(rename = "ECDSA")]
    Ecdsa,
}

#[derive(Deserialize)]
enum Encoding {
    #[serde(rename = "PKCS1")]
    Pkcs1,
    #[serde(rename = "PKCS8")]
    Pkcs8,
}

#[derive(Deserialize)]
enum RotationPolicy {
    Always,
    Never,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerRef {
    group: String,
    kind: IssuerKind,
    name: String,
}

#[derive(Deserialize)]
enum IssuerKind {
    Issuer,
    ClusterIssuer,
}

/// One of both.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Issuer {
    self_signed: Option<SelfSigned>,
    ca: Option<Authority>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelfSigned {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Authority {
    secret_name: String,
}
