//! Single products, read in a batch with whatever else is asked for.

use std::{collections::HashMap, time::Duration};

use batch::{BatchLimits, Batcher};
use postgres::UnitOfWork;
use server::{Jobs, caller_waits_until};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Error,
    domain::{ids::ProductId, product::Product},
    error::Failure,
    store::products as store,
};

/// A batch grows while those before it are under way; its size bounds the time that it takes. Who finds a full queue, or would
/// wait in it for longer, is refused at once.
const LIMITS: BatchLimits = BatchLimits {
    max_batch: 1_000,
    queue: 4_096,
    in_flight: 2,
    beside: 64,
    max_wait: Duration::from_secs(1),
};

/// Reads products one by one, as far as its callers can tell.
#[derive(Clone, Debug)]
pub(super) struct ProductReader(Batcher<ProductId, Result<Option<Product>, Failure>>);

impl ProductReader {
    /// Starts the batcher. Must be called within a tokio runtime.
    pub(super) fn start(pool: PgPool) -> Self {
        Self(Batcher::start("get_product", LIMITS, move |ids: Vec<ProductId>| {
            let pool = pool.clone();
            async move {
                read(&pool, &ids).await.unwrap_or_else(|error| {
                    let failure = error.into_failure("get_product");
                    vec![Err(failure); ids.len()]
                })
            }
        }))
    }

    /// Makes the end of the batcher the end of the process, until `until`.
    pub(super) fn supervise(&self, jobs: &Jobs, until: &CancellationToken) {
        jobs.watch("get_product batcher", until, self.0.clone().ended());
    }

    /// The product, unless it was deleted.
    pub(super) async fn get(&self, id: ProductId) -> Result<Product, Error> {
        let found = self.0.submit_by(id, 1, caller_waits_until()).await?.map_err(Error::Failed)?;
        found.ok_or(Error::ProductNotFound(id))
    }
}

/// The products with these ids, in their order. A row that makes no sense fails those only who asked for it.
async fn read(pool: &PgPool, ids: &[ProductId]) -> Result<Vec<Result<Option<Product>, Failure>>, Error> {
    let mut unique: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
    unique.sort_unstable();
    unique.dedup();
    let rows = postgres::autocommit(pool, &Read(&unique)).await?;
    let found: HashMap<ProductId, Result<Product, Failure>> = rows
        .into_iter()
        .map(|(id, product)| (id, product.map_err(|error| error.into_failure("get_product"))))
        .collect();
    Ok(ids.iter().map(|id| found.get(id).cloned().transpose()).collect())
}

/// The products with these ids. With the limits of a unit of work: a server that does not answer must not keep the batch.
struct Read<'a>(&'a [Uuid]);

impl UnitOfWork for Read<'_> {
    type Output = Vec<(ProductId, Result<Product, Error>)>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        store::get(conn, self.0).await
    }
}
