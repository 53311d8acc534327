//! What the programs know of: options by their environment variables, and subcommands.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use stack::binary;
use system_tests::program;

/// What `--help` of a program shows.
#[derive(Clone, Debug)]
pub(crate) struct Help {
    text: String,
}

static HELP: LazyLock<Mutex<BTreeMap<String, Help>>> = LazyLock::new(Mutex::default);

/// What a program that was built beside this test shows; nothing if there is no such program.
pub(crate) fn help(name: &str) -> Option<Help> {
    let mut known = HELP.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(help) = known.get(name) {
        return Some(help.clone());
    }
    let path = binary(name).ok()?;
    let said = program(path.to_str().expect("a path in UTF-8"), &["--help"]);
    assert!(said.success, "{said:?}");
    let help = Help { text: said.output };
    known.insert(name.to_owned(), help.clone());
    Some(help)
}

impl Help {
    /// Whether an option is read from this variable.
    pub(crate) fn has_variable(&self, name: &str) -> bool {
        self.text.contains(&format!("[env: {name}=")) || self.text.contains(&format!("[env: {name}]"))
    }

    /// Whether the variable's value is never shown: it may hold a password.
    pub(crate) fn hides(&self, name: &str) -> bool {
        self.text.contains(&format!("[env: {name}]"))
    }

    /// Whether there is such a subcommand.
    pub(crate) fn has_command(&self, name: &str) -> bool {
        self.text.lines().any(|line| {
            line.strip_prefix("  ")
                .is_some_and(|line| !line.starts_with(' ') && line.split_whitespace().next() == Some(name))
        })
    }
}

#[test]
fn the_help_of_a_program_names_its_variables_and_commands() {
    let help = help("reservation").expect("it is built");
    assert!(help.has_variable("HOLDFAST_LISTEN") && !help.hides("HOLDFAST_LISTEN"));
    assert!(help.has_variable("HOLDFAST_DATABASE_URL") && help.hides("HOLDFAST_DATABASE_URL"));
    assert!(help.has_command("migrate") && help.has_command("retry-parked"));
    assert!(!help.has_variable("HOLDFAST_LIST") && !help.has_command("Bring"));
}
