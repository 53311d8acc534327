//! The list of steps in the code, the one in the docs, and the places in the sources: all three are the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use failpoint::{Program, Step};

/// Whose units of work write bookings and holds. Products and seat maps are written by their RPCs, a statement each.
const WRITERS: [&str; 2] = ["services/catalog/src", "services/reservation/src"];
/// Where no units of work are: the statements themselves, and who calls for the units.
const NO_UNITS: [&str; 4] = ["store", "rpc", "domain", "convert"];
/// How the names of store functions that write begin.
const WRITES: [&str; 8] =
    ["insert", "update", "take", "settle", "review_later", "split", "park", "give_back"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All Rust sources below a folder, with their paths.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

#[test]
fn names_are_unique_and_made_of_words_and_dots() {
    let names: HashSet<_> = Step::ALL.iter().map(|step| step.name()).collect();
    assert_eq!(names.len(), Step::ALL.len());
    for name in names {
        assert!(name.contains('.'), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c)), "{name}");
    }
}

#[test]
fn the_docs_have_the_same_steps_in_the_same_order_under_the_same_programs() {
    let mut documented: Vec<(String, String)> = Vec::new();
    let mut heading = String::new();
    for line in fs::read_to_string(root().join("docs/failpoints.md")).unwrap().lines() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text.to_lowercase();
        } else if let Some(row) = line.strip_prefix("| `") {
            let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 4, "{row}");
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
            documented.push((cells[0].trim_end_matches('`').to_owned(), heading.clone()));
        }
    }
    let programs = |step: &Step| step.programs().iter().map(Program::to_string).collect::<Vec<_>>();
    let listed = Step::ALL.iter().map(|step| (step.name().to_owned(), programs(step).join(" and ")));
    let listed: Vec<_> = listed.collect();
    assert_eq!(documented, listed, "docs/failpoints.md and crates/failpoint/src/step.rs differ");
}

#[test]
fn every_step_is_passed_in_the_sources_of_its_program() {
    for step in Step::ALL {
        let folders: Vec<String> = match step.programs() {
            [program] => vec![format!("services/{program}/src")],
            // What several programs pass is in a crate that they share.
            _ => vec!["crates/amqp/src".to_owned(), "crates/postgres/src".to_owned()],
        };
        let name = format!("{step:?}");
        let code = folders.iter().flat_map(|folder| sources(&root().join(folder)));
        let uses = code.map(|(_, code)| {
            let mentions = code.split("Step::").skip(1);
            mentions.filter(|rest| rest.split(|c: char| !c.is_alphanumeric()).next() == Some(&*name)).count()
        });
        assert_eq!(uses.sum::<usize>(), 1, "{name} should stand in {folders:?} once");
    }
}

/// A statement that is added to a unit of work is a step, and needs a failpoint behind it.
#[test]
fn every_statement_that_writes_is_followed_by_a_failpoint() {
    let mut writes = 0;
    for folder in WRITERS.map(|folder| root().join(folder)) {
        let in_units = |path: &Path| {
            let place = path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
            !NO_UNITS.iter().any(|part| place.starts_with(part))
        };
        for (path, text) in sources(&folder).into_iter().filter(|(path, _)| in_units(path)) {
            let code = text.split("#[cfg(test)]").next().unwrap();
            for (i, _) in code.match_indices("(conn") {
                let words = |c: char| !c.is_alphanumeric() && !"_:".contains(c);
                let function = code[..i].rsplit(words).next().unwrap();
                let Some((_, verb)) = function.rsplit_once("::") else { continue };
                if !WRITES.iter().any(|write| verb.starts_with(write)) {
                    continue;
                }
                writes += 1;
                let end = i + code[i..].find(';').unwrap() + 1;
                // Until the next statement on the connection.
                let next = code[end..].find("(conn").map_or(code.len(), |next| end + next);
                let path = path.display();
                assert!(code[end..next].contains("reach("), "{path}: no failpoint after {function}");
            }
        }
    }
    assert!(writes >= 18, "only {writes} statements were recognised");
}
