//! Who asks for something, and whose bookings they may see.

use std::{net::IpAddr, sync::Arc};

/// Who had something done, and by which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who, by their issuer's name for them; none where nobody is asked.
    pub subject: Option<Arc<str>>,
    /// What they are, by its name; none where nobody is asked.
    pub role: Option<&'static str>,
    /// The RPC, or the program's command.
    pub method: &'static str,
    /// Which request it was, if that is known.
    pub request_id: Option<Arc<str>>,
    /// Where they call from: for the log of what is refused, and recorded nowhere.
    pub address: Option<IpAddr>,
    /// Whether they see their own bookings alone: those of the customer with their name.
    pub only_own: bool,
}

impl Actor {
    /// A command of this program.
    #[must_use]
    pub const fn program(method: &'static str) -> Self {
        Self { subject: None, role: None, method, request_id: None, address: None, only_own: false }
    }

    /// The customer whose bookings alone they see; none: everyone's.
    #[must_use]
    pub fn customer(&self) -> Option<&str> {
        // Who has no name is nobody's customer.
        self.only_own.then(|| self.subject.as_deref().unwrap_or_default())
    }

    /// Whether they see the bookings of this customer. To those who do not, the booking is not there.
    #[must_use]
    pub fn sees(&self, customer_id: &str) -> bool {
        self.customer().is_none_or(|own| own == customer_id && !own.is_empty())
    }

    /// The same, for what has to be done on their account to whatever is there.
    #[must_use]
    pub fn seeing_all(&self) -> Self {
        Self { only_own: false, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_sees_their_own_and_everyone_else_sees_all() {
        let ada = Actor { subject: Some("ada".into()), only_own: true, ..Actor::program("GetBooking") };
        assert!(ada.sees("ada") && !ada.sees("bob") && !ada.sees("Ada") && !ada.sees(""));
        assert!(ada.seeing_all().sees("bob"));
        assert!(Actor::program("repair").sees("bob"));
        // No name is no key to the bookings of nobody, the tombstones.
        let nobody = Actor { only_own: true, ..Actor::program("GetBooking") };
        assert!(!nobody.sees(""));
    }
}
