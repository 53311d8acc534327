//! Creating, reading and changing products.

use api::time::to_duration_ms;
use prost_types::FieldMask;
use proto::catalog::{GetProductRequest, Money, Product, UpdateProductRequest};
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

use crate::app::{App, assert_bad_field, assert_refused, euros, new_product};

fn update(product: Product, paths: &[&str]) -> UpdateProductRequest {
    let paths = paths.iter().map(|&path| path.to_owned()).collect();
    UpdateProductRequest { product: Some(product), update_mask: Some(FieldMask { paths }) }
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_product_is_created_with_defaults_and_read_back(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let request = new_product();
    let created = app.client.create_product(request.clone()).await.unwrap().into_inner().product.unwrap();
    assert_eq!(created.product_id, request.product_id);
    assert_eq!((created.on_hand, created.held, created.sold, created.available), (10, 0, 0, 10));
    assert_eq!(created.hold_ttl, Some(to_duration_ms(60_000)));
    assert!(!created.etag.is_empty() && created.create_time.is_some());
    assert_eq!(app.get_product(&created.product_id).await, created);

    let mut anonymous = new_product();
    anonymous.product_id.clear();
    let created = app.client.create_product(anonymous).await.unwrap().into_inner().product.unwrap();
    assert_eq!(created.product_id.parse::<Uuid>().unwrap().get_version_num(), 7);
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_repeated_creation_finds_the_product_as_it_is_now(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let request = new_product();
    app.client.create_product(request.clone()).await.unwrap();
    let adjusted = app.adjust(&request.product_id, 5).await.unwrap();
    let mut repeat = request.clone();
    repeat.product_id = repeat.product_id.to_uppercase();
    let product = repeat.product.as_mut().unwrap();
    product.hold_ttl = Some(to_duration_ms(60_000));
    (product.held, product.etag) = (7, "ignored".to_owned());
    let repeated = app.client.create_product(repeat).await.unwrap().into_inner().product.unwrap();
    assert_eq!(repeated, adjusted);

    let mut other = request;
    other.product.as_mut().unwrap().price = Some(euros(1));
    let id = other.product_id.clone();
    assert_refused(app.client.create_product(other).await, Code::AlreadyExists, "ID_REUSED");
    assert_eq!(app.get_product(&id).await, adjusted);
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn one_of_many_creations_with_one_sku_wins(pool: PgPool) {
    let app = App::start(&pool).await;
    let creations = (0..16).map(|_| {
        let mut request = new_product();
        request.product.as_mut().unwrap().sku = "MEAL".to_owned();
        let mut client = app.client.clone();
        tokio::spawn(async move { client.create_product(request).await })
    });
    let mut created = 0;
    for creation in creations.collect::<Vec<_>>() {
        match creation.await.unwrap() {
            Ok(_) => created += 1,
            refused => drop(assert_refused(refused, Code::AlreadyExists, "SKU_TAKEN")),
        }
    }
    assert_eq!(created, 1);
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn one_of_many_creations_with_one_id_creates_and_all_find_it(pool: PgPool) {
    let app = App::start(&pool).await;
    let request = new_product();
    let creations = (0..16).map(|_| {
        let (mut client, request) = (app.client.clone(), request.clone());
        tokio::spawn(async move { client.create_product(request).await })
    });
    let mut found = Vec::new();
    for creation in creations.collect::<Vec<_>>() {
        found.push(creation.await.unwrap().unwrap().into_inner().product);
    }
    assert!(found.iter().all(|product| product == &found[0]));
    app.stop().await;
}

type Spoil = fn(&mut Product);

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn each_bad_field_of_a_new_product_is_named(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let cases: [(&str, Spoil); 17] = [
        ("product.sku", |p| p.sku.clear()),
        ("product.sku", |p| p.sku = "x".repeat(65)),
        ("product.sku", |p| p.sku = "a\0b".to_owned()),
        ("product.display_name", |p| p.display_name.clear()),
        ("product.display_name", |p| p.display_name = "ä".repeat(201)),
        ("product.description", |p| p.description = "x".repeat(1_001)),
        ("product.price", |p| p.price = None),
        ("product.price.currency_code", |p| {
            p.price = Some(Money { currency_code: "eur".into(), minor_units: 1 });
        }),
        ("product.price.minor_units", |p| p.price = Some(euros(-1))),
        ("product.price.minor_units", |p| p.price = Some(euros(1_000_000_000_001))),
        ("product.on_hand", |p| p.on_hand = -1),
        ("product.on_hand", |p| p.on_hand = 1_000_000_000_001),
        ("product.max_units_per_customer", |p| p.max_units_per_customer = -1),
        ("product.max_units_per_customer", |p| p.max_units_per_customer = 1_000_001),
        ("product.hold_ttl", |p| p.hold_ttl = Some(to_duration_ms(99))),
        ("product.hold_ttl", |p| p.hold_ttl = Some(to_duration_ms(86_400_001))),
        ("product.hold_ttl", |p| p.hold_ttl = Some(prost_types::Duration { seconds: 1, nanos: 500 })),
    ];
    for (field, spoil) in cases {
        let mut request = new_product();
        spoil(request.product.as_mut().unwrap());
        assert_bad_field(app.client.create_product(request).await, field);
    }
    let mut request = new_product();
    request.product_id = "17".to_owned();
    assert_bad_field(app.client.create_product(request.clone()).await, "product_id");
    (request.product_id, request.product) = (String::new(), None);
    assert_bad_field(app.client.create_product(request).await, "product");
    let longest = Product {
        display_name: "ä".repeat(200),
        description: "語".repeat(1_000),
        sku: "😀".repeat(64),
        ..new_product().product.unwrap()
    };
    let mut request = new_product();
    request.product = Some(longest);
    app.client.create_product(request).await.unwrap();
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn an_update_changes_the_fields_of_its_mask_and_the_etag(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let before = app.product(10).await;
    let wanted = Product {
        product_id: before.product_id.clone(),
        sku: "ignored".to_owned(),
        display_name: "Hot meal".to_owned(),
        price: Some(Money { currency_code: "CHF".to_owned(), minor_units: 2 }),
        hold_ttl: Some(to_duration_ms(100)),
        etag: before.etag.clone(),
        ..Default::default()
    };
    let request = update(wanted.clone(), &["display_name", "price", "hold_ttl"]);
    let after = app.client.update_product(request).await.unwrap().into_inner().product.unwrap();
    assert_ne!(after.etag, before.etag);
    let expected = Product {
        display_name: wanted.display_name,
        price: wanted.price,
        hold_ttl: wanted.hold_ttl,
        etag: after.etag.clone(),
        update_time: after.update_time,
        ..before
    };
    assert_eq!(after, expected);

    // Without an etag, a repeat changes nothing, not even the etag.
    let repeat = Product { etag: String::new(), ..after.clone() };
    let repeat = app.client.update_product(update(repeat, &["display_name", "price"])).await.unwrap();
    assert_eq!(repeat.into_inner().product, Some(after));
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn of_many_updates_from_one_etag_one_wins(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let before = app.product(10).await;
    let updates = (0..8).map(|i| {
        let product = Product { display_name: format!("Meal {i}"), ..before.clone() };
        let mut client = app.client.clone();
        tokio::spawn(async move { client.update_product(update(product, &["display_name"])).await })
    });
    let mut winners = Vec::new();
    for update in updates.collect::<Vec<_>>() {
        match update.await.unwrap() {
            Ok(updated) => winners.push(updated.into_inner().product.unwrap()),
            refused => drop(assert_refused(refused, Code::Aborted, "ETAG_MISMATCH")),
        }
    }
    assert_eq!(winners, [app.get_product(&before.product_id).await]);
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn bad_updates_are_refused_and_change_nothing(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let (one, other) = (app.product(10).await, app.product(10).await);
    for paths in [&[][..], &["held"], &["on_hand"], &["etag"], &["sku", "nonsense"], &["product_id"]] {
        let request = update(one.clone(), paths);
        assert_bad_field(app.client.update_product(request).await, "update_mask");
    }
    let request = UpdateProductRequest { product: Some(one.clone()), update_mask: None };
    assert_bad_field(app.client.update_product(request).await, "update_mask");
    let bare = Product { product_id: one.product_id.clone(), ..Default::default() };
    for field in ["sku", "display_name", "price", "hold_ttl"] {
        let outcome = app.client.update_product(update(bare.clone(), &[field])).await;
        assert_bad_field(outcome, &format!("product.{field}"));
    }
    let nameless = Product { product_id: String::new(), ..one.clone() };
    assert_bad_field(app.client.update_product(update(nameless, &["sku"])).await, "product.product_id");

    let taken = Product { sku: other.sku.clone(), etag: String::new(), ..one.clone() };
    let outcome = app.client.update_product(update(taken, &["sku"])).await;
    assert_refused(outcome, Code::AlreadyExists, "SKU_TAKEN");
    let unknown = Product { product_id: Uuid::nil().to_string(), ..one.clone() };
    let outcome = app.client.update_product(update(unknown, &["sku"])).await;
    assert_refused(outcome, Code::NotFound, "PRODUCT_NOT_FOUND");
    assert_eq!(app.get_product(&one.product_id).await, one);
    let request = GetProductRequest { product_id: String::new() };
    assert_bad_field(app.client.get_product(request).await, "product_id");
    app.stop().await;
}
