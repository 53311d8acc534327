//! The hot statements: one that sees all that a batch of holds asks about, and one that takes all that was decided.
//!
//! The first locks nothing; the second takes everything or fails as a conflict, and locks for no longer than it runs. Who has
//! failed too often locks first.

use sqlx::{PgConnection, types::Json};
use telemetry::Chain;
use uuid::Uuid;

use super::{
    counts,
    holds::{self, LineRow, Stored},
    inconsistent,
};
use crate::{
    domain::{
        customer::{CountKey, Counted, CustomerId, CustomerLimit},
        hold::{Hold, HoldKey, SeatKey},
        place::{ProductOnSale, SeatOnSale, Shelf, Terms, Writes},
    },
    error::Error,
};

/// What a batch asks about.
#[derive(Clone, Debug, Default)]
pub struct Asked<'a> {
    /// The keys of its holds.
    pub keys: Vec<HoldKey>,
    /// The products, each once.
    pub products: Vec<Uuid>,
    /// The seats, each once.
    pub seats: Vec<&'a SeatKey>,
    /// Who asks for what of which one customer may have only so many.
    pub counts: Counts<'a>,
}

/// Names of counts, column by column.
#[derive(Clone, Debug, Default)]
pub struct Counts<'a> {
    customers: Vec<&'a str>,
    kinds: Vec<&'static str>,
    items: Vec<Uuid>,
}

impl<'a> Counts<'a> {
    /// Adds one, unless it is the last one once more.
    pub fn push(&mut self, customer_id: &'a str, counted: Counted) {
        let (kind, item) = counts::named(counted);
        let last = (self.customers.last(), self.kinds.last(), self.items.last());
        if last != (Some(&customer_id), Some(&kind), Some(&item)) {
            self.customers.push(customer_id);
            self.kinds.push(kind);
            self.items.push(item);
        }
    }

