//! Tokens that are not good, keys that change under load, and what stands of it all in the logs: nothing.

use std::{
    fs,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use api::{metadata_of, reason_of};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Request;
use prost::bytes::Bytes;
use proto::catalog::{ListProductsRequest, catalog_service_client::CatalogServiceClient};
use ring::hmac;
use serde_json::{Value, json};
use stack::TokenIssuer;
use system_tests::{
    Outcome, PATIENCE, Rest, World, asking, bearing, eventually, issuer, publish, rsa_key, token, when,
};
use tokio::task::{JoinHandle, block_in_place};
use tonic::{Code, Status, transport::Channel};

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is past 1970").as_secs()
}

async fn list(client: &CatalogServiceClient<Channel>, token: &str) -> Result<(), Status> {
    let request = bearing(token, ListProductsRequest { page_size: 1, ..ListProductsRequest::default() });
    client.clone().list_products(request).await.map(drop)
}

/// A token as `sign` signs its first two parts.
fn made(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Tokens that must be refused, each with the cause.
fn bad_tokens() -> Vec<(&'static str, String, &'static str)> {
    let (issuer, hour) = (issuer(), now() + 3_600);
    let good = json!({
        "iss": TokenIssuer::ISSUER, "aud": TokenIssuer::AUDIENCE, "sub": "mallory", "role": "operator", "exp": hour,
    });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let mut nobody = good.clone();
    nobody.as_object_mut().expect("an object").remove("sub");
    let mut endless = good.clone();
    endless.as_object_mut().expect("an object").remove("exp");
    // Whoever can read the keys can sign with them, if a server takes them for a secret.
    let modulus = rsa_key()["n"].as_str().expect("it has a modulus").to_owned();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, modulus.as_bytes());
    let keys = fs::read(issuer.jwks()).expect("the keys are there");
    let all_keys = hmac::Key::new(hmac::HMAC_SHA256, &keys);
    let hs256 = json!({ "alg": "HS256", "kid": "rsa" });
    let dir = asking().home().dir().join("stranger");
    let stranger = TokenIssuer::open(&dir).expect("a key can be made");
    let genuine = issuer.sign(&good);
    let (signed, signature) = genuine.rsplit_once('.').expect("it has parts");
    let (header, _) = signed.split_once('.').expect("it has parts");
    let king = BASE64_URL_SAFE_NO_PAD.encode(with("sub", json!("king")).to_string());
    vec![
        ("expired", issuer.sign(&with("exp", json!(now() - 60))), "expired"),
        ("not yet valid", issuer.sign(&with("nbf", json!(hour))), "not_yet_valid"),
        ("of another issuer", issuer.sign(&with("iss", json!("https://evil.example"))), "issuer"),
        ("for another audience", issuer.sign(&with("aud", json!(["others"]))), "audience"),
        ("without an algorithm", made(&json!({ "alg": "none" }), &good, |_| Vec::new()), "algorithm"),
        (
            "HS256 with a public key",
            made(&hs256, &good, |signed| hmac::sign(&secret, signed).as_ref().to_vec()),
            "algorithm",
        ),
        (
            "HS256 with all keys",
            made(&hs256, &good, |signed| hmac::sign(&all_keys, signed).as_ref().to_vec()),
            "algorithm",
        ),
        ("of an unknown key", stranger.sign(&good), "unknown_key"),
        ("of nobody", issuer.sign(&nobody), "missing_claim"),
        ("without an end", issuer.sign(&endless), "missing_claim"),
        ("too long", issuer.sign(&with("padding", json!("x".repeat(9_000)))), "too_long"),
        ("with other claims", format!("{header}.{king}.{signature}"), "signature"),
        ("without a signature", format!("{signed}."), "signature"),
        ("no token at all", "aGFsbG8gd2VsdA".to_owned(), "malformed"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_token_is_refused_and_nothing_of_it_is_logged() -> Outcome {
    let (world, rest) = (World::of(asking()), Rest::of(asking()));
    let bad = bad_tokens();
    list(&world.catalog, &token("ada", "customer")).await?;
    for (what, token, cause) in &bad {
        let refused = list(&world.catalog, token).await.expect_err(what);
        assert_eq!(
            (refused.code(), &*reason_of(&refused)),
            (Code::Unauthenticated, "BAD_CREDENTIALS"),
            "{what}"
        );
        assert_eq!(metadata_of(&refused)["cause"], *cause, "{what}");
        let request = Request::get("/v1/products").header("authorization", format!("Bearer {token}"));
        let answer = rest.send(request.body(Bytes::new()).expect("a request")).await;
        let metadata = answer.refused_because(401, "UNAUTHENTICATED", "BAD_CREDENTIALS");
        assert_eq!(metadata["cause"], *cause, "{what}");
        assert!(
            answer.headers["www-authenticate"].to_str().is_ok_and(|header| header.contains("invalid_token"))
        );
    }
    // Two tokens, and another scheme.
    for headers in [&["Bearer a.b.c", "Bearer a.b.c"][..], &["Basic YTpi"]] {
        let request = headers
            .iter()
            .fold(Request::get("/v1/products"), |request, it| request.header("authorization", *it));
        rest.send(request.body(Bytes::new()).expect("a request")).await.refused_because(
            401,
            "UNAUTHENTICATED",
            "BAD_CREDENTIALS",
        );
    }
    for service in asking().services() {
        let log = fs::read_to_string(service.log().expect("it has a log"))?;
        for (what, token, _) in &bad {
            let told = token.split('.').filter(|part| part.len() > 8).find(|part| log.contains(*part));
            assert!(told.is_none(), "{} tells of the token {what}", service.name());
        }
        assert!(!log.contains("mallory"), "{}", service.name());
    }
    let metrics = block_in_place(|| asking().catalog().get("/metrics")).expect("it answers").body;
    assert!(
        metrics.lines().any(|line| line.starts_with("holdfast_auth_refused_total{")
            && line.contains("BAD_CREDENTIALS")
            && !line.ends_with(" 0")),
        "{metrics}"
    );
    Ok(())
}

/// Callers who call without a pause, with whatever token is good just now.
struct Load {
    token: Arc<RwLock<String>>,
    done: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Result<(), Status>>>,
}

impl Load {
    fn start(world: &World, token: String, callers: usize) -> Self {
        let mut load = Self {
            token: Arc::new(RwLock::new(token)),
            done: Arc::default(),
            over: Arc::default(),
            callers: Vec::new(),
        };
        for _ in 0..callers {
            let (token, done, over) =
                (Arc::clone(&load.token), Arc::clone(&load.done), Arc::clone(&load.over));
            let client = world.catalog.clone();
            load.callers.push(tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let token = token.read().expect("nobody panics with it").clone();
                    list(&client, &token).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }));
        }
        load
    }

    fn show(&self, token: String) {
        *self.token.write().expect("nobody panics with it") = token;
    }

    /// Until so many calls more were answered.
    async fn go_on(&self, calls: u64) {
        let until = self.done.load(Ordering::Relaxed) + calls;
        eventually("calls are answered", PATIENCE, async || {
            let done = self.done.load(Ordering::Relaxed);
            when(done >= until || self.callers.iter().any(JoinHandle::is_finished), done)
        })
        .await;
    }

    async fn end(self) -> Result<u64, Status> {
        self.over.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.expect("it does not panic")?;
        }
        Ok(self.done.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_change_under_load_and_no_call_is_refused() -> Outcome {
    let (stack, world, hour) = (asking(), World::of(asking()), Duration::from_hours(1));
    let issuer_in =
        |name: &str| TokenIssuer::open(&stack.home().dir().join(name)).expect("a key can be made");
    let (old, new) = (issuer_in("old"), issuer_in("new"));
    publish(stack, &[old.jwk()]);
    let load = Load::start(&world, old.token("ada", "customer", hour), 16);
    load.go_on(200).await;
    // The new key is used the moment after it was published.
    publish(stack, &[old.jwk(), new.jwk()]);
    load.show(new.token("ada", "customer", hour));
    load.go_on(400).await;
    // Whoever shows a token of the old key now hears that it is none.
    publish(stack, &[new.jwk()]);
    load.go_on(200).await;
    let late = old.token("ada", "customer", hour);
    eventually("the old key is no longer believed", PATIENCE, async || {
        match list(&world.catalog, &late).await {
            Err(status) if metadata_of(&status).get("cause").is_some_and(|cause| cause == "unknown_key") => {
                Ok(())
            }
            answer => Err(answer),
        }
    })
    .await;
    load.go_on(200).await;
    let done = load.end().await?;
    assert!(done >= 1_000, "{done}");
    publish(stack, &[]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_without_a_role_that_is_known_may_do_nothing() {
    let world = World::of(asking());
    for role in [json!(null), json!("admin"), json!("Operator"), json!(["root"])] {
        let token = issuer().sign(&json!({ "sub": "ada", "role": role, "exp": now() + 60 }));
        let refused = list(&world.catalog, &token).await.expect_err("no role");
        assert_eq!(
            (refused.code(), &*reason_of(&refused)),
            (Code::PermissionDenied, "ROLE_NOT_ALLOWED"),
            "{role}"
        );
    }
}
