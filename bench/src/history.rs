//! A long past: bookings that were settled long ago, written straight into both databases, row by row what the services would
//! have written.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use stack::Schema;
use uuid::Uuid;

use crate::calls::CUSTOMERS;
use crate::releases;
use crate::site::Site;

/// How many are written in one transaction.
const PORTION: u64 = 250_000;
/// Over how much time they are spread; it ended a day ago.
const SPAN: Duration = Duration::from_hours(24 * 365);

/// Bookings of the past. Of ten, six are CONFIRMED, two EXPIRED, one is CANCELLED, one REFUNDED. Ids are UUIDv7s, in the order of
/// time, the same in both databases.
const PAST: &str = "create temp table past on commit drop as
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(hash, 1, 3) || '8'
        || substr(hash, 4, 15))::uuid as booking_id,
       'customer-' || lpad((n * 7919 % :customers)::text, 6, '0') as customer_id,
       state,
       case state when 'CONFIRMED' then 3 when 'REFUNDED' then 4 else 2 end as steps,
       jsonb_build_array(jsonb_build_object('product_id', products[1 + n % cardinality(products)], 'quantity', 1,
                                            'price_minor', 4900)) as lines,
       products[1 + n % cardinality(products)] as product_id,
       at as held_at, at + interval '10 minutes' as expires_at, at + interval '1 minute' as paid_at,
       at + case state when 'CONFIRMED' then interval '1 minute' when 'REFUNDED' then interval '3 hours'
                       when 'CANCELLED' then interval '30 seconds' else interval '10 minutes 3 milliseconds' end as ended_at
from (select n, md5(n::text) as hash, timestamptz 'epoch' + (:end_ms - (:count - n) * :step_ms) * interval '1 millisecond' as at,
             case when n % 10 < 6 then 'CONFIRMED' when n % 10 < 8 then 'EXPIRED' when n % 10 < 9 then 'CANCELLED'
                  else 'REFUNDED' end as state
      from generate_series(:first::bigint, :last::bigint) as n) as numbered,
     (select array[:products]::uuid[] as products) as goods;
";

/// As reservation writes them: the booking, each step, the payment. Payments and refunds without a name have the booking's.
const RESERVATION: &str = "
insert into bookings (booking_id, customer_id, state, attempt, lines, currency, total_minor, held_at, hold_ttl_ms, expires_at,
                      payment_id, refund_id, expired_at, history_length, created_at, updated_at)
select booking_id, customer_id, state, 1, lines, 'EUR', 4900, held_at, 600000, expires_at,
       case when steps > 2 then booking_id end, case when state = 'REFUNDED' then booking_id end,
       case when state = 'EXPIRED' then ended_at end, steps, held_at, ended_at
from past;
insert into booking_history (booking_id, sequence, from_state, to_state, happened_at, expires_at, reference_id)
select booking_id, step.*
from past cross join lateral (
    select 1, null, 'HELD', held_at, expires_at, null::uuid
    union all
    select 2, 'HELD', state, ended_at, expires_at, null where steps = 2
    union all
    select 2, 'HELD', 'PAYMENT_PENDING', paid_at, expires_at, null where steps > 2
    union all
    select 3, 'PAYMENT_PENDING', 'CONFIRMED', paid_at, expires_at, booking_id where steps > 2
    union all
    select 4, 'CONFIRMED', 'REFUNDED', ended_at, expires_at, booking_id where steps > 3
) as step;
insert into payments (payment_id, booking_id, outcome, created_at)
select booking_id, booking_id, 'ACCEPTED', paid_at from past where steps > 2;
";

/// As the catalog writes them: the hold, and what its product has sold.
const CATALOG: &str = "
insert into holds (booking_id, attempt, state, lines, currency, hold_ttl_ms, created_at, settled_at)
select booking_id, 1, case state when 'CONFIRMED' then 'COMMITTED' else 'RELEASED' end, lines, 'EUR', 600000, held_at, ended_at
from past;
update products p set sold = p.sold + past.sold
from (select product_id, count(*) as sold from past where state = 'CONFIRMED' group by product_id) as past
where p.product_id = past.product_id;
";

/// What is written, and when the last of it happened.
#[derive(Clone, Copy)]
struct Past<'a> {
    count: u64,
    end_ms: i64,
    products: &'a [Uuid],
}

/// Writes so many bookings on these products, and leaves the tables as they are when nobody has written for long. Answers how many
/// are CONFIRMED.
///
/// # Errors
/// PostgreSQL refuses.
pub fn write(site: &Site, count: u64, products: &[Uuid]) -> Result<u64> {
    let day_ms = 24 * 3_600_000;
    let past = Past { count, end_ms: releases::now(site)? / 1_000 - day_ms, products };
    thread::scope(|scope| {
        let each = [(Schema::Reservation, RESERVATION), (Schema::Catalog, CATALOG)];
        let writing =
            each.map(|(schema, statements)| scope.spawn(move || past.write(site, schema, statements)));
        for thread in writing {
            thread.join().map_err(|_| anyhow!("writing the past panicked"))??;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    site.stack.postgres().query("postgres", "checkpoint")?;
    site.count(Schema::Reservation, "bookings where state = 'CONFIRMED'")
}

impl Past<'_> {
    fn write(self, site: &Site, schema: Schema, statements: &str) -> Result<()> {
        let postgres = site.stack.postgres();
        for first in (1..=self.count).step_by(usize::try_from(PORTION)?) {
            let last = (first + PORTION - 1).min(self.count);
            let sql =
                format!("set local synchronous_commit = off;\n{}{statements}", self.portion(first, last));
            postgres
                .query(schema.name(), &sql)
                .with_context(|| format!("write the past of {}", schema.name()))?;
        }
        postgres.query(schema.name(), "vacuum (freeze, analyze)").map(drop)
    }

    /// [`PAST`], from one booking to another.
    fn portion(self, first: u64, last: u64) -> String {
        let products = self.products.iter().fold(String::new(), |mut all, id| {
            let _ = write!(all, "{}'{id}'", if all.is_empty() { "" } else { ", " });
            all
        });
        let step_ms = SPAN.as_millis() / u128::from(self.count);
        PAST.replace(":customers", &CUSTOMERS.to_string())
            .replace(":end_ms", &self.end_ms.to_string())
            .replace(":step_ms", &step_ms.to_string())
            .replace(":count", &self.count.to_string())
            .replace(":first", &first.to_string())
            .replace(":last", &last.to_string())
            .replace(":products", &products)
    }
}
