//! `holdfast token`: a token for the Holdfast that runs here with `holdfast up --auth`.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use stack::TokenIssuer;

use crate::output::line;

/// Whose token, and for how long.
#[derive(Args, Debug)]
pub(crate) struct TokenOptions {
    /// What its bearer may do: customer, operator or service.
    #[arg(long, default_value = "customer", value_parser = ["customer", "operator", "service"])]
    role: String,
    /// Who its bearer is. Of a customer it is the customer_id of their bookings.
    #[arg(long, default_value = "ada")]
    subject: String,
    /// How long it is good for, in hours.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=8_760))]
    hours: u16,
}

/// The issuer of the development tokens of this folder.
pub(crate) fn issuer(home: &Path) -> Result<TokenIssuer> {
    TokenIssuer::open(&home.join("auth"))
}

/// Prints a token, and nothing else.
pub(crate) fn run(home: &Path, options: &TokenOptions) -> Result<()> {
    let life = Duration::from_hours(options.hours.into());
    line(issuer(home)?.token(&options.subject, &options.role, life));
    Ok(())
}
