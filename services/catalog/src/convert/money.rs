//! Money of the API and prices of the domain.

use std::fmt::Display;

use api::{Violation, Violations, field};
use proto::catalog::Money;

use crate::domain::money::{Currency, Price};

/// Reads a price that must be set.
pub fn price(path: impl Display, money: Option<&Money>) -> Result<Price, Violations> {
    let money = field::required(&path, money)?;
    let mut bad = Violations::default();
    let currency = bad.keep(currency(format_args!("{path}.currency_code"), &money.currency_code));
    let minor_units =
        bad.keep(field::integer(format_args!("{path}.minor_units"), money.minor_units, Price::RANGE));
    let (currency, minor_units) = bad.complete((currency, minor_units))?;
    Price::new(currency, minor_units).map_err(|error| Violation::new(path, error.to_string()).into())
}

fn currency(path: impl Display, code: &str) -> Result<Currency, Violation> {
    code.parse().map_err(|_| Violation::new(path, "must be an ISO 4217 code: three upper-case letters"))
}

/// A price as the API shows it.
#[must_use]
pub fn to_money(price: Price) -> Money {
    Money { currency_code: price.currency().to_string(), minor_units: price.minor_units() }
}
