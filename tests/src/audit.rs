//! The audit: the invariants of DESIGN.md checked on everything in both databases.
//!
//! The rules must hold at any instant, whatever is going on: each database is read in one snapshot, the catalog first,
//! and what it has settled reservation must have decided before. Once all is quiet, the two must also agree.

use std::collections::HashMap;

use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::{PATIENCE, World, eventually, when};

/// What the audit found wrong, one line each.
pub type Findings = Vec<String>;

/// Rules of the catalog: each query answers what breaks it, one text per row.
const CATALOG_RULES: [&str; 4] = [
    // Invariant 1: the counts of a product are the sums of its holds, and within what exists.
    "select format('product %s has held %s, sold %s of %s; its holds say %s and %s', p.product_id, p.held, p.sold,
                   p.on_hand, coalesce(h.held, 0), coalesce(h.sold, 0))
     from products p
     left join (select l.product_id, sum(l.quantity) filter (where h.state = 'ACTIVE') as held,
                       sum(l.quantity) filter (where h.state = 'COMMITTED') as sold
                from holds h
                cross join lateral jsonb_to_recordset(h.lines) as l (product_id uuid, quantity bigint)
                where l.product_id is not null and h.state <> 'RELEASED'
                group by l.product_id) h using (product_id)
     where p.held <> coalesce(h.held, 0) or p.sold <> coalesce(h.sold, 0) or p.held + p.sold > p.on_hand",
    // Invariant 2: a seat is in one hold at most that is not released.
    "select format('seat %s of %s is in %s holds', l.label, l.seat_map_id, count(*))
     from holds h cross join lateral jsonb_to_recordset(h.lines) as l (seat_map_id uuid, label text)
     where l.seat_map_id is not null and h.state <> 'RELEASED'
     group by l.seat_map_id, l.label having count(*) > 1",
    // Invariant 2: and its state says so.
    "select format('seat %s of %s is %s for %s; the holds say %s for %s', label, seat_map_id, s.state, s.booking_id,
                   t.state, t.booking_id)
     from (select * from seats where state in ('HELD', 'SOLD')) s
     full join (select l.seat_map_id, l.label, h.booking_id, h.attempt,
                       case h.state when 'ACTIVE' then 'HELD' else 'SOLD' end as state
                from holds h cross join lateral jsonb_to_recordset(h.lines) as l (seat_map_id uuid, label text)
                where l.seat_map_id is not null and h.state <> 'RELEASED') t using (seat_map_id, label)
     where (s.state, s.booking_id, s.attempt) is distinct from (t.state, t.booking_id, t.attempt)",
    // A hold that is settled is so once.
    "select format('hold %s/%s is %s without a time', booking_id, attempt, state)
     from holds where (state = 'ACTIVE') <> (settled_at is null)",
];

/// Rules of reservation.
const RESERVATION_RULES: [&str; 5] = [
    // Invariant 4: bookings move along the table only.
    "select format('booking %s went from %s to %s', booking_id, coalesce(from_state, '-'), to_state)
     from booking_history
     where (coalesce(from_state, '-'), to_state) not in (
         ('-', 'INITIATED'), ('-', 'HELD'), ('-', 'EXPIRED'), ('INITIATED', 'HELD'), ('HELD', 'HELD'),
         ('HELD', 'PAYMENT_PENDING'), ('PAYMENT_PENDING', 'HELD'), ('PAYMENT_PENDING', 'CONFIRMED'),
         ('INITIATED', 'CANCELLED'), ('HELD', 'CANCELLED'), ('PAYMENT_PENDING', 'CANCELLED'),
         ('INITIATED', 'EXPIRED'), ('HELD', 'EXPIRED'), ('PAYMENT_PENDING', 'EXPIRED'), ('CONFIRMED', 'REFUNDED'))",
    // Invariant 4: each step begins where the one before ended, without gaps, and the last one says where it is.
    "select format('the history of booking %s is broken at %s', booking_id, sequence)
     from (select booking_id, sequence, from_state, lag(to_state) over steps as before,
                  row_number() over steps as place
           from booking_history window steps as (partition by booking_id order by sequence)) h
     where from_state is distinct from before or sequence <> place",
    "select format('booking %s is %s after %s steps; its history ends with %s after %s', b.booking_id, b.state,
                   b.history_length, h.to_state, h.sequence)
     from bookings b
     left join lateral (select to_state, sequence from booking_history h
                        where h.booking_id = b.booking_id order by sequence desc limit 1) h on true
     where (b.state, b.history_length) is distinct from (h.to_state, h.sequence)",
    // Invariant 5: nothing is confirmed at or after its deadline, and nothing expires before it.
    "select format('booking %s became %s at %s, with its deadline at %s', booking_id, to_state, happened_at, expires_at)
     from booking_history
     where (to_state = 'CONFIRMED' and happened_at >= expires_at)
        or (to_state = 'EXPIRED' and happened_at < expires_at)",
    // What was paid for has the one payment that paid for it, and nothing else has.
    "select format('booking %s is %s with payment %s; accepted was %s', coalesce(b.booking_id, p.booking_id), b.state,
                   b.payment_id, p.payment_id)
     from (select * from bookings where state in ('CONFIRMED', 'REFUNDED')) b
     full join (select * from payments where outcome = 'ACCEPTED') p on p.booking_id = b.booking_id
     where b.payment_id is distinct from p.payment_id",
];

