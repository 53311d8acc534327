//! Which role may call which RPC: all of it, in one table. What does not stand here, nobody may call.
//!
//! Whoever says that money was taken is believed, so that is for operators: the shop's own backend, not its customers.

use std::{collections::HashMap, sync::LazyLock};

use crate::Role;

/// Who may call an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone, without saying who they are.
    Everyone,
    /// Callers of these roles.
    Roles(&'static [Role]),
}

impl Access {
    /// Whether a caller of this role may.
    #[must_use]
    pub fn allows(self, role: Role) -> bool {
        match self {
            Self::Everyone => true,
            Self::Roles(roles) => roles.contains(&role),
        }
    }
}

/// Customers, of what is their own; and operators.
const SHOP: Access = Access::Roles(&[Role::Customer, Role::Operator]);
/// Operators alone.
const OFFICE: Access = Access::Roles(&[Role::Operator]);
/// The parts of Holdfast, each by what it needs: reservation, expirer, audit.
const INSIDE: Access = Access::Roles(&[Role::Service]);

/// Who may call which methods.
type Rows = &'static [(Access, &'static [&'static str])];

/// Services, with who may call which of their methods.
const TABLE: &[(&str, Rows)] = &[
    (
        "holdfast.catalog.v1.CatalogService",
        &[
            (SHOP, &["GetProduct", "ListProducts", "GetSeatMap", "ListSeatMaps", "ListSeats"]),
            (
                OFFICE,
                &[
                    "CreateProduct",
                    "UpdateProduct",
                    "DeleteProduct",
                    "AdjustStock",
                    "CreateSeatMap",
                    "UpdateSeatMap",
                    "DeleteSeatMap",
                    "UpdateSeats",
                ],
            ),
        ],
    ),
    (
        "holdfast.reservation.v1.BookingService",
        &[
            (
                SHOP,
                &[
                    "CreateBooking",
                    "HoldBooking",
                    "ExtendHold",
                    "StartPayment",
                    "CancelBooking",
                    "GetBooking",
                    "ListBookings",
                    "ListBookingHistory",
                ],
            ),
            (OFFICE, &["CompletePayment", "PayBooking", "RefundBooking"]),
        ],
    ),
    (
        "holdfast.catalog.v1.HoldService",
        &[(INSIDE, &["PlaceHolds", "SettleHolds", "RestoreHolds", "ListOverdueHolds"])],
    ),
    ("holdfast.reservation.v1.SettlementService", &[(INSIDE, &["ResolveHolds", "ExpireDrafts"])]),
    (
        "holdfast.catalog.v1.AuditService",
        &[(INSIDE, &["AuditProducts", "AuditSeats", "AuditHolds", "GetHolds", "AuditClaims"])],
    ),
    ("holdfast.reservation.v1.AuditService", &[(INSIDE, &["AuditBookings", "CompareHolds"])]),
    // Whoever watches over a process has no token; and what the API looks like is no secret: it is in the repository.
    ("grpc.health.v1.Health", &[(Access::Everyone, &["Check", "Watch"])]),
    ("grpc.reflection.v1.ServerReflection", &[(Access::Everyone, &["ServerReflectionInfo"])]),
    ("grpc.reflection.v1alpha.ServerReflection", &[(Access::Everyone, &["ServerReflectionInfo"])]),
];

static BY_PATH: LazyLock<HashMap<String, Access>> = LazyLock::new(|| entries().collect());

/// Every RPC as gRPC calls it (`/package.Service/Method`), with who may call it.
pub fn entries() -> impl Iterator<Item = (String, Access)> {
    TABLE.iter().flat_map(|(service, rows)| {
        rows.iter().flat_map(move |(access, methods)| {
            methods.iter().map(move |method| (format!("/{service}/{method}"), *access))
        })
    })
}

/// Who may call the RPC of this path; `None`: it is not in the table, and nobody may.
#[must_use]
pub fn access(path: &str) -> Option<Access> {
    BY_PATH.get(path).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rpc_stands_in_the_table_twice() {
        assert_eq!(entries().count(), BY_PATH.len());
    }

    #[test]
    fn what_is_not_in_the_table_is_for_nobody() {
        assert_eq!(access("/holdfast.reservation.v1.BookingService/StealBooking"), None);
        assert_eq!(access("/holdfast.reservation.v1.BookingService"), None);
        assert_eq!(access(""), None);
    }

    #[test]
    fn money_is_for_operators_and_what_is_inside_for_services() {
        for (path, access) in entries() {
            let (money, inside) = (
                ["Pay", "Complete", "Refund"].iter().any(|word| path.contains(&format!("/{word}"))),
                access == INSIDE,
            );
            assert_eq!(
                inside,
                ["HoldService", "Settlement", "Audit"].iter().any(|part| path.contains(part)),
                "{path}"
            );
            assert!(!money || access == OFFICE, "{path}");
        }
    }
}