    /// Whether nobody asks for anything of the kind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Locks the products that a batch asks about, in the order of their ids.
pub async fn lock_products(conn: &mut PgConnection, asked: &Asked<'_>) -> Result<(), Error> {
    sqlx::query_scalar!(
        "select product_id from products where product_id = any($1) order by product_id for update",
        &asked.products
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Locks the seats that a batch asks about, in the order of their keys; to be called behind [`lock_products`].
pub async fn lock_seats(conn: &mut PgConnection, asked: &Asked<'_>) -> Result<(), Error> {
    let (maps, labels) = seat_columns(asked.seats.iter().copied());
    sqlx::query_scalar!(
        "select s.label
         from unnest($1::uuid[], $2::text[]) as a (seat_map_id, label)
         join seats s on s.seat_map_id = a.seat_map_id and s.label = a.label
         order by s.seat_map_id, s.label
         for update of s",
        &maps,
        &labels as _
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Locks the counts that a batch asks about and that are there, in the order of their keys; to be called behind [`lock_seats`].
pub async fn lock_counts(conn: &mut PgConnection, asked: &Asked<'_>) -> Result<(), Error> {
    sqlx::query_scalar!(
        "select c.taken
         from unnest($1::text[], $2::text[], $3::uuid[]) as w (customer_id, counted, item_id)
         join customer_counts c on c.customer_id = w.customer_id and c.counted = w.counted and c.item_id = w.item_id
         order by c.customer_id, c.counted, c.item_id
         for update of c",
        &asked.counts.customers as _,
        &asked.counts.kinds as _,
        &asked.counts.items
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// A row of the shelf: a hold, a product, what a customer has, or a seat, or else a map without the seat. What it is not is null.
struct Row {
    booking_id: Option<Uuid>,
    attempt: Option<i32>,
    lines: Option<Json<Stored>>,
    product_id: Option<Uuid>,
    available: Option<i64>,
    seat_map_id: Option<Uuid>,
    label: Option<String>,
    state: Option<String>,
    price_minor: Option<i64>,
    currency: Option<String>,
    hold_ttl_ms: Option<i64>,
    customer_limit: Option<i64>,
    customer_id: Option<String>,
    counts_open: Option<bool>,
    taken: Option<i64>,
}

/// What of all that exists, as it stood in one instant: so who sees what a hold has taken sees the hold too. Neither a deleted
/// product nor the seats of a deleted map do. Counts are left out of the statement where none is asked about: that they could be
/// there costs everybody, limited or not.
pub async fn look(conn: &mut PgConnection, asked: &Asked<'_>) -> Result<Shelf, Error> {
    let (booking_ids, attempts) = holds::columns(asked.keys.iter());
    let (maps, labels) = seat_columns(asked.seats.iter().copied());
    macro_rules! rows {
        ($counts:literal $(, $argument:expr)*) => {
            sqlx::query_as!(
                Row,
                r#"select h.booking_id as "booking_id?", h.attempt as "attempt?", h.lines as "lines?: Json<Stored>",
                          null::uuid as product_id, null::bigint as available,
                          null::uuid as seat_map_id, null::text as label,
                          h.state as "state?", null::bigint as price_minor, h.currency as "currency?",
                          h.hold_ttl_ms as "hold_ttl_ms?", null::bigint as customer_limit, h.customer_id,
                          h.counts_open as "counts_open?", null::bigint as taken
                   from unnest($1::uuid[], $2::int[]) as k (booking_id, attempt)
                   join holds h on h.booking_id = k.booking_id and h.attempt = k.attempt
                   union all
                   select null, null, null, product_id, on_hand - held - sold, null, null, null, price_minor, currency,
                          hold_ttl_ms, max_units_per_customer, null, null, null
                   from products
                   where product_id = any($3) and deleted_at is null
                   union all
                   select null, null, null, null, null, m.seat_map_id, s.label, s.state, s.price_minor, m.currency,
                          m.hold_ttl_ms, m.max_units_per_customer, null, null, null
                   from unnest($4::uuid[], $5::text[]) as a (seat_map_id, label)
                   join seat_maps m on m.seat_map_id = a.seat_map_id and m.deleted_at is null
                   left join seats s on s.seat_map_id = a.seat_map_id and s.label = a.label"# + $counts,
                &booking_ids,
                &attempts,
                &asked.products,
                &maps,
                &labels as _
                $(, $argument)*
            )
            .fetch_all(conn)
            .await?
        };
    }
    let rows = if asked.counts.is_empty() {
        rows!("")
    } else {
        rows!(
            r#"
                   union all
                   select null, null, null, case when c.counted = 'PRODUCT' then c.item_id end, null,
                          case when c.counted = 'SEAT_MAP' then c.item_id end, null, null, null, null, null, null,
                          c.customer_id, null, c.taken
                   from unnest($6::text[], $7::text[], $8::uuid[]) as w (customer_id, counted, item_id)
                   join customer_counts c
                     on c.customer_id = w.customer_id and c.counted = w.counted and c.item_id = w.item_id"#,
            &asked.counts.customers as _,
            &asked.counts.kinds as _,
            &asked.counts.items
        )
    };
    let mut found = Shelf::default();
    for row in rows {
        row.put_on(&mut found)?;
    }
    Ok(found)
}

impl Row {
    fn put_on(self, found: &mut Shelf) -> Result<(), Error> {
        let wrong =
            || Error::Inconsistent("a row of the shelf is neither hold nor product nor seat".to_owned());
        if let Some(taken) = self.taken {
            let customer_id =
                self.customer_id.and_then(|id| CustomerId::try_from(id).ok()).ok_or_else(wrong)?;
            let counted = match (self.product_id, self.seat_map_id) {
                (Some(id), _) => Counted::Product(id.into()),
                (None, Some(id)) => Counted::SeatMap(id.into()),
                (None, None) => Counted::OpenHolds,
            };
            found.counts.insert(CountKey { customer_id, counted }, taken);
            return Ok(());
        }
        let (currency, hold_ttl_ms) = self.currency.zip(self.hold_ttl_ms).ok_or_else(wrong)?;
        if let (Some(booking_id), Some(attempt), Some(state), Some(lines)) =
            (self.booking_id, self.attempt, &self.state, self.lines)
        {
            let state = state.clone();
            let (customer_id, counts_open) = (self.customer_id, self.counts_open.unwrap_or_default());
            let row = holds::Row {
                booking_id,
                attempt,
                state,
                lines,
                currency,
                hold_ttl_ms,
                customer_id,
                counts_open,
            };
            match Hold::try_from(row) {
                Ok(hold) => drop(found.holds.insert(hold.key, hold)),
                Err(wrong) => {
                    tracing::error!(error = %Chain(&wrong), "a hold makes no sense: requests for it fail");
                    found.damaged.insert(HoldKey { booking_id: booking_id.into(), attempt });
                }
            }
            return Ok(());
        }
        let customer_limit = CustomerLimit::try_from(self.customer_limit.unwrap_or_default())
            .map_err(inconsistent("max_units_per_customer"))?;
        if let (Some(product_id), Some(available), Some(price_minor)) =
            (self.product_id, self.available, self.price_minor)
        {
            let terms = Terms { price_minor, currency, hold_ttl_ms, customer_limit };
            found.products.insert(product_id.into(), ProductOnSale { available, terms });
            return Ok(());
        }
        let seat_map_id = self.seat_map_id.ok_or_else(wrong)?.into();
        if let (Some(label), Some(state), Some(price_minor)) = (self.label, self.state, self.price_minor) {
            let terms = Terms { price_minor, currency, hold_ttl_ms, customer_limit };
            let state = seat_state(&state).ok_or_else(|| {
                Error::Inconsistent(format!("seat {label} of {seat_map_id}: unknown state"))
            })?;
            found.seats.insert(SeatKey { seat_map_id, label }, (state, terms));
        } else {
            found.seat_maps.insert(seat_map_id);
        }
        Ok(())
    }
}

fn seat_state(text: &str) -> Option<SeatOnSale> {
    match text {
        "FREE" => Some(SeatOnSale::Free),
        "HELD" | "SOLD" => Some(SeatOnSale::Taken),
        "BLOCKED" => Some(SeatOnSale::Blocked),
        _ => None,
    }
}

/// The statement of [`take`], with what it counts and how many rows that are; and the arguments of that.
macro_rules! take {
    (
        $conn:expr, $columns:expr, $grace_ms:expr,
        $counted:literal, $taken:literal, $wanted:literal $(, $argument:expr)*
    ) => {
        sqlx::query!(
            r#"with products_locked as materialized (
                       select p.product_id, u.quantity
                       from unnest($1::uuid[], $2::bigint[]) as u (product_id, quantity)
                       join products p on p.product_id = u.product_id
                       order by p.product_id
                       for update of p
                   ), products_taken as (
                       update products p
                       set held = p.held + l.quantity from products_locked l
                       where p.product_id = l.product_id and p.deleted_at is null
                         and p.held + p.sold + l.quantity <= p.on_hand returning p.product_id
                   ), seats_locked as materialized (
                       select s.seat_map_id, s.label, t.booking_id, t.attempt
                       from unnest($3::uuid[], $4::text[], $5::uuid[], $6::int[])
                            as t (seat_map_id, label, booking_id, attempt)
                       join seats s on s.seat_map_id = t.seat_map_id and s.label = t.label
                       order by s.seat_map_id, s.label
                       for update of s
                   ), seats_taken as (
                       update seats s
                       set state = 'HELD', booking_id = l.booking_id, attempt = l.attempt from seats_locked l
                       where s.seat_map_id = l.seat_map_id and s.label = l.label and s.state = 'FREE' returning s.label
                   )"# + $counted + r#", placed as (
                       insert into holds (booking_id, attempt, state, lines, currency, hold_ttl_ms, review_at, customer_id,
                                          counts_open)
                       select booking_id, attempt, 'ACTIVE', lines, currency, hold_ttl_ms,
                              now() + (hold_ttl_ms + $12) * interval '1 millisecond', customer_id, counts_open
                       from unnest($7::uuid[], $8::int[], $9::jsonb[], $10::text[], $11::bigint[], $13::text[], $14::bool[])
                            as h (booking_id, attempt, lines, currency, hold_ttl_ms, customer_id, counts_open)
                       order by booking_id, attempt
                   )
                   select take_all((select count(*) from products_taken) + (select count(*) from seats_taken)"# + $taken + r#",
                                   cardinality($1) + cardinality($3)"# + $wanted + r#") is null as "taken!""#,
            &$columns.products.0,
            &$columns.products.1,
            &$columns.seats.0,
            &$columns.seats.1 as _,
            &$columns.seat_holds.0,
            &$columns.seat_holds.1,
            &$columns.holds.0,
            &$columns.holds.1,
            &$columns.lines as _,
            &$columns.currencies as _,
            &$columns.ttls,
            $grace_ms,
            &$columns.customers as _,
            &$columns.open
            $(, $argument)*
        )
        .fetch_one($conn)
        .await
        .map(drop)?
    };
}

/// Takes units and seats, and stores the holds that have them, to be reviewed when their time is up and `grace_ms` has passed.
/// All of it, or it fails: as a conflict if somebody took or removed something since it was seen, or a customer more than they may
/// have, by `holds_pkey` if a hold is there already. Rows are locked in the order of their keys, products before seats before
/// counts, so that two batches do not wait for each other for what they take. A repeat whose hold is being settled at this moment
/// may, and begins anew.
pub async fn take(conn: &mut PgConnection, writes: &Writes, grace_ms: i64) -> Result<(), Error> {
    let columns = Columns::of(writes);
    if writes.counts.is_empty() {
        take!(conn, columns, grace_ms, "", "", "");
    } else {
        take!(
            conn,
            columns,
            grace_ms,
            r#", counted as (
                       insert into customer_counts as c (customer_id, counted, item_id, taken, allowed)
                       select customer_id, counted, item_id, taken, allowed
                       from unnest($15::text[], $16::text[], $17::uuid[], $18::bigint[], $19::bigint[])
                            as w (customer_id, counted, item_id, taken, allowed)
                       order by customer_id, counted, item_id
                       on conflict (customer_id, counted, item_id) do update
                       set taken = c.taken + excluded.taken, allowed = excluded.allowed
                       where c.taken + excluded.taken <= excluded.allowed returning c.item_id
                   )"#,
            " + (select count(*) from counted)",
            " + cardinality($15)",
            &columns.counts.0 as _,
            &columns.counts.1 as _,
            &columns.counts.2,
            &columns.takings.0,
            &columns.takings.1
        );
    }
    Ok(())
}

/// What [`take`] writes, column by column.
struct Columns<'a> {
    products: (Vec<Uuid>, Vec<i64>),
    seats: (Vec<Uuid>, Vec<&'a str>),
    seat_holds: (Vec<Uuid>, Vec<i32>),
    holds: (Vec<Uuid>, Vec<i32>),
    lines: Vec<Json<Vec<LineRow>>>,
    currencies: Vec<&'a str>,
    ttls: Vec<i64>,
    customers: Vec<Option<&'a str>>,
    open: Vec<bool>,
    counts: (Vec<&'a str>, Vec<&'static str>, Vec<Uuid>),
    takings: (Vec<i64>, Vec<i64>),
}

impl<'a> Columns<'a> {
    fn of(writes: &'a Writes) -> Self {
        let Writes { products, seats, counts, holds } = writes;
        let lines = |hold: &Hold| Json(hold.lines.iter().map(LineRow::from).collect());
        Self {
            products: products.iter().map(|(id, quantity)| (id.as_uuid(), *quantity)).unzip(),
            seats: seat_columns(seats.keys()),
            seat_holds: holds::columns(seats.values()),
            holds: holds::columns(holds.iter().map(|hold| &hold.key)),
            lines: holds.iter().map(lines).collect(),
            currencies: holds.iter().map(|hold| hold.currency.as_str()).collect(),
            ttls: holds.iter().map(|hold| hold.hold_ttl_ms).collect(),
            customers: holds.iter().map(|hold| hold.customer_id.as_ref().map(CustomerId::as_str)).collect(),
            open: holds.iter().map(|hold| hold.counts_open).collect(),
            counts: counts::key_columns(counts.keys()),
            takings: counts.values().map(|taking| (taking.taken, taking.allowed)).unzip(),
        }
    }
}

/// The columns that name seats.
pub(super) fn seat_columns<'a>(seats: impl Iterator<Item = &'a SeatKey>) -> (Vec<Uuid>, Vec<&'a str>) {
    seats.map(|seat| (seat.seat_map_id.as_uuid(), seat.label.as_str())).unzip()
}
