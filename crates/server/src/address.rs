//! Where a request comes from.

use std::net::IpAddr;

use ::http::{Extensions, Request};

use crate::Peer;

/// The address of who sent a request over HTTP, in the request's extensions. Of a proxy, where there is one between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub IpAddr);

impl Address {
    /// That of a request, whichever way it came; none where it has no connection.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Option<Self> {
        Self::among(request.extensions())
    }

    /// That of the request with these extensions.
    #[must_use]
    pub fn among(extensions: &Extensions) -> Option<Self> {
        let of_grpc = || Some(Self(extensions.get::<Peer>()?.address?.ip()));
        extensions.get::<Self>().copied().or_else(of_grpc)
    }

    /// What one user has of them: of IPv6 that is a network of 64 bits.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
            address @ IpAddr::V4(_) => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_ipv6_has_many_addresses_and_is_one_user() {
        let network = |address: &str| Address(address.parse().unwrap()).network().to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.0.0.7"), "10.0.0.7");
        assert_eq!(network("10.0.0.7"), "10.0.0.7");
    }
}
