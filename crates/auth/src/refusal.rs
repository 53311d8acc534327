//! Why a token is refused. Says nothing of what stands in it.

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// It is longer than any token that is issued.
    #[error("the token is too long")]
    TooLong,
    /// It is no JWT in the compact form, or one with what nobody here understands.
    #[error("the token is malformed")]
    Malformed,
    /// It is signed in a way that is not allowed, or not at all.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// It is signed with a key that the issuer does not have, or not for this algorithm.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// So many keys could have signed it that it has to name one.
    #[error("the token does not say which key signed it, and there are too many to try")]
    ManyKeys,
    /// The signature is not of this token.
    #[error("the token's signature is wrong")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Somebody else issued it.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is meant for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// It does not say whom it is of, or when it expires.
    #[error("the token lacks a claim that it must have")]
    MissingClaim,
    /// Its subject is too long, for a customer longer than a `customer_id`, or has control characters.
    #[error(
        "the token's subject is too long (a customer's has 128 characters at most), or has control characters"
    )]
    Subject,
    /// There are no keys to check it with: they could not be fetched yet, not for too long, or the issuer has none.
    #[error("there are no keys of the issuer")]
    NoKeys,
    /// Other keys may be good for it, and as many wait for these as may.
    #[error("too many wait for the keys of the issuer")]
    Crowded,
}

impl Refusal {
    /// For programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::ManyKeys => "many_keys",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::MissingClaim => "missing_claim",
            Self::Subject => "subject",
            Self::NoKeys => "no_keys",
            Self::Crowded => "crowded",
        }
    }
}
