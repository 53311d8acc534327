//! The list of steps in the code, the one in the docs, and the places in the sources: all three are the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod awaits;
mod sources;
mod statements;

use std::{collections::HashSet, fs};

use failpoint::{Program, Step};

use crate::sources::{root, sources};

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
        let code = folders.iter().flat_map(|folder| sources(folder));
        let uses = code.map(|source| {
            let mentions = source.code.split("Step::").skip(1);
            mentions.filter(|rest| rest.split(|c: char| !c.is_alphanumeric()).next() == Some(&*name)).count()
        });
        assert_eq!(uses.sum::<usize>(), 1, "{name} should stand in {folders:?} once");
    }
}
