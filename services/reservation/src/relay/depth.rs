//! How much waits in the outbox, for how long, and how much of it is parked: for the metrics alone.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::KeyValue;
use postgres::UnitOfWork;
use sqlx::{PgConnection, PgPool};
use telemetry::Chain;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    store::{
        outbox::{self, Depth, Kind},
        parked,
    },
};

/// How often the outbox is looked at. At most [`outbox::MAX_DEPTH`] rows of a kind are read for it.
const INTERVAL: Duration = Duration::from_secs(5);

/// What was found, by kind; nothing while the database is away.
#[derive(Default)]
struct Looked {
    waiting: Vec<([KeyValue; 1], Depth)>,
    parked: Vec<([KeyValue; 1], u64)>,
}

type Found = Arc<Mutex<Looked>>;

/// Looks until `stop`.
pub(super) async fn watch(pool: PgPool, stop: CancellationToken) {
    let found = Found::default();
    show(&found);
    loop {
        let looked = postgres::autocommit(&pool, &Look).await.unwrap_or_else(|error| {
            tracing::debug!(error = %Chain(&error), "the outbox cannot be looked at");
            Looked::default()
        });
        *found.lock().unwrap_or_else(PoisonError::into_inner) = looked;
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(INTERVAL) => {}
        }
    }
}

/// Shows what was found, when the metrics are read.
fn show(found: &Found) {
    let shown = Arc::clone(found);
    telemetry::meter()
        .u64_observable_gauge("holdfast_outbox_depth")
        .with_description("Rows of the outbox, each about the bookings of a batch; 10,000 stands for more")
        .with_callback(move |told| {
            for (label, depth) in &shown.lock().unwrap_or_else(PoisonError::into_inner).waiting {
                told.observe(u64::try_from(depth.rows).unwrap_or_default(), label);
            }
        })
        .build();
    let shown = Arc::clone(found);
    telemetry::meter()
        .f64_observable_gauge("holdfast_outbox_oldest_age_seconds")
        .with_description("How long the oldest row of the outbox has waited; 0 when there is none")
        .with_callback(move |told| {
            for (label, depth) in &shown.lock().unwrap_or_else(PoisonError::into_inner).waiting {
                told.observe(depth.oldest_age_seconds, label);
            }
        })
        .build();
    let shown = Arc::clone(found);
    telemetry::meter()
        .u64_observable_gauge("holdfast_outbox_parked")
        .with_description("Promises that are parked, counted by booking; looked at every 5 s")
        .with_callback(move |told| {
            for (label, bookings) in &shown.lock().unwrap_or_else(PoisonError::into_inner).parked {
                told.observe(*bookings, label);
            }
        })
        .build();
}

struct Look;

impl UnitOfWork for Look {
    type Output = Looked;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Looked, Error> {
        let label = |kind: String| [KeyValue::new("kind", kind)];
        let depths = outbox::count(conn).await?;
        let mut looked = Looked::default();
        looked.waiting.extend(depths.into_iter().map(|depth| (label(depth.kind.clone()), depth)));
        for kind in [Kind::Timer, Kind::Event, Kind::Settle] {
            let bookings = u64::try_from(parked::count(conn, kind).await?).unwrap_or_default();
            looked.parked.push((label(kind.as_str().to_owned()), bookings));
        }
        Ok(looked)
    }
}
