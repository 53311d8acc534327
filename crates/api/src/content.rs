//! The digest of what a caller asked for: tells a repeat from another request under the same id.

use prost::Message;
use sha2::{Digest, Sha256};

/// SHA-256 of a message's encoding.
///
/// Give it the request as it was understood (ids in one spelling, defaults filled in, ignored fields cleared). prost
/// writes fields in the order of their numbers and leaves out defaults, so fields that are added to the message
/// later change no older digest. Messages with map fields have no fixed order and must not be given.
#[must_use]
pub fn digest(message: &impl Message) -> [u8; 32] {
    Sha256::digest(message.encode_to_vec()).into()
}

#[cfg(test)]
mod tests {
    use proto::catalog::Money;

    use super::*;

    #[test]
    fn the_same_content_has_the_same_digest_and_other_content_another() {
        let price = Money { currency_code: "EUR".to_owned(), minor_units: 1250 };
        assert_eq!(digest(&price), digest(&price.clone()));
        assert_ne!(digest(&price), digest(&Money { minor_units: 1251, ..price }));
    }
}
