//! What is on record when everything is over: read through the public API, and what that does not show from the databases.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::catalog::SeatState;
use proto::reservation::{Booking, BookingHistoryEntry, ListBookingHistoryRequest, ListBookingsRequest};
use sqlx::Row as _;
use system_tests::World;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::goods::Goods;
use crate::history::State;
use crate::refunds;
use crate::time::Time;

/// How many histories are read at a time.
const READERS: usize = 32;
/// How often something is read that cannot be read now, and the pause in between.
const READS: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);
/// The most bookings of a page.
const PAGE: i32 = 1_000;

/// One step of a booking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// The state before; none on the first.
    pub from: Option<State>,
    /// The state after.
    pub to: State,
    /// When.
    pub at: Time,
    /// The deadline after it.
    pub deadline: Option<Time>,
    /// The payment or refund of the step.
    pub reference: Option<Uuid>,
}

/// A booking as it is in the end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Where it is in its life.
    pub state: State,
    /// The mark of a hold that ran out before its booking was recorded.
    pub tombstone: bool,
    /// How it got there.
    pub steps: Vec<Step>,
}

/// What a reported payment came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It paid for its booking.
    Accepted,
    /// It took no money.
    Failed,
    /// It is to be paid back.
    RefundDue,
}

/// The counts of a product.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counts {
    /// How many exist.
    pub on_hand: i64,
    /// How many can be had.
    pub available: i64,
    /// How many are held.
    pub held: i64,
    /// How many are sold.
    pub sold: i64,
}

/// The hold of a booking's last attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LastHold {
    /// When the catalog released it, if it did.
    pub released: Option<Time>,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// The bookings.
    pub bookings: HashMap<Uuid, Record>,
    /// The payments, with their bookings.
    pub payments: HashMap<Uuid, (Uuid, Outcome)>,
    /// The holds.
    pub holds: HashMap<Uuid, LastHold>,
    /// The payments that were announced to be refunded.
    pub announced: HashSet<Uuid>,
    /// The products, in the order of [`Goods`].
    pub products: Vec<Counts>,
    /// The states of the seats, in the order of [`Goods`].
    pub seats: Vec<SeatState>,
}

impl Books {
    /// Reads everything, also the tombstones of these bookings, which no list shows.
    pub async fn read(
        world: &World,
        broker: &str,
        goods: &Goods,
        known: impl Iterator<Item = Uuid>,
    ) -> Result<Self> {
        let mut books = Self { bookings: bookings(world).await?, ..Self::default() };
        let unlisted: Vec<Uuid> = known.filter(|id| !books.bookings.contains_key(id)).collect();
        let mut found = stream::iter(unlisted).map(|id| tombstone(world, id)).buffer_unordered(READERS);
        while let Some(tombstone) = found.try_next().await? {
            books.bookings.extend(tombstone);
        }
        drop(found);
        let ids: Vec<Uuid> = books.bookings.keys().copied().collect();
        let mut histories = stream::iter(ids)
            .map(|id| async move { Ok::<_, anyhow::Error>((id, history(world, id).await?)) })
            .buffer_unordered(READERS);
        while let Some((id, steps)) = histories.try_next().await? {
            books.bookings.entry(id).and_modify(|record| record.steps = steps);
        }
        drop(histories);
        books.payments = payments(world).await?;
        books.announced = refunds::announced(broker).await?;
        books.holds = holds(world).await?;
        for product in &goods.products {
            let product = world.get_product(&product.product_id).await?;
            let (on_hand, available) = (product.on_hand, product.available);
            books.products.push(Counts { on_hand, available, held: product.held, sold: product.sold });
        }
        for (map, label) in &goods.seats {
            // Small maps, few of them: one page each.
            let seats = world.seats(map).await;
            let seat = seats.iter().find(|seat| seat.label == *label).context("a seat is gone")?;
            books.seats.push(seat.state());
        }
        Ok(books)
    }
}

