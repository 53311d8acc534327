//! The sources as text: enough of Rust to find calls and the functions that they stand in.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file without its comments and its unit tests.
pub(crate) struct Source {
    /// Its path in the folder that was asked for.
    pub(crate) path: String,
    /// What it says.
    pub(crate) code: String,
}

/// All Rust sources below a folder of the repository.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let (mut found, folder) = (Vec::new(), root().join(folder));
    collect(&folder, &folder, &mut found);
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.split("#[cfg(test)]").next().unwrap().lines();
            let code = lines.filter(|line| !line.trim_start().starts_with("//"));
            found.push(Source {
                path: path.strip_prefix(root).unwrap().to_string_lossy().into_owned(),
                code: code.collect::<Vec<_>>().join("\n"),
            });
        }
    }
}

impl Source {
    /// Its functions, each with all that stands before the next one.
    pub(crate) fn functions(&self) -> Vec<(&str, &str)> {
        let begins = |(at, _): &(usize, &str)| self.code[..*at].ends_with([' ', '\n', '(']) || *at == 0;
        let starts: Vec<usize> =
            self.code.match_indices("fn ").filter(begins).map(|(at, _)| at + 3).collect();
        let ends = starts.iter().skip(1).map(|next| next - 3).chain([self.code.len()]);
        starts
            .iter()
            .zip(ends)
            .map(|(start, end)| (word_at(&self.code[*start..]), &self.code[*start..end]))
            .collect()
    }
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word_at(code: &str) -> &str {
    code.split(|c| !is_of_a_word(c)).next().unwrap()
}

/// The word that some code ends with; empty if it ends otherwise.
pub(crate) fn last_word(code: &str) -> &str {
    code.rsplit(|c| !is_of_a_word(c)).next().unwrap()
}

/// What stands before the parentheses with which some code ends.
pub(crate) fn before_arguments(code: &str) -> &str {
    let mut depth = 0;
    for (at, c) in code.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &code[..at];
        }
    }
    panic!("parentheses that do not match: {code}")
}
