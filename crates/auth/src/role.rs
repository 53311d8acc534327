//! What callers are to Holdfast.

/// What a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Buys: has its own bookings, and sees no others.
    Customer,
    /// Runs the shop: the catalog, all bookings, what was paid and what is paid back.
    Operator,
    /// A part of Holdfast itself.
    Service,
}

impl Role {
    /// All of them. Who has several is the first of these.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Service, Self::Customer];

    /// As it stands in a token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Operator => "operator",
            Self::Service => "service",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}
