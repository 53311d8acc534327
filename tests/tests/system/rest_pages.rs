//! Web pages: which may call, under which names, and what browsers are told.

use http::{Method, Request};
use prost::bytes::Bytes;
use stack::ServiceKind;
use system_tests::{Answer, Outcome, Rest, fresh_id, hasty, own};

/// Asks for something, as a page of `origin` does.
async fn send(rest: &Rest, method: Method, origin: &str) -> Answer {
    let path = format!("/v1/bookings/{}:cancel", fresh_id());
    let request = Request::builder().method(method).uri(path).header("origin", origin);
    rest.send(request.body(Bytes::new()).expect("a request")).await
}

#[tokio::test]
async fn a_strangers_page_cannot_change_anything() {
    let rest = Rest::shared();
    send(&rest, Method::POST, "https://evil.example").await.refused(403, "PERMISSION_DENIED");
    let friend = send(&rest, Method::POST, "http://localhost:3000").await;
    friend.refused(404, "NOT_FOUND");
    assert_eq!(friend.headers["access-control-allow-origin"], "http://localhost:3000");
    let request = Request::options("/v1/bookings").header("origin", "http://127.0.0.1:8082");
    let request =
        request.header("access-control-request-method", "POST").body(Bytes::new()).expect("a request");
    let preflight = rest.send(request).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.headers["access-control-allow-origin"], "http://127.0.0.1:8082");
}

/// DNS rebinding: the browser takes `evil.example`, which its owner has pointed to this machine, for one and the same.
#[tokio::test]
async fn a_name_that_a_stranger_owns_opens_nothing() {
    let rest = Rest::shared();
    let ask = async |method: Method, path: &str, origin: Option<&str>| {
        let mut request = Request::builder().method(method).uri(path).header("host", "evil.example:8082");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        rest.send(request.body(Bytes::new()).expect("a request")).await
    };
    let cancel = format!("/v1/bookings/{}:cancel", fresh_id());
    ask(Method::POST, &cancel, Some("http://evil.example:8082")).await.refused(403, "PERMISSION_DENIED");
    // A page reads what is of its own origin without saying who it is.
    for path in ["/v1/bookings", "/v1/products", "/openapi.json", "/docs"] {
        ask(Method::GET, path, None).await.refused(403, "PERMISSION_DENIED");
    }
}

#[tokio::test]
async fn names_and_pages_that_are_set_may_call() -> Outcome {
    let stack = own(hasty()).await;
    let set =
        [("HOLDFAST_HTTP_HOSTS", "api.shop.example"), ("HOLDFAST_CORS_ORIGINS", "https://shop.example")];
    let url = stack.add(ServiceKind::Catalog, &set).expect("it starts").http_url();
    let rest = Rest::of(&stack);
    let ask = async |host: &str, origin: &str| {
        let path = format!("/v1/products/{}", fresh_id());
        let request = Request::delete(path).header("host", host).header("origin", origin);
        rest.send_to(&url, request.body(Bytes::new()).expect("a request")).await.status.as_u16()
    };
    assert_eq!(ask("api.shop.example", "https://shop.example").await, 404);
    assert_eq!(ask("api.shop.example", "https://api.shop.example").await, 404);
    assert_eq!(ask("api.shop.example", "https://evil.example").await, 403);
    // Whose machine localhost is, the service cannot know.
    assert_eq!(ask("api.shop.example", "http://localhost:3000").await, 403);
    assert_eq!(ask("evil.example", "https://shop.example").await, 403);
    Ok(())
}

#[tokio::test]
async fn browsers_are_told_what_an_answer_depends_on_and_to_take_it_as_it_is() {
    let rest = Rest::shared();
    for path in ["/v1/products", "/v1/bookings/7", "/openapi.json", "/nothing", "/docs"] {
        let answer = rest.get(path).await;
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("vary"), Some("origin"), "{path}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    let service = system_tests::shared().reservation().http_url();
    let request = Request::get("/docs").body(Bytes::new()).expect("a request");
    let page = rest.send_to(&service, request).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["x-frame-options"], "DENY");
    let policy = page.headers["content-security-policy"].to_str().expect("a text");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
}
