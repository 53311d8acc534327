//! Takes the files of Swagger UI that are served out of their archive.

use std::{
    env,
    error::Error,
    fs,
    io::{Cursor, Read as _},
    path::PathBuf,
};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

/// What the page needs, and the license and notice that it comes with.
const FILES: [&str; 6] = [
    "dist/favicon-32x32.png",
    "dist/swagger-ui-bundle.js",
    "dist/swagger-ui-standalone-preset.js",
    "dist/swagger-ui.css",
    "LICENSE",
    "NOTICE",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut archive = zip::ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let first = archive.file_names().next().ok_or("the archive is empty")??.into_owned();
    let folder = first.split('/').next().unwrap_or_default();
    for file in FILES {
        let mut content = Vec::new();
        archive.by_name(&format!("{folder}/{file}"))?.read_to_end(&mut content)?;
        fs::write(out.join(file.trim_start_matches("dist/")), content)?;
    }
    Ok(())
}
