//! What was built: which program, of which version, from which commit.

use std::fmt::{self, Display, Formatter};

/// Stands in `.commit` until `git archive` writes the commit over it.
const NOT_ARCHIVED: char = '$';

/// A program, as it was built. Made by [`build!`](crate::build!).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// Its name, which is the service's.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The commit that it was built from, as far as that is known.
    pub commit: &'static str,
}

impl Build {
    /// `given` is what the build was told; `archived` what `.commit` says.
    #[must_use]
    pub const fn new(
        program: &'static str,
        version: &'static str,
        given: Option<&'static str>,
        archived: &'static str,
    ) -> Self {
        let commit = match given {
            Some(given) if !given.is_empty() => given,
            _ => archived.trim_ascii(),
        };
        let is_known = !commit.is_empty() && commit.as_bytes()[0] != NOT_ARCHIVED as u8;
        Self { program, version, commit: if is_known { commit } else { "unknown" } }
    }
}

impl Display for Build {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (commit {})", self.program, self.version, self.commit)
    }
}

/// The [`Build`] of the program of this name, for its `main.rs`. The commit is what `HOLDFAST_COMMIT` was in the environment of the
/// build; without it what `git archive` wrote into `.commit`; or unknown. No git is needed.
#[macro_export]
macro_rules! build {
    ($program:literal) => {
        $crate::Build::new(
            $program,
            env!("CARGO_PKG_VERSION"),
            option_env!("HOLDFAST_COMMIT"),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.commit")),
        )
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(given: Option<&'static str>, archived: &'static str) -> &'static str {
        Build::new("test", "1.2.3", given, archived).commit
    }

    #[test]
    fn the_commit_is_what_the_build_was_told_or_what_the_archive_says_or_unknown() {
        assert_eq!(commit(Some("abc"), "def\n"), "abc");
        assert_eq!(commit(None, "def\n"), "def");
        assert_eq!(commit(Some(""), "def\n"), "def");
        assert_eq!(commit(None, "$Format:%H$\n"), "unknown");
        assert_eq!(commit(None, ""), "unknown");
        assert_eq!(Build::new("test", "1.2.3", Some("abc"), "").to_string(), "test 1.2.3 (commit abc)");
    }
}
