//! How long the holds on a product or on the seats of a map last.

use std::ops::RangeInclusive;

/// A hold time of a product or seat map, in milliseconds within [`Self::RANGE_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldTtl(i64);

/// Milliseconds that no product or seat map can have as its hold time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hold time is 100 ms to 24 h")]
pub struct HoldTtlOutOfRange;

impl HoldTtl {
    /// The hold times that an operator may set: 100 ms to 24 h.
    pub const RANGE_MS: RangeInclusive<i64> = 100..=86_400_000;
    /// A product's when the operator does not say: 60 s.
    pub const OF_PRODUCTS: Self = Self(60_000);
    /// A seat map's when the operator does not say: 10 min.
    pub const OF_SEATS: Self = Self(600_000);

    /// So many milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for HoldTtl {
    type Error = HoldTtlOutOfRange;

    fn try_from(ms: i64) -> Result<Self, Self::Error> {
        if Self::RANGE_MS.contains(&ms) { Ok(Self(ms)) } else { Err(HoldTtlOutOfRange) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_time_stays_within_its_range() {
        assert_eq!(HoldTtl::try_from(100).map(HoldTtl::as_ms), Ok(100));
        assert_eq!(HoldTtl::try_from(86_400_000).map(HoldTtl::as_ms), Ok(86_400_000));
        assert_eq!(HoldTtl::try_from(99), Err(HoldTtlOutOfRange));
        assert_eq!(HoldTtl::try_from(86_400_001), Err(HoldTtlOutOfRange));
    }
}
