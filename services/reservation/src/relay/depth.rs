//! How much waits in the outbox, and for how long: for the metrics alone.

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
    store::outbox::{self, Depth},
};

/// How often the outbox is looked at. At most [`outbox::MAX_DEPTH`] rows of a kind are read for it.
const INTERVAL: Duration = Duration::from_secs(5);

/// What was found, with its label; nothing while the database is away.
type Found = Arc<Mutex<Vec<([KeyValue; 1], Depth)>>>;

/// Looks until `stop`.
pub(super) async fn watch(pool: PgPool, stop: CancellationToken) {
    let found = Found::default();
    show(&found);
    loop {
        let depths = match postgres::autocommit(&pool, &Look).await {
            Ok(depths) => depths,
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "the outbox cannot be looked at");
                Vec::new()
            }
        };
        let labelled = depths.into_iter().map(|depth| ([KeyValue::new("kind", depth.kind.clone())], depth));
        *found.lock().unwrap_or_else(PoisonError::into_inner) = labelled.collect();
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
            for (label, depth) in shown.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                told.observe(u64::try_from(depth.rows).unwrap_or_default(), label);
            }
        })
        .build();
    let shown = Arc::clone(found);
    telemetry::meter()
        .f64_observable_gauge("holdfast_outbox_oldest_age_seconds")
        .with_description("How long the oldest row of the outbox has waited; 0 when there is none")
        .with_callback(move |told| {
            for (label, depth) in shown.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                told.observe(depth.oldest_age_seconds, label);
            }
        })
        .build();
}

struct Look;

impl UnitOfWork for Look {
    type Output = Vec<Depth>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Vec<Depth>, Error> {
        outbox::count(conn).await
    }
}
