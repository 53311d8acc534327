//! Prices: an amount of one currency in its smallest unit.

use std::{fmt, ops::RangeInclusive, str::FromStr};

/// An ISO 4217 code: three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

/// A text that is not a currency code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency code has three upper-case letters")]
pub struct NotACurrency;

impl Currency {
    /// The code.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("upper-case ASCII letters are UTF-8")
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let letters = <[u8; 3]>::try_from(code.as_bytes()).map_err(|_| NotACurrency)?;
        if letters.iter().all(u8::is_ascii_uppercase) { Ok(Self(letters)) } else { Err(NotACurrency) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({self})")
    }
}

/// What one unit or one seat costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    currency: Currency,
    minor_units: i64,
}

/// An amount that no price has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a price is 0 to 10^12 minor units")]
pub struct PriceOutOfRange;

impl Price {
    /// The amounts that a price can have.
    pub const RANGE: RangeInclusive<i64> = 0..=1_000_000_000_000;

    /// A price of so many of the currency's smallest units, within [`Self::RANGE`].
    pub fn new(currency: Currency, minor_units: i64) -> Result<Self, PriceOutOfRange> {
        if Self::RANGE.contains(&minor_units) {
            Ok(Self { currency, minor_units })
        } else {
            Err(PriceOutOfRange)
        }
    }

    /// Its currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in the currency's smallest unit.
    #[must_use]
    pub fn minor_units(self) -> i64 {
        self.minor_units
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_currency_is_three_upper_case_letters_and_nothing_else(code in "[A-Z]{3}|.{0,4}|[A-Za-z]{3}") {
            let good = code.len() == 3 && code.bytes().all(|letter| letter.is_ascii_uppercase());
            let parsed = code.parse::<Currency>();
            prop_assert_eq!(parsed.is_ok(), good);
            if let Ok(currency) = parsed {
                prop_assert_eq!(currency.to_string(), code);
            }
        }
    }

    #[test]
    fn a_price_stays_within_its_range() -> Result<(), NotACurrency> {
        let euro: Currency = "EUR".parse()?;
        assert_eq!(Price::new(euro, 0).map(Price::minor_units), Ok(0));
        assert_eq!(Price::new(euro, 1_000_000_000_000).map(Price::currency), Ok(euro));
        assert_eq!(Price::new(euro, -1), Err(PriceOutOfRange));
        assert_eq!(Price::new(euro, 1_000_000_000_001), Err(PriceOutOfRange));
        Ok(())
    }
}
