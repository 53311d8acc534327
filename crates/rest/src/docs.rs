//! The page at `/docs`: Swagger UI, out of this program, with nothing fetched from elsewhere.

use anyhow::Context as _;
use axum::body::Bytes;
use http::HeaderValue;
use serde::Serialize;
use url::Url;

/// The page itself.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/swagger-ui-standalone-preset.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"#;

/// A file that came with Swagger UI.
macro_rules! swagger_ui {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name))
    };
}

const TEXT: &str = "text/plain; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files that do not change: their paths, types and contents.
const FILES: [(&str, &str, &[u8]); 10] = [
    ("/docs", "text/html; charset=utf-8", PAGE.as_bytes()),
    ("/docs/", "text/html; charset=utf-8", PAGE.as_bytes()),
    ("/docs/favicon-32x32.png", "image/png", swagger_ui!("favicon-32x32.png")),
    ("/docs/swagger-ui-bundle.js", SCRIPT, swagger_ui!("swagger-ui-bundle.js")),
    ("/docs/swagger-ui-standalone-preset.js", SCRIPT, swagger_ui!("swagger-ui-standalone-preset.js")),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8", swagger_ui!("swagger-ui.css")),
    // Whose it is: THIRD_PARTY.md. The last two are where the scripts say that they are.
    ("/docs/LICENSE", TEXT, swagger_ui!("LICENSE")),
    ("/docs/NOTICE", TEXT, swagger_ui!("NOTICE")),
    (
        "/docs/swagger-ui-bundle.js.LICENSE.txt",
        TEXT,
        include_bytes!("../third-party/swagger-ui-bundle.js.LICENSE.txt"),
    ),
    (
        "/docs/swagger-ui-standalone-preset.js.LICENSE.txt",
        TEXT,
        include_bytes!("../third-party/swagger-ui-standalone-preset.js.LICENSE.txt"),
    ),
];

/// A description of an API that the page shows.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// What it is called.
    pub name: String,
    /// Where the browser finds it.
    pub url: String,
}

/// The page, and what it needs.
#[derive(Debug)]
pub(crate) struct Docs {
    start: Option<Bytes>,
    /// What the page may load and call, and that nobody may show it within a page of their own.
    pub(crate) policy: HeaderValue,
}

impl Docs {
    /// With these documents; without any there is no page.
    pub(crate) fn new(documents: &[Document]) -> anyhow::Result<Self> {
        let start = (!documents.is_empty()).then(|| Bytes::from(start(documents)));
        let policy = HeaderValue::try_from(policy(documents)?).context("the URLs of the descriptions")?;
        Ok(Self { start, policy })
    }

    /// The type and content of a file.
    pub(crate) fn file(&self, path: &str) -> Option<(&'static str, Bytes)> {
        let start = self.start.as_ref().filter(|_| path.starts_with("/docs"))?;
        if path == "/docs/start.js" {
            return Some(("text/javascript; charset=utf-8", start.clone()));
        }
        let (_, kind, content) = FILES.into_iter().find(|(name, ..)| *name == path)?;
        Some((kind, Bytes::from_static(content)))
    }
}

/// The Content-Security-Policy of the page: nothing but its own files, and the services that it shows.
fn policy(documents: &[Document]) -> anyhow::Result<String> {
    let mut services = String::new();
    for document in documents.iter().filter(|document| !document.url.starts_with('/')) {
        let url = Url::parse(&document.url).with_context(|| format!("the URL {}", document.url))?;
        services.extend([" ", &url.origin().ascii_serialization()]);
    }
    // Swagger UI has its images in its style sheet, and styles in its elements.
    Ok(format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'{services}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ))
}

/// What starts the page.
fn start(documents: &[Document]) -> String {
    let documents = serde_json::json!(documents);
    format!(
        "window.ui = SwaggerUIBundle({{
  urls: {documents},
  dom_id: \"#swagger-ui\",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: \"StandaloneLayout\",
}});
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_the_page_names_is_there() {
        let document = Document { name: "Bookings".to_owned(), url: "/openapi.json".to_owned() };
        let docs = Docs::new(&[document]).unwrap();
        let named: Vec<_> = PAGE.split('"').filter(|text| text.starts_with("/docs/")).collect();
        assert_eq!(named.len(), 5);
        for path in named {
            assert!(docs.file(path).is_some_and(|(_, content)| !content.is_empty()), "{path}");
        }
        for (path, whose) in [
            ("/docs/LICENSE", "Apache License"),
            ("/docs/NOTICE", "SmartBear"),
            ("/docs/swagger-ui-bundle.js.LICENSE.txt", "@license React"),
            ("/docs/swagger-ui-standalone-preset.js.LICENSE.txt", "MIT"),
        ] {
            let text = docs.file(path).map(|(_, content)| String::from_utf8_lossy(&content).into_owned());
            assert!(text.is_some_and(|text| text.contains(whose)), "{path}");
        }
        assert!(docs.file("/docs/nothing").is_none() && docs.file("/").is_none());
        assert!(Docs::new(&[]).unwrap().file("/docs").is_none());
    }
    #[test]
    fn the_page_may_call_the_services_that_it_shows_and_no_other() {
        let document = |url: &str| Document { name: "A".to_owned(), url: url.to_owned() };
        let docs = Docs::new(&[document("/openapi.json"), document("http://a.example:8081/openapi.json")]);
        let policy = docs.unwrap().policy;
        let policy = policy.to_str().unwrap();
        assert!(policy.contains("connect-src 'self' http://a.example:8081; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(Docs::new(&[document("a.example")]).is_err());
    }
}
