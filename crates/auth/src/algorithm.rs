//! The algorithms of signatures (RFC 7518, section 3; RFC 8037). Asymmetric ones alone: with a shared secret, or with `none`,
//! whoever checks a token could make one.

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Algorithm {
    /// RSA PKCS #1 v1.5 with SHA-256.
    #[value(name = "RS256")]
    Rs256,
    /// RSA PKCS #1 v1.5 with SHA-384.
    #[value(name = "RS384")]
    Rs384,
    /// RSA PKCS #1 v1.5 with SHA-512.
    #[value(name = "RS512")]
    Rs512,
    /// RSA PSS with SHA-256.
    #[value(name = "PS256")]
    Ps256,
    /// RSA PSS with SHA-384.
    #[value(name = "PS384")]
    Ps384,
    /// RSA PSS with SHA-512.
    #[value(name = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    #[value(name = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[value(name = "ES384")]
    Es384,
    /// Ed25519.
    #[value(name = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// As it stands in a token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}
