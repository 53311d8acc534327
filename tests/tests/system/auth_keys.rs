//! What a service does without keys, with callers who send what is not good all the time, and what it tells of them.

use std::fs;

use api::{metadata_of, reason_of};
use http::Request;
use prost::bytes::Bytes;
use proto::catalog::{ListProductsRequest, catalog_service_client::CatalogServiceClient};
use serde_json::{Value, json};
use stack::{Service, ServiceKind, TokenIssuer};
use system_tests::{
    Collector, Outcome, PATIENCE, Rest, World, asking, bearing, eventually, issuer, token, when,
};
use tokio::task::block_in_place;
use tonic::{Code, Status, transport::Channel};

type Catalog = CatalogServiceClient<Channel>;

async fn list(client: &Catalog, token: &str) -> Result<(), Status> {
    let request = bearing(token, ListProductsRequest { page_size: 1, ..ListProductsRequest::default() });
    client.clone().list_products(request).await.map(drop)
}

/// One more replica of the catalog, of which callers are asked.
fn catalog(env: &[(&str, &str)]) -> (Service, Catalog) {
    let service = block_in_place(|| asking().add(ServiceKind::Catalog, env)).expect("it starts");
    let client = World::of(asking()).with_catalog(&service).catalog;
    (service, client)
}

async fn until_ready(service: &Service, wanted: u16) -> Value {
    eventually("it is as ready as it can be", PATIENCE, async || {
        let ready = block_in_place(|| service.get("/readyz")).map_err(|error| error.to_string())?;
        if ready.status == wanted { Ok(ready.body) } else { Err(ready.body) }
    })
    .await
    .parse()
    .expect("it is JSON")
}

