//! REST and gRPC as other people's clients use them: a browser, schemathesis, and the examples.

use std::{env, fs, path::Path};

use serde_json::json;
use stack::Stack;
use system_tests::{Outcome, Rest, Said, hasty, own, program_with, shared, tell};

/// The product that the examples in the descriptions name.
const SAMPLE: &str = "b0000000-0000-4000-8000-000000000001";
/// Runs of one check on one operation that schemathesis makes up.
const EXAMPLES: &str = "20";

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A file of the repository, for a program's arguments.
fn file(name: &str) -> String {
    repository().join(name).to_str().expect("a path in UTF-8").to_owned()
}

/// Where clients find the services of a stack.
fn addresses(stack: &Stack) -> Vec<(&'static str, String)> {
    let plain = |url: String| url.replace("http://", "");
    vec![
        ("HOLDFAST_CATALOG", plain(stack.catalog_url())),
        ("HOLDFAST_RESERVATION", plain(stack.reservation_url())),
        ("HOLDFAST_CATALOG_HTTP", stack.catalog().http_url()),
        ("HOLDFAST_RESERVATION_HTTP", stack.reservation().http_url()),
    ]
}

async fn sample_product(rest: &Rest) {
    let price = json!({ "currencyCode": "EUR", "minorUnits": 4_900 });
    let product =
        json!({ "sku": "CONCERT-GA", "displayName": "Concert ticket", "price": price, "onHand": 100 });
    rest.post(&format!("/v1/products?productId={SAMPLE}"), &product).await.ok();
}

#[track_caller]
fn assert_lives(said: &Said) {
    assert!(said.success, "{said:#?}");
    for wanted in ["CONFIRMED", "REFUNDED", "done: "] {
        assert!(said.output.contains(wanted), "{wanted} is missing: {said:#?}");
    }
}

#[test]
fn the_curl_example_lives_through_a_booking() {
    assert_lives(&program_with("sh", &[&file("examples/curl.sh")], &addresses(shared())));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_lines_of_the_readme_work_as_they_are_printed() -> Outcome {
    let stack = own(hasty()).await;
    sample_product(&Rest::of(&stack)).await;
    let readme = fs::read_to_string(repository().join("README.md"))?;
    let lines: Vec<_> = readme.lines().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    for (line, wanted) in
        lines.into_iter().zip(["STATE_HELD", "STATE_CONFIRMED", "STATE_REFUNDED", "CONCERT-GA"])
    {
        let line = line.replace("http://127.0.0.1:8081", &stack.catalog().http_url());
        let line = line.replace("http://127.0.0.1:8082", &stack.reservation().http_url());
        let said = program_with("sh", &["-c", &line], &[]);
        assert!(said.success && said.output.contains(wanted), "{line}: {said:?}");
    }
    Ok(())
}

#[test]
fn the_python_examples_live_through_a_booking() {
    for example in ["examples/python/rest.py", "examples/python/grpc_client.py"] {
        assert_lives(&program_with("python", &[&file(example)], &addresses(shared())));
    }
}

#[test]
fn the_node_example_lives_through_a_booking() {
    assert_lives(&program_with("node", &[&file("examples/node/booking.js")], &addresses(shared())));
}

#[test]
fn the_rust_example_lives_through_a_booking() {
    let folder = std::env::current_exe().expect("it is a file");
    let folder = folder.ancestors().nth(2).expect("it is in deps/").to_str().expect("a path in UTF-8");
    assert_lives(&program_with(&format!("{folder}/example"), &[], &addresses(shared())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_tries_a_booking_out_on_the_page_with_the_descriptions() -> Outcome {
    let stack = own(hasty()).await;
    sample_product(&Rest::of(&stack)).await;
    // Where the test program was built, whatever folder that is: target/debug/deps.
    let built = env::current_exe()?;
    let screenshot = built.ancestors().nth(3).expect("a folder above").join("docs.png");
    let screenshot = screenshot.to_str().expect("a path in UTF-8").to_owned();
    let arguments = [&*file("tests/clients/docs_page.py"), &stack.reservation().http_url(), &screenshot];
    let said = program_with("python", &arguments, &[]);
    assert!(said.success, "{said:#?}");
    assert!(said.output.contains("created: 200") && said.output.contains("listed: 200"), "{said:#?}");
    tell(&format!(
        "the page as Chromium showed it: {screenshot} ({} bytes)",
        fs::metadata(&screenshot)?.len()
    ));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_that_the_descriptions_do_not_say() -> Outcome {
    let stack = own(hasty()).await;
    sample_product(&Rest::of(&stack)).await;
    for service in [stack.reservation(), stack.catalog()] {
        let (config, url) =
            (file("tests/clients/schemathesis.toml"), format!("{}/openapi.json", service.http_url()));
        let arguments =
            ["--config-file", &config, "run", &url, "--checks", "all", "--max-examples", EXAMPLES];
        let arguments = [&arguments[..], &["--seed", "1", "--no-color", "--warnings", "off"]].concat();
        let said = program_with("schemathesis", &arguments, &[]);
        let summary = said.output.split("== SUMMARY ==").last().unwrap_or_default();
        tell(&format!("schemathesis, {}: {}", service.name(), summary.trim_matches(['=', '\n', ' '])));
        assert!(said.success, "{}", said.output.chars().take(20_000).collect::<String>());
    }
    stack.assert_sound();
    Ok(())
}