/// Invariant 3 and the promise never to release early. Holds as the catalog has them, bookings as they are afterwards.
const SETTLED_RULE: &str =
    "select format('hold %s/%s is %s (at %s); its booking is %s/%s, deadline %s', h.booking_id, h.attempt, h.state,
                   h.settled_at, b.state, b.attempt, b.expires_at)
     from unnest($1::uuid[], $2::int[], $3::text[], $4::timestamptz[]) as h (booking_id, attempt, state, settled_at)
     left join bookings b using (booking_id)
     where b.booking_id is null
        or h.attempt > b.attempt
        or h.state = 'COMMITTED' and (h.attempt <> b.attempt or b.state not in ('CONFIRMED', 'REFUNDED'))
        or h.state = 'RELEASED' and h.attempt = b.attempt
           and (b.state not in ('EXPIRED', 'CANCELLED', 'REFUNDED')
                or b.state = 'EXPIRED' and h.settled_at < b.expires_at)";

impl World {
    /// Checks every rule on everything, at this instant.
    pub async fn assert_rules_hold(&self) {
        let mut found = Findings::new();
        let mut catalog = self.catalog_database().await;
        run(&mut catalog, "begin isolation level repeatable read, read only").await;
        for rule in CATALOG_RULES {
            found.extend(texts(&mut catalog, rule).await);
        }
        let settled = sqlx::query(
            "select coalesce(array_agg(booking_id), '{}') as booking_ids, coalesce(array_agg(attempt), '{}') as attempts,
                    coalesce(array_agg(state), '{}') as states, coalesce(array_agg(settled_at), '{}') as times
             from holds where state <> 'ACTIVE'",
        )
        .fetch_one(&mut catalog)
        .await
        .expect("holds can be read");
        let mut reservation = self.reservation_database().await;
        let broken = sqlx::query_scalar::<_, String>(SETTLED_RULE)
            .bind(settled.get::<Vec<Uuid>, _>("booking_ids"))
            .bind(settled.get::<Vec<i32>, _>("attempts"))
            .bind(settled.get::<Vec<String>, _>("states"))
            .bind(settled.get::<Vec<time::OffsetDateTime>, _>("times"))
            .fetch_all(&mut reservation)
            .await;
        found.extend(broken.expect("bookings can be read"));
        run(&mut reservation, "begin isolation level repeatable read, read only").await;
        for rule in RESERVATION_RULES {
            found.extend(texts(&mut reservation, rule).await);
        }
        assert!(found.is_empty(), "{found:#?}");
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

    /// What is still to be done: promises in the outbox, bookings past their deadline, holds that are not as their
    /// booking wants them.
    async fn unsettled(&self) -> Findings {
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

async fn run(connection: &mut PgConnection, sql: &'static str) {
    sqlx::query(sql).execute(connection).await.expect("the statement is valid");
}
