//! Products of the API and of the domain.

use api::{Violation, Violations, field, mask, time};
use proto::catalog::{CreateProductRequest, Product, UpdateProductRequest};

use super::{customer_limit, hold_ttl, hold_ttl_or, id_or, money};
use crate::domain::{
    customer::CustomerLimit,
    hold_ttl::HoldTtl,
    ids::ProductId,
    product::{self, NewProduct, ProductChange, Stock},
    revision::Expected,
};

/// The fields that an update may change.
const UPDATABLE: [&str; 6] =
    ["sku", "display_name", "description", "price", "hold_ttl", "max_units_per_customer"];

/// Reads the request for a new product.
pub fn new(request: &CreateProductRequest) -> Result<NewProduct, Violations> {
    let mut bad = Violations::default();
    let id = bad.keep(id_or("product_id", &request.product_id, ProductId::generate));
    let Some(product) = bad.keep(field::required("product", request.product.as_ref())) else {
        return Err(bad);
    };
    let sku = bad.keep(sku(product));
    let display_name = bad.keep(display_name(product));
    let description = bad.keep(description(product));
    let price = bad.keep_all(money::price("product.price", product.price.as_ref()));
    let on_hand = bad.keep(field::integer("product.on_hand", product.on_hand, Stock::ON_HAND));
    let ttl = product.hold_ttl.as_ref();
    let hold_ttl = bad.keep(hold_ttl_or("product.hold_ttl", ttl, HoldTtl::OF_PRODUCTS));
    let limit = bad.keep(limit(product));
    let (id, sku, display_name, description, price, on_hand, hold_ttl, customer_limit) =
        bad.complete((id, sku, display_name, description, price, on_hand, hold_ttl, limit))?;
    Ok(NewProduct { id, sku, display_name, description, price, on_hand, hold_ttl, customer_limit })
}

fn sku(product: &Product) -> Result<String, Violation> {
    field::text("product.sku", &product.sku, 1..=64)
}

fn display_name(product: &Product) -> Result<String, Violation> {
    field::text("product.display_name", &product.display_name, 1..=200)
}

fn description(product: &Product) -> Result<String, Violation> {
    field::text("product.description", &product.description, 0..=1_000)
}

fn limit(product: &Product) -> Result<CustomerLimit, Violation> {
    customer_limit("product.max_units_per_customer", product.max_units_per_customer)
}

/// The request for this product as it was understood: what a repeat is compared with.
#[must_use]
pub fn to_request(new: &NewProduct) -> CreateProductRequest {
    let product = Product {
        sku: new.sku.clone(),
        display_name: new.display_name.clone(),
        description: new.description.clone(),
        price: Some(money::to_money(new.price)),
        on_hand: new.on_hand,
        hold_ttl: Some(time::to_duration_ms(new.hold_ttl.as_ms())),
        max_units_per_customer: new.customer_limit.number(),
        ..Product::default()
    };
    CreateProductRequest { product_id: new.id.to_string(), product: Some(product) }
}

/// Reads the request for a change: which product, of which revision, and what to change. Only the fields that the
/// mask names are looked at.
pub fn change(request: &UpdateProductRequest) -> Result<(ProductId, Expected, ProductChange), Violations> {
    let product = field::required("product", request.product.as_ref())?;
    let mut bad = Violations::default();
    let id = bad.keep(field::uuid("product.product_id", &product.product_id));
    let paths = mask::paths("update_mask", request.update_mask.as_ref(), &UPDATABLE);
    let paths = bad.keep(paths).unwrap_or_default();
    let mut change = ProductChange::default();
    if paths.contains(&"sku") {
        change.sku = bad.keep(sku(product));
    }
    if paths.contains(&"display_name") {
        change.display_name = bad.keep(display_name(product));
    }
    if paths.contains(&"description") {
        change.description = bad.keep(description(product));
    }
    if paths.contains(&"price") {
        change.price = bad.keep_all(money::price("product.price", product.price.as_ref()));
    }
    if paths.contains(&"hold_ttl") {
        change.hold_ttl = bad.keep(hold_ttl("product.hold_ttl", product.hold_ttl.as_ref()));
    }
    if paths.contains(&"max_units_per_customer") {
        change.customer_limit = bad.keep(limit(product));
    }
    let (id,) = bad.complete((id,))?;
    Ok((id.into(), Expected::from_etag(&product.etag), change))
}

/// A product as the API shows it.
#[must_use]
pub fn to_proto(product: product::Product) -> Product {
    let stock = product.stock;
    Product {
        product_id: product.id.to_string(),
        sku: product.sku,
        display_name: product.display_name,
        description: product.description,
        price: Some(money::to_money(product.price)),
        on_hand: stock.on_hand(),
        held: stock.held(),
        sold: stock.sold(),
        available: stock.available(),
        hold_ttl: Some(time::to_duration_ms(product.hold_ttl.as_ms())),
        etag: product.revision.etag(),
        create_time: Some(time::to_timestamp(product.created_at)),
        update_time: Some(time::to_timestamp(product.updated_at)),
        max_units_per_customer: product.customer_limit.number(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn requests() -> impl Strategy<Value = CreateProductRequest> {
        let texts = ("[a-zA-Z0-9-]{1,64}", "\\PC{1,200}", "\\PC{0,80}");
        let numbers = (0_i64..=1_000_000_000_000, 0_i64..=1_000_000_000_000, 0_i64..=1_000_000);
        (any::<u128>(), texts, numbers, prop::option::of(100_i64..=86_400_000)).prop_map(
            |(id, texts, numbers, ttl)| {
                let product = Product {
                    sku: texts.0,
                    display_name: texts.1,
                    description: texts.2,
                    price: Some(proto::catalog::Money {
                        currency_code: "EUR".to_owned(),
                        minor_units: numbers.0,
                    }),
                    on_hand: numbers.1,
                    hold_ttl: ttl.map(time::to_duration_ms),
                    max_units_per_customer: numbers.2,
                    ..Product::default()
                };
                let product_id = uuid::Uuid::from_u128(id).to_string();
                CreateProductRequest { product_id, product: Some(product) }
            },
        )
    }

    proptest! {
        #[test]
        fn a_request_as_it_was_understood_is_understood_the_same(request in requests()) {
            let product = new(&request).unwrap();
            prop_assert_eq!(new(&to_request(&product)), Ok(product));
        }

        #[test]
        fn what_the_server_decides_makes_no_difference_to_a_request(request in requests(), held: i64, etag: String) {
            let mut dressed = request.clone();
            dressed.product_id.make_ascii_uppercase();
            let product = dressed.product.as_mut().unwrap();
            (product.held, product.sold, product.available, product.etag) = (held, held, held, etag);
            prop_assert_eq!(new(&dressed), new(&request));
        }
    }
}
