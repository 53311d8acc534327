//! Tokens that were verified: known again by their hash, so that a signature is checked once and no token is kept.

use std::{collections::HashMap, mem};

/// SHA-256 of a token.
pub(crate) type Digest = [u8; 32];

/// Values by the hash of their token: a bounded number, of which those that are not asked for go first.
///
/// Two generations: what is new or asked for is young; when the young ones are too many they become the old ones, and what was old
/// and not asked for since is forgotten.
#[derive(Debug)]
pub(crate) struct Remembered<T> {
    /// The most of a generation.
    limit: usize,
    young: HashMap<Digest, T>,
    old: HashMap<Digest, T>,
}

impl<T: Clone> Remembered<T> {
    /// So many at most.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit / 2, young: HashMap::new(), old: HashMap::new() }
    }

    pub(crate) fn get(&mut self, digest: &Digest) -> Option<T> {
        if let Some(value) = self.young.get(digest) {
            return Some(value.clone());
        }
        let value = self.old.remove(digest)?;
        self.put(*digest, value.clone());
        Some(value)
    }

    pub(crate) fn put(&mut self, digest: Digest, value: T) {
        if self.young.len() >= self.limit {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(digest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Digest {
        [number; 32]
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let mut remembered = Remembered::new(8);
        for number in 0..100 {
            remembered.put(digest(number), number);
            assert_eq!(remembered.get(&digest(0)), Some(0), "{number}");
            assert!(remembered.young.len() + remembered.old.len() <= 8);
        }
        assert_eq!(remembered.get(&digest(50)), None);
        assert_eq!(remembered.get(&digest(99)), Some(99));
    }
}