/// Waits until nothing is left to be done; what is, if that does not come within `limit`.
pub async fn await_quiet(world: &World, limit: Duration) -> Result<Vec<String>> {
    let (mut reservation, mut catalog) = (world.reservation_database().await, world.catalog_database().await);
    let start = Instant::now();
    loop {
        let mut left: Vec<String> = sqlx::query_scalar(
            "select format('%s %s rows wait in the outbox', count(*), kind) from outbox group by kind
             union all
             select format('%s bookings are %s, %s past their deadline', count(*), state,
                           count(*) filter (where coalesce(expires_at, draft_expires_at) < clock_timestamp()))
             from bookings where state in ('INITIATED', 'HELD', 'PAYMENT_PENDING') group by state",
        )
        .fetch_all(&mut reservation)
        .await?;
        let active: i64 = sqlx::query_scalar("select count(*) from holds where review_at is not null")
            .fetch_one(&mut catalog)
            .await?;
        if active > 0 {
            left.push(format!("{active} holds are not settled"));
        }
        if left.is_empty() || start.elapsed() >= limit {
            return Ok(left);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn bookings(world: &World) -> Result<HashMap<Uuid, Record>> {
    let mut found = HashMap::new();
    let mut page_token = String::new();
    loop {
        let request = ListBookingsRequest { page_size: PAGE, page_token, ..ListBookingsRequest::default() };
        let answer = insist(async || world.bookings.clone().list_bookings(request.clone()).await).await?;
        let answer = answer.into_inner();
        for booking in answer.bookings {
            found.insert(booking.booking_id.parse()?, record(&booking)?);
        }
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(found);
        }
    }
}

/// A booking that is not listed: a tombstone, or none.
async fn tombstone(world: &World, id: Uuid) -> Result<Option<(Uuid, Record)>> {
    match insist(async || world.get(&id.to_string()).await).await {
        Ok(booking) => Ok(Some((id, record(&booking)?))),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}

/// Reads until it is answered: whoever reads everything may be asked to come back later.
async fn insist<T>(mut read: impl AsyncFnMut() -> Result<T, Status>) -> Result<T, Status> {
    for _ in 1..READS {
        match read().await {
            Err(status) if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) => {
                sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
    read().await
}

fn record(booking: &Booking) -> Result<Record> {
    let state = State::from_proto(booking.state()).context("a booking without a state")?;
    Ok(Record { state, tombstone: booking.customer_id.is_empty(), steps: Vec::new() })
}

async fn history(world: &World, id: Uuid) -> Result<Vec<Step>> {
    let request =
        ListBookingHistoryRequest { booking_id: id.to_string(), page_size: PAGE, page_token: String::new() };
    let answer = insist(async || world.bookings.clone().list_booking_history(request.clone()).await).await?;
    answer.into_inner().entries.iter().map(step).collect()
}

fn step(entry: &BookingHistoryEntry) -> Result<Step> {
    Ok(Step {
        from: State::from_proto(entry.from_state()),
        to: State::from_proto(entry.to_state()).context("a step to no state")?,
        at: Time::from_proto(entry.time.context("a step without a time")?),
        deadline: entry.expire_time.map(Time::from_proto),
        reference: Some(&entry.reference_id).filter(|id| !id.is_empty()).map(|id| id.parse()).transpose()?,
    })
}

async fn payments(world: &World) -> Result<HashMap<Uuid, (Uuid, Outcome)>> {
    let rows = sqlx::query("select payment_id, booking_id, outcome from payments");
    let rows = rows.fetch_all(&mut world.reservation_database().await).await?;
    let payment = |row: &sqlx::postgres::PgRow| {
        let outcome = match row.get::<&str, _>("outcome") {
            "ACCEPTED" => Outcome::Accepted,
            "FAILED" => Outcome::Failed,
            _ => Outcome::RefundDue,
        };
        (row.get("payment_id"), (row.get("booking_id"), outcome))
    };
    Ok(rows.iter().map(payment).collect())
}

async fn holds(world: &World) -> Result<HashMap<Uuid, LastHold>> {
    let rows = sqlx::query(
        "select distinct on (booking_id) booking_id,
                case when state = 'RELEASED' then settled_at end as released_at
         from holds order by booking_id, attempt desc",
    );
    let rows = rows.fetch_all(&mut world.catalog_database().await).await?;
    let hold = |row: &sqlx::postgres::PgRow| {
        let released = row.get::<Option<time::OffsetDateTime>, _>("released_at").map(Time::from_row);
        (row.get("booking_id"), LastHold { released })
    };
    Ok(rows.iter().map(hold).collect())
}
