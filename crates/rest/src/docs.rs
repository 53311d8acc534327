//! The page at `/docs`: Swagger UI, out of this program, with nothing fetched from elsewhere.

use axum::body::Bytes;
use serde::Serialize;

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

/// The files that do not change: their paths, types and contents.
const FILES: [(&str, &str, &[u8]); 7] = [
    ("/docs", "text/html; charset=utf-8", PAGE.as_bytes()),
    ("/docs/", "text/html; charset=utf-8", PAGE.as_bytes()),
    ("/docs/favicon-32x32.png", "image/png", include_bytes!(concat!(env!("OUT_DIR"), "/favicon-32x32.png"))),
    (
        "/docs/swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js")),
    ),
    (
        "/docs/swagger-ui-standalone-preset.js",
        "text/javascript; charset=utf-8",
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-standalone-preset.js")),
    ),
    (
        "/docs/swagger-ui.css",
        "text/css; charset=utf-8",
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css")),
    ),
    // Of Swagger UI, which is Apache-2.0 as well.
    ("/docs/LICENSE", "text/plain; charset=utf-8", include_bytes!(concat!(env!("OUT_DIR"), "/LICENSE"))),
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
}

impl Docs {
    /// With these documents; without any there is no page.
    pub(crate) fn new(documents: &[Document]) -> Self {
        let start = (!documents.is_empty()).then(|| Bytes::from(start(documents)));
        Self { start }
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
        let docs = Docs::new(&[document]);
        let named: Vec<_> = PAGE.split('"').filter(|text| text.starts_with("/docs/")).collect();
        assert_eq!(named.len(), 5);
        for path in named {
            assert!(docs.file(path).is_some_and(|(_, content)| !content.is_empty()), "{path}");
        }
        assert!(docs.file("/docs/nothing").is_none() && docs.file("/").is_none());
        assert!(Docs::new(&[]).file("/docs").is_none());
    }
}
