//! What Holdfast is made of: crates of the registry alone, under licences that are allowed, each in one version but for those that
//! are known; one toolchain everywhere.

use std::{collections::BTreeMap, env, fs};

use serde_json::Value;
use system_tests::program;

use crate::documents::{file, list, text};

/// The crates that are built here, by Cargo.lock.
fn crates() -> Vec<Value> {
    let manifest = file("Cargo.toml");
    let platform = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let arguments =
        ["metadata", "--locked", "--offline", "--format-version=1", "--filter-platform", platform.as_str()];
    let manifest = ["--manifest-path", manifest.to_str().expect("a path in UTF-8")];
    let said = program(env!("CARGO"), &[arguments.as_slice(), manifest.as_slice()].concat());
    assert!(said.success, "{said:?}");
    let metadata: Value = serde_json::from_str(&said.output).expect("JSON");
    let built: Vec<&Value> = list(&metadata["resolve"]["nodes"]).iter().map(|node| &node["id"]).collect();
    list(&metadata["packages"]).iter().filter(|package| built.contains(&&package["id"])).cloned().collect()
}

/// The values of a list in deny.toml: in quotes, the first of each line.
fn denied(name: &str) -> Vec<String> {
    let settings = fs::read_to_string(file("deny.toml")).expect("it is there");
    let (_, rest) = settings.split_once(&format!("\n{name} = [")).unwrap_or_else(|| panic!("no {name}"));
    let (values, _) = rest.split_once("\n]").expect("it ends");
    let lines = values.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.filter_map(|line| Some(line.split('"').nth(1)?.to_owned())).collect()
}

/// Whether an SPDX expression can be kept with these licences: of alternatives one, of several together all.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    // Without parentheses, AND between two lists of alternatives binds as it is meant in every expression here.
    flat.split(" AND ")
        .all(|part| part.split(" OR ").any(|licence| allowed.iter().any(|known| known == licence.trim())))
}

#[test]
fn every_crate_is_from_the_registry_and_under_a_licence_that_is_allowed() {
    let (crates, allowed, banned) = (crates(), denied("allow"), denied("deny"));
    assert!(crates.len() > 200 && allowed.len() > 5 && banned.len() > 2, "{allowed:?} {banned:?}");
    for package in &crates {
        let name = text(&package["name"]);
        assert!(!banned.iter().any(|banned| banned == name), "{name} is banned");
        let of_workspace = package["source"].is_null() && text(&package["id"]).starts_with("path+file://");
        let of_registry = package["source"] == "registry+https://github.com/rust-lang/crates.io-index";
        assert!(of_workspace || of_registry, "{name} is from {}", package["source"]);
        let licence = text(&package["license"]);
        assert!(is_allowed(licence, &allowed), "{name}: {licence}");
    }
}

#[test]
fn a_licence_is_allowed_as_its_expression_says() {
    let allowed = ["MIT", "ISC"].map(str::to_owned);
    for (expression, holds) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0-only", false),
        ("(MIT OR Apache-2.0) AND ISC", true),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), holds, "{expression}");
    }
}

#[test]
fn no_crate_comes_in_two_versions_but_those_that_are_known() {
    let mut versions: BTreeMap<String, u32> = BTreeMap::new();
    for package in crates() {
        *versions.entry(text(&package["name"]).to_owned()).or_default() += 1;
    }
    let twice: Vec<_> = versions.iter().filter(|(_, count)| **count > 1).map(|(name, _)| name).collect();
    let known = denied("skip");
    let new: Vec<_> = twice.iter().filter(|name| !known.contains(name)).collect();
    assert!(new.is_empty(), "in two versions: {new:?}; deny.toml knows {known:?}");
}

/// The image is built with the toolchain that `scripts/install.sh` names, and asks for no other than the crates do.
#[test]
fn the_toolchain_is_the_same_everywhere() {
    let read = |name: &str| fs::read_to_string(file(name)).expect("it is there");
    let script = read("scripts/install.sh");
    let pinned = script.lines().find_map(|line| line.strip_prefix("TOOLCHAIN=")).expect("it names one");
    let image = read("deploy/Dockerfile");
    assert!(image.contains(&format!("\nFROM rust:{pinned}-slim-")), "the image has another than {pinned}");
    let manifest = read("Cargo.toml");
    let least = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("it has one");
    let number = |version: &str| -> Vec<u32> {
        version.trim_matches('"').split('.').map(|part| part.parse().expect("a number")).collect()
    };
    assert!(number(pinned) >= number(least), "{pinned} is older than {least}");
}

/// The programs in the image carry the list of what they are made of, for scanners.
#[test]
fn the_image_is_built_auditable() {
    let image = fs::read_to_string(file("deploy/Dockerfile")).expect("it is there");
    assert!(image.contains("cargo install --locked cargo-chef@") && image.contains(" cargo-auditable@"));
    assert!(image.contains("cargo auditable build --release --locked"));
}
