//! The audit of a stack, and the wait until nothing is left to be audited.
//!
//! The rules hold at any instant, whatever is going on: the `audit` library checks them. Once all is quiet, both
//! databases must also agree on everything: that is looked up here.

use std::collections::HashMap;

use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::{PATIENCE, World, eventually, when};

/// What is left to be done, one line each.
pub type Findings = Vec<String>;

impl World {
    /// Checks every rule on everything, whatever is going on.
    pub async fn assert_rules_hold(&self) {
        let report = audit::run(&self.audit_options()).await.expect("the services can be audited");
        assert!(report.is_sound(), "{report}");
    }

    /// Waits until nothing is left to be done and both databases agree on everything; then checks every rule. For a
    /// stack that one test has to itself, when it is whole again.
    pub async fn assert_settles(&self) {
        eventually("both databases agree", PATIENCE, async || {
            let found = self.unsettled().await;
            when(found.is_empty(), found)
        })
        .await;
        self.assert_rules_hold().await;
    }

    /// What is still to be done or does not agree: promises in the outbox, bookings past their deadline, holds that are not as their
    /// booking wants them.
    pub async fn unsettled(&self) -> Findings {
        let mut reservation = self.reservation_database().await;
        let mut found = texts(
            &mut reservation,
            "select format('%s %s rows wait in the outbox', count(*), kind) from outbox group by kind
             union all
             select format('booking %s is %s past its deadline', booking_id, state) from bookings
             where state in ('HELD', 'PAYMENT_PENDING') and expires_at < clock_timestamp()",
        )
        .await;
        let bookings: HashMap<Uuid, (i32, String)> =
            sqlx::query("select booking_id, attempt, state from bookings")
                .fetch_all(&mut reservation)
                .await
                .expect("bookings can be read")
                .iter()
                .map(|row| (row.get("booking_id"), (row.get("attempt"), row.get("state"))))
                .collect();
        let holds: HashMap<(Uuid, i32), String> = sqlx::query("select booking_id, attempt, state from holds")
            .fetch_all(&mut self.catalog_database().await)
            .await
            .expect("holds can be read")
            .iter()
            .map(|row| ((row.get("booking_id"), row.get("attempt")), row.get("state")))
            .collect();
        found.extend(holds.iter().filter_map(|((booking_id, attempt), state)| {
            let booking = bookings.get(booking_id);
            let wanted = match booking {
                Some((current, state)) if current == attempt => wanted_hold(state).unwrap_or("RELEASED"),
                _ => "RELEASED",
            };
            (state != wanted)
                .then(|| format!("hold {booking_id}/{attempt} is {state}; its booking is {booking:?}"))
        }));
        found.extend(bookings.iter().filter_map(|(booking_id, (attempt, state))| {
            let missing = wanted_hold(state).is_some() && !holds.contains_key(&(*booking_id, *attempt));
            missing.then(|| format!("booking {booking_id} is {state} without a hold"))
        }));
        found
    }
}

/// The state of the hold that a booking in this state must have; `None`: it needs none.
fn wanted_hold(booking_state: &str) -> Option<&'static str> {
    match booking_state {
        "HELD" | "PAYMENT_PENDING" => Some("ACTIVE"),
        "CONFIRMED" => Some("COMMITTED"),
        _ => None,
    }
}

async fn texts(connection: &mut PgConnection, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(connection).await.expect("the rule can be checked")
}
