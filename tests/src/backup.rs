//! Backups of a stack's databases, their restores, and the repair, as the operating guide has them (docs/operating.md).

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use stack::{Schema, Stack};
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// One database as it was.
#[derive(Clone, Debug)]
pub struct Backup {
    schema: Schema,
    file: PathBuf,
}

impl Backup {
    /// Takes one with `pg_dump`, while everything goes on.
    #[must_use]
    pub fn take(stack: &Stack, schema: Schema) -> Self {
        let file = stack.home().dir().join(format!("{}-{}.dump", schema.name(), Uuid::new_v4()));
        let arguments = ["--format=custom", "--dbname", &stack.database_url(schema), "--file"];
        run("pg_dump", &arguments, &file);
        Self { schema, file }
    }

    /// Puts it in the place of the database. Nothing that uses the database may run.
    pub fn restore(&self, stack: &Stack) {
        let name = self.schema.name();
        let empty = || {
            stack.postgres().query("postgres", &format!("drop database \"{name}\""))?;
            stack.postgres().prepare(self.schema)
        };
        empty().expect("the database can be replaced");
        let url = stack.database_url(self.schema);
        run("pg_restore", &["--exit-on-error", "--single-transaction", "--dbname", &url], &self.file);
    }
}

fn run(program: &str, arguments: &[&str], file: &PathBuf) {
    let path = stack::postgres_program(program).expect("PostgreSQL is installed");
    let output = Command::new(path).args(arguments).arg(file).stdin(Stdio::null()).output();
    let output = output.expect("the program runs");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What the repair said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Its exit status: 0 all is repaired, 1 some bookings cannot be helped, 2 it could not finish.
    pub status: Option<i32>,
    /// What it printed: a line for each booking that it cannot help, and a summary.
    pub lines: Vec<String>,
}

/// Runs `reservation repair` on a stack and waits for its end.
pub async fn repair(stack: &Stack) -> Repaired {
    let mut command = Command::new(stack::binary("reservation").expect("the program was built"));
    command
        .arg("repair")
        .env("HOLDFAST_DATABASE_URL", stack.database_url(Schema::Reservation))
        .env("HOLDFAST_CATALOG_URL", stack.catalog_url())
        // Its own lines alone are looked at.
        .env("HOLDFAST_LOG", "off")
        .stdin(Stdio::null());
    let output = spawn_blocking(move || command.output()).await.expect("nothing panics");
    let output = output.expect("the program runs");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Repaired { status: output.status.code(), lines: said.lines().map(str::to_owned).collect() }
}

impl Repaired {
    /// Whether a line begins so and names this, after whatever.
    #[must_use]
    pub fn names(&self, booking_id: &str, why: &str) -> bool {
        let begin = format!("booking {booking_id} is ");
        self.lines.iter().any(|line| line.starts_with(&begin) && line.contains(why))
    }

    /// The last line.
    #[must_use]
    pub fn summary(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }
}
