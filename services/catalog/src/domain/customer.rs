//! What customers have, where one of them may have so much and no more.

use super::ids::{ProductId, SeatMapId};

/// Names a customer, in whatever way the shop does: 1 to 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId(String);

/// A text that names no customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a customer's id has 1 to 128 characters")]
pub struct NoCustomer;

impl CustomerId {
    /// The most characters.
    pub const MAX_CHARS: usize = 128;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CustomerId {
    type Error = NoCustomer;

    fn try_from(text: String) -> Result<Self, NoCustomer> {
        // No character is shorter than a byte.
        let fits = text.len() <= Self::MAX_CHARS || text.chars().count() <= Self::MAX_CHARS;
        if !text.is_empty() && fits { Ok(Self(text)) } else { Err(NoCustomer) }
    }
}

/// The most of something that one customer may have; or no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CustomerLimit(i64);

/// A number that no limit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a limit is 1 to 1,000,000, and 0 is none")]
pub struct LimitOutOfRange;

impl CustomerLimit {
    /// The limits that there may be.
    pub const RANGE: std::ops::RangeInclusive<i64> = 0..=1_000_000;
    /// No limit: nothing is counted.
    pub const NONE: Self = Self(0);

    /// As it is sent and stored: 0 is no limit.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The most; `None` without a limit.
    #[must_use]
    pub fn most(self) -> Option<i64> {
        (self.0 > 0).then_some(self.0)
    }

    /// Counts the same, and refuses nothing.
    #[must_use]
    pub fn without_refusal(self) -> Self {
        if self == Self::NONE { self } else { Self(i64::MAX) }
    }
}

impl TryFrom<i64> for CustomerLimit {
    type Error = LimitOutOfRange;

    fn try_from(number: i64) -> Result<Self, LimitOutOfRange> {
        if Self::RANGE.contains(&number) { Ok(Self(number)) } else { Err(LimitOutOfRange) }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counted {
    /// Holds that are ACTIVE.
    OpenHolds,
    /// Units of a product in holds that are ACTIVE or COMMITTED.
    Product(ProductId),
    /// Seats of a map in such holds.
    SeatMap(SeatMapId),
}

/// Names a count: of what, and whose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountKey {
    /// Whose.
    pub customer_id: CustomerId,
    /// Of what.
    pub counted: Counted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customers_id_is_measured_in_characters() {
        for good in ["x".to_owned(), "x".repeat(128), "ß".repeat(128)] {
            assert_eq!(CustomerId::try_from(good.clone()).map(|id| id.0), Ok(good));
        }
        for bad in [String::new(), "x".repeat(129), "ß".repeat(129)] {
            assert_eq!(CustomerId::try_from(bad), Err(NoCustomer));
        }
    }

    #[test]
    fn zero_is_no_limit_whoever_asks() {
        assert_eq!(CustomerLimit::try_from(0), Ok(CustomerLimit::NONE));
        assert_eq!(CustomerLimit::NONE.most(), None);
        assert_eq!(CustomerLimit::NONE.without_refusal(), CustomerLimit::NONE);
        assert_eq!(CustomerLimit::try_from(4).map(CustomerLimit::most), Ok(Some(4)));
        for bad in [-1, 1_000_001] {
            assert_eq!(CustomerLimit::try_from(bad), Err(LimitOutOfRange));
        }
    }
}
