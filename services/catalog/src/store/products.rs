//! Table `products`, but for its counters of held and sold units: those belong to the holds.

use postgres::StoredTime;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{RequestHash, inconsistent, price, time};
use crate::{
    Error,
    domain::{
        customer::CustomerLimit,
        hold_ttl::HoldTtl,
        ids::ProductId,
        money::Price,
        product::{NewProduct, Product, ProductChange, Stock},
        revision::Expected,
    },
};

/// A product that is there or was deleted, with what it was created from.
#[derive(Debug)]
pub struct Found {
    /// The product.
    pub product: Product,
    /// The hash of the request that created it.
    pub request_hash: Vec<u8>,
    /// Whether it was taken off sale for good.
    pub deleted: bool,
}

struct ProductRow {
    product_id: Uuid,
    sku: String,
    display_name: String,
    description: String,
    currency: String,
    price_minor: i64,
    on_hand: i64,
    held: i64,
    sold: i64,
    hold_ttl_ms: i64,
    max_units_per_customer: i64,
    revision: i64,
    created_at: StoredTime,
    updated_at: StoredTime,
    request_hash: Vec<u8>,
    deleted_at: Option<StoredTime>,
}

impl TryFrom<ProductRow> for Product {
    type Error = Error;

    fn try_from(row: ProductRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.product_id.into(),
            sku: row.sku,
            display_name: row.display_name,
            description: row.description,
            price: price(&row.currency, row.price_minor)?,
            stock: Stock::new(row.on_hand, row.held, row.sold).map_err(inconsistent("products.on_hand"))?,
            hold_ttl: row.hold_ttl_ms.try_into().map_err(inconsistent("products.hold_ttl_ms"))?,
            customer_limit: row
                .max_units_per_customer
                .try_into()
                .map_err(inconsistent("products.max_units_per_customer"))?,
            revision: row.revision.into(),
            created_at: time("products.created_at", row.created_at)?,
            updated_at: time("products.updated_at", row.updated_at)?,
        })
    }
}

impl TryFrom<ProductRow> for Found {
    type Error = Error;

    fn try_from(mut row: ProductRow) -> Result<Self, Error> {
        let request_hash = std::mem::take(&mut row.request_hash);
        Ok(Self { deleted: row.deleted_at.is_some(), product: row.try_into()?, request_hash })
    }
}

/// Inserts a product; `None` when its id was used before, or its sku is in use.
pub async fn insert(
    conn: &mut PgConnection,
    product: &NewProduct,
    request_hash: &RequestHash,
) -> Result<Option<Product>, Error> {
    let currency = product.price.currency();
    sqlx::query_as!(
        ProductRow,
        r#"insert into products (product_id, sku, display_name, description, currency, price_minor, on_hand,
                               hold_ttl_ms, request_hash, max_units_per_customer)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict do nothing
         returning product_id, sku, display_name, description, currency, price_minor, on_hand, held, sold,
                   hold_ttl_ms, max_units_per_customer, revision, created_at as "created_at: StoredTime", updated_at as "updated_at: StoredTime",
                   request_hash, deleted_at as "deleted_at: StoredTime""#,
        product.id.as_uuid(),
        product.sku,
        product.display_name,
        product.description,
        currency.as_str(),
        product.price.minor_units(),
        product.on_hand,
        product.hold_ttl.as_ms(),
        request_hash,
        product.customer_limit.number(),
    )
    .fetch_optional(conn)
    .await?
    .map(Product::try_from)
    .transpose()
}

