//! The image: built in stages, of what the build needs and no more, without a shell, as nobody in particular.

use std::fs;

use crate::documents::{file, read_yaml};

/// The instructions of the Dockerfile, whole: continued lines are joined, comments are gone.
fn instructions() -> Vec<(String, String)> {
    let dockerfile = fs::read_to_string(file("deploy/Dockerfile")).expect("it is there");
    let lines: Vec<_> = dockerfile.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let whole = lines.join("\n").replace("\\\n", " ");
    let instructions = whole.lines().filter_map(|line| line.trim().split_once(' '));
    instructions.map(|(name, rest)| (name.to_owned(), rest.trim().to_owned())).collect()
}

fn all<'a>(instructions: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    instructions.iter().filter(|(known, _)| known == name).map(|(_, rest)| rest.as_str()).collect()
}

#[test]
fn every_stage_starts_from_a_tagged_image_or_from_an_earlier_stage() {
    let instructions = instructions();
    let mut stages = Vec::new();
    for from in all(&instructions, "FROM") {
        let (image, stage) = from.split_once(" AS ").unwrap_or((from, ""));
        let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
        assert!(stages.contains(&image) || tag.is_some_and(|tag| tag != "latest"), "{from}");
        stages.push(stage);
    }
    for copy in all(&instructions, "COPY") {
        if let Some(from) = copy.strip_prefix("--from=") {
            assert!(stages.contains(&from.split(' ').next().unwrap_or_default()), "{copy}");
        }
    }
}

#[test]
fn whatever_is_copied_from_the_repository_is_there_and_not_ignored() {
    let ignored = fs::read_to_string(file(".dockerignore")).expect("it is there");
    let instructions = instructions();
    let mut sources = 0;
    for copy in all(&instructions, "COPY").into_iter().filter(|copy| !copy.starts_with("--from=")) {
        let words: Vec<_> = copy.split_whitespace().collect();
        for source in words.split_last().expect("a target").1 {
            assert!(file(source).exists(), "{copy}");
            assert!(!ignored.lines().any(|line| line.trim_matches('/') == *source), "{copy}");
            sources += 1;
        }
    }
    assert!(sources > 0);
}

/// What the programs are made of at build time must not be hidden from the build.
#[test]
fn the_build_sees_what_the_programs_include() {
    let ignored = fs::read_to_string(file(".dockerignore")).expect("it is there");
    for needed in [".commit", "proto", "migrations", "services", "crates", "Cargo.lock"] {
        assert!(!ignored.lines().any(|line| line.trim_matches('/') == needed), "{needed}");
    }
    for hidden in ["target", ".git", ".tools", ".holdfast", "**/.env"] {
        assert!(ignored.lines().any(|line| line.trim_matches('/') == hidden), "{hidden}");
    }
}

/// Whose work it is and what it is made of goes with it.
#[test]
fn the_image_carries_its_licences_and_its_list_of_crates() {
    let instructions = instructions();
    let copies = all(&instructions, "COPY").join("\n");
    for carried in ["LICENSE", "THIRD_PARTY.md", "Cargo.lock"] {
        let last = copies.lines().find(|copy| copy.ends_with("/usr/share/doc/holdfast/"));
        assert!(last.is_some_and(|copy| copy.split(' ').any(|word| word == carried)), "{carried}");
    }
}

#[test]
fn the_last_stage_has_no_shell_no_root_and_says_what_it_is() {
    let instructions = instructions();
    let last = instructions.iter().rposition(|(name, _)| name == "FROM").expect("there is one");
    let stage = &instructions[last..];
    assert!(stage[0].1.contains("distroless"), "{:?}", stage[0]);
    assert!(all(stage, "RUN").is_empty(), "nothing can run there");
    let user = all(stage, "USER");
    assert!(user.len() == 1 && !user[0].starts_with('0') && !user[0].starts_with("root"), "{user:?}");
    let labels = all(stage, "LABEL").join(" ");
    for label in ["title", "description", "licenses", "version", "revision"] {
        assert!(labels.contains(&format!("org.opencontainers.image.{label}=")), "{label}");
    }
}

/// The image and the manifests agree on the user, and the variables that are set are the programs' own.
#[test]
fn the_image_fits_the_manifests_and_the_programs() {
    let instructions = instructions();
    let user = all(&instructions, "USER")[0].split(':').next().expect("a user").to_owned();
    for workload in crate::documents::Documents::of("production").workloads() {
        assert_eq!(workload.pod()["securityContext"]["runAsUser"].to_string(), user);
    }
    let last = instructions.iter().rposition(|(name, _)| name == "FROM").expect("there is one");
    for variable in all(&instructions[last..], "ENV").iter().flat_map(|env| env.split_whitespace()) {
        let name = variable.split('=').next().unwrap_or_default();
        let known =
            |program: &&str| crate::programs::help(program).is_some_and(|help| help.has_variable(name));
        assert!(["catalog", "reservation", "expirer"].iter().any(known), "{name}");
    }
    // YAML lists are JSON lists: so is CMD.
    let command = read_yaml(all(&instructions, "CMD")[0]);
    assert_eq!(command, [serde_json::json!(["catalog"])]);
}