/// A token whose signature is another's.
fn forged() -> String {
    let (good, other) = (token("mallory", "operator"), token("ada", "customer"));
    let (signed, _) = good.rsplit_once('.').expect("it has parts");
    let (_, signature) = other.rsplit_once('.').expect("it has parts");
    format!("{signed}.{signature}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_keys_are_gone_says_so_and_goes_on_for_those_who_need_none() -> Outcome {
    let own = TokenIssuer::open(&asking().home().dir().join("withdrawn")).expect("a key can be made");
    let jwks = own.jwks().to_string_lossy().into_owned();
    let (service, client) = catalog(&[("HOLDFAST_AUTH_JWKS", &jwks)]);
    let ada = own.token("ada", "customer", std::time::Duration::from_hours(1));
    until_ready(&service, 200).await;
    eventually("it serves", PATIENCE, async || list(&client, &ada).await).await;
    let (keys, none) = (fs::read(&jwks)?, json!({ "keys": [] }).to_string());
    // Those who need no keys go on.
    fs::write(&jwks, &none)?;
    eventually("the keys are gone", PATIENCE, async || match list(&client, &ada).await {
        Ok(()) => Err("still let in"),
        Err(_) => Ok(()),
    })
    .await;
    let said = until_ready(&service, 200).await;
    assert!(said.to_string().contains("no key that can check a signature"), "{said}");
    let refused = list(&client, &ada).await.expect_err("there are no keys");
    assert_eq!((refused.code(), &*reason_of(&refused)), (Code::Unavailable, "UNAVAILABLE"));
    let metrics = block_in_place(|| service.get("/metrics")).expect("it answers").body;
    let is_down = |line: &str| {
        line.starts_with("holdfast_part_up{") && line.contains("\"keys\"") && line.ends_with(" 0")
    };
    assert!(metrics.lines().any(is_down), "{metrics}");
    // The issuer was seen to have none, and is believed for a day.
    let gauge = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).expect("it is there");
        line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("it is a number")
    };
    let seen = gauge("holdfast_auth_keys_seen_timestamp_seconds");
    let believed = gauge("holdfast_auth_keys_expiry_timestamp_seconds") - seen;
    assert!(seen > 0.0 && (believed - 86_400.0).abs() < 1.0, "{seen}, {believed}");
    fs::write(&jwks, keys)?;
    eventually("it serves again", PATIENCE, async || list(&client, &ada).await).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_bad_tokens_all_the_time_is_refused_by_their_address_and_nobody_else_there() -> Outcome {
    let (service, client) = catalog(&[("HOLDFAST_RATE_LIMIT", "1"), ("HOLDFAST_RATE_BURST", "10")]);
    until_ready(&service, 200).await;
    // Good tokens take nothing from their address: customers behind one gateway have a burst each.
    let ada = token("ada-6", "customer");
    eventually("it serves", PATIENCE, async || list(&client, &ada).await).await;
    for n in 0..30 {
        list(&client, &token(&format!("crowd-{n}"), "customer")).await?;
    }
    let bad = forged();
    let mut calls = 0;
    let limited = loop {
        let refused = list(&client, &bad).await.expect_err("it is not good");
        if reason_of(&refused) != "BAD_CREDENTIALS" {
            break refused;
        }
        calls += 1;
        assert!(calls < 200, "nobody says that it is too often");
    };
    assert!(calls >= 10, "{calls}");
    assert_eq!((limited.code(), &*reason_of(&limited)), (Code::ResourceExhausted, "RATE_LIMITED"));
    // Also where calls between services are not limited.
    let holds = World::of(asking()).with_catalog(&service).holds;
    let overdue = proto::catalog::ListOverdueHoldsRequest::default();
    eventually("it is too often there too", PATIENCE, async || {
        let answer = holds.clone().list_overdue_holds(bearing(&bad, overdue.clone())).await;
        let reason = answer.map_or_else(|refused| reason_of(&refused), |_| String::new());
        when(reason == "RATE_LIMITED", reason)
    })
    .await;
    // Who was known before goes on, and so does who comes from there for the first time.
    list(&client, &ada).await?;
    list(&client, &token("newcomer", "customer")).await?;
    let expired = issuer().sign(&json!({ "sub": "ada-6", "exp": 1 }));
    let told = list(&client, &expired).await.expect_err("its time is over");
    assert_eq!((told.code(), &*reason_of(&told)), (Code::Unauthenticated, "BAD_CREDENTIALS"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_refused_can_be_found_in_log_and_trace() -> Outcome {
    let (collector, url) = Collector::start().await;
    let (service, client) = catalog(&[("HOLDFAST_OTLP_ENDPOINT", &url), ("HOLDFAST_LOG", "info")]);
    until_ready(&service, 200).await;
    eventually("it serves", PATIENCE, async || list(&client, &token("ada-7", "customer")).await).await;
    for token in [forged(), issuer().sign(&json!({ "sub": "mallory", "exp": 1 }))] {
        assert_eq!(list(&client, &token).await.expect_err("it is not good").code(), Code::Unauthenticated);
    }
    let log = fs::read_to_string(service.log().expect("it has a log"))?;
    for cause in ["signature", "expired"] {
        let line = log.lines().find(|line| line.contains("a call was refused") && line.contains(cause));
        let line = line.unwrap_or_else(|| panic!("{cause}: {log}"));
        for part in ["BAD_CREDENTIALS", "CatalogService/ListProducts", "127.0.0.1", "suppressed"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
    assert!(!log.contains("mallory"), "{log}");
    eventually("the span says why", PATIENCE, async || {
        let spans = collector.spans();
        let refused = spans.iter().filter(|span| span.attribute("refused").is_some());
        let reasons: Vec<_> = refused.filter_map(|span| span.attribute("refused")).collect();
        when(reasons == ["BAD_CREDENTIALS", "BAD_CREDENTIALS"], reasons)
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tokens_are_none_however_good_the_first_one_is() {
    let (rest, good) = (Rest::of(asking()), token("ada-8", "customer"));
    let authorized =
        |request: http::request::Builder| request.header("authorization", format!("Bearer {good}"));
    let request = authorized(Request::get("/v1/products")).body(Bytes::new()).expect("a request");
    rest.send(request).await.ok();
    for second in [format!("Bearer {good}"), "Basic YTpi".to_owned()] {
        let request = authorized(Request::get("/v1/products")).header("authorization", &second);
        let answer = rest.send(request.body(Bytes::new()).expect("a request")).await;
        assert_eq!(answer.refused_because(401, "UNAUTHENTICATED", "BAD_CREDENTIALS")["cause"], "malformed");
        let request = ListProductsRequest { page_size: 1, ..ListProductsRequest::default() };
        let mut request = bearing(&good, request);
        request.metadata_mut().append("authorization", second.parse().expect("a header"));
        let answer = World::of(asking()).catalog.list_products(request).await;
        let refused = answer.expect_err("there are two");
        assert_eq!(metadata_of(&refused)["cause"], "malformed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_whose_name_is_no_customer_id_hears_so() -> Outcome {
    let client = World::of(asking()).catalog;
    list(&client, &token(&"ä".repeat(128), "customer")).await?;
    for (subject, role) in [("a".repeat(129), "customer"), ("a\u{0}b".to_owned(), "operator")] {
        let refused = list(&client, &token(&subject, role)).await.expect_err("it is too long, or not plain");
        assert_eq!((refused.code(), &*reason_of(&refused)), (Code::Unauthenticated, "BAD_CREDENTIALS"));
        assert_eq!(metadata_of(&refused)["cause"], "subject");
    }
    list(&client, &token(&"a".repeat(255), "operator")).await?;
    Ok(())
}