/// Reads a product, also one that was deleted.
pub async fn find(conn: &mut PgConnection, id: ProductId) -> Result<Option<Found>, Error> {
    sqlx::query_as!(
        ProductRow,
        r#"select product_id, sku, display_name, description, currency, price_minor, on_hand, held, sold,
                hold_ttl_ms, max_units_per_customer, revision, created_at as "created_at: StoredTime", updated_at as "updated_at: StoredTime",
                request_hash, deleted_at as "deleted_at: StoredTime"
         from products
         where product_id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await?
    .map(Found::try_from)
    .transpose()
}

/// Reads products, without those that were deleted, in no order. A row that makes no sense is an error by itself.
pub async fn get(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<(ProductId, Result<Product, Error>)>, Error> {
    let rows = sqlx::query_as!(
        ProductRow,
        r#"select product_id, sku, display_name, description, currency, price_minor, on_hand, held, sold,
                hold_ttl_ms, max_units_per_customer, revision, created_at as "created_at: StoredTime", updated_at as "updated_at: StoredTime",
                request_hash, deleted_at as "deleted_at: StoredTime"
         from products
         where product_id = any($1) and deleted_at is null"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.product_id.into(), row.try_into())).collect())
}

/// Lists products by id, those after `after`.
pub async fn list(
    conn: &mut PgConnection,
    after: Option<ProductId>,
    limit: i64,
) -> Result<Vec<Product>, Error> {
    sqlx::query_as!(
        ProductRow,
        r#"select product_id, sku, display_name, description, currency, price_minor, on_hand, held, sold,
                hold_ttl_ms, max_units_per_customer, revision, created_at as "created_at: StoredTime", updated_at as "updated_at: StoredTime",
                request_hash, deleted_at as "deleted_at: StoredTime"
         from products
         where deleted_at is null
           and product_id >= coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid)
           and product_id is distinct from $1
         order by product_id
         limit $2"#,
        after.map(ProductId::as_uuid),
        limit,
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Product::try_from)
    .collect()
}

/// Changes the operator's fields of a product of the expected revision, if that makes a difference; `None` when
/// there is no such product, or no difference. An sku in use is [`Error::SkuTaken`].
pub async fn update(
    conn: &mut PgConnection,
    id: ProductId,
    expected: Expected,
    change: &ProductChange,
) -> Result<Option<Product>, Error> {
    let updated = sqlx::query_as!(
        ProductRow,
        r#"update products
         set sku = coalesce($3, sku), display_name = coalesce($4, display_name),
             description = coalesce($5, description), currency = coalesce($6, currency),
             price_minor = coalesce($7, price_minor), hold_ttl_ms = coalesce($8, hold_ttl_ms),
             max_units_per_customer = coalesce($9, max_units_per_customer),
             revision = revision + 1, updated_at = now()
         where product_id = $1 and deleted_at is null and revision = coalesce($2, revision)
           and (sku, display_name, description, currency, price_minor, hold_ttl_ms, max_units_per_customer)
               is distinct from
               (coalesce($3, sku), coalesce($4, display_name), coalesce($5, description),
                coalesce($6, currency), coalesce($7, price_minor), coalesce($8, hold_ttl_ms),
                coalesce($9, max_units_per_customer))
         returning product_id, sku, display_name, description, currency, price_minor, on_hand, held, sold,
                   hold_ttl_ms, max_units_per_customer, revision, created_at as "created_at: StoredTime", updated_at as "updated_at: StoredTime",
                   request_hash, deleted_at as "deleted_at: StoredTime""#,
        id.as_uuid(),
        expected.number(),
        change.sku.as_deref(),
        change.display_name.as_deref(),
        change.description.as_deref(),
        change.price.map(|price| price.currency().to_string()),
        change.price.map(Price::minor_units),
        change.hold_ttl.map(HoldTtl::as_ms),
        change.customer_limit.map(CustomerLimit::number),
    )
    .fetch_optional(conn)
    .await;
    match (updated, &change.sku) {
        (Err(error), Some(sku)) if postgres::violates(&error, "products_sku_key") => {
            Err(Error::SkuTaken { sku: sku.clone() })
        }
        (updated, _) => updated?.map(Product::try_from).transpose(),
    }
}

/// Marks a product of the expected revision deleted, unless units of it are held; whether it did.
pub async fn delete(conn: &mut PgConnection, id: ProductId, expected: Expected) -> Result<bool, Error> {
    let done = sqlx::query!(
        "update products
         set deleted_at = now(), updated_at = now()
         where product_id = $1 and deleted_at is null and revision = coalesce($2, revision) and held = 0",
        id.as_uuid(),
        expected.number(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Adds `delta` units on hand, if that leaves enough for what is held and sold; `None` when it does not, or there
/// is no such product.
pub async fn adjust(conn: &mut PgConnection, id: ProductId, delta: i64) -> Result<Option<Product>, Error> {
    sqlx::query_as!(
        ProductRow,
        r#"update products
         set on_hand = on_hand + $2, updated_at = now()
         where product_id = $1 and deleted_at is null and on_hand + $2 between held + sold and $3
         returning product_id, sku, display_name, description, currency, price_minor, on_hand, held, sold,
                   hold_ttl_ms, max_units_per_customer, revision, created_at as "created_at: StoredTime", updated_at as "updated_at: StoredTime",
                   request_hash, deleted_at as "deleted_at: StoredTime""#,
        id.as_uuid(),
        delta,
        Stock::ON_HAND.end(),
    )
    .fetch_optional(conn)
    .await?
    .map(Product::try_from)
    .transpose()
}
