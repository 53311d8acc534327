//! Baseline N: what most shops do, one transaction for each hold: `BEGIN; SELECT ... FOR UPDATE; UPDATE; INSERT; COMMIT`,
//! by pgbench with prepared statements, on the very server that Holdfast uses, in a database of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stack::{Postgres, postgres_program};

use crate::load::Tally;

/// The database.
const DATABASE: &str = "baseline";

/// The tables: as lean as they can be, with room on the page for updates that write no index entry.
const TABLES: &str = "create table products (
    product_id int primary key,
    on_hand bigint not null,
    held bigint not null default 0 check (held >= 0),
    check (held <= on_hand)
) with (fillfactor = 50);
create table bookings (
    booking_id bigint generated always as identity primary key,
    product_id int not null,
    customer_id int not null,
    state text not null default 'HELD',
    quantity int not null,
    expires_at timestamptz not null
);";

/// One hold.
const SCRIPT: &str = "\\set product random(1, :products)
\\set customer random(1, 10000)
begin;
select on_hand - held from products where product_id = :product for update;
update products set held = held + 1 where product_id = :product;
insert into bookings (product_id, customer_id, quantity, expires_at)
    values (:product, :customer, 1, now() + interval '1 minute');
commit;
";

/// Raw SQL on the server of a stack.
#[derive(Debug)]
pub struct Naive<'a> {
    postgres: &'a Postgres,
    program: PathBuf,
    folder: PathBuf,
    products: usize,
}

/// What it came to.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Holds each second.
    pub rate: f64,
    /// With one client: half of the transactions took no longer than this, in milliseconds.
    pub p50_ms: f64,
}

impl<'a> Naive<'a> {
    /// Prepares for so many products.
    ///
    /// # Errors
    /// PostgreSQL refuses, or has no pgbench.
    pub fn prepare(postgres: &'a Postgres, folder: PathBuf, products: usize) -> Result<Self> {
        postgres.create_database(DATABASE)?;
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("hold.sql"), SCRIPT).context("write pgbench's script")?;
        Ok(Self { postgres, program: postgres_program("pgbench")?, folder, products })
    }

    /// Makes the tables anew. A row that many wait for is not cleaned up as long as they do, so it gets slower and slower: each
    /// measurement begins with a table without dead rows.
    fn refresh(&self) -> Result<()> {
        let fill = format!(
            "insert into products (product_id, on_hand) select n, 1000000000 from generate_series(1, {}) n",
            self.products
        );
        self.postgres.query(DATABASE, "drop table if exists products, bookings")?;
        self.postgres.query(DATABASE, TABLES)?;
        self.postgres.query(DATABASE, &fill)?;
        self.postgres.query(DATABASE, "vacuum analyze products").map(drop)
    }

    /// Runs so many clients for so long.
    ///
    /// # Errors
    /// pgbench failed, or a transaction did.
    pub fn run(&self, clients: usize, time: Duration) -> Result<Measured> {
        self.refresh()?;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(clients);
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder);
        command.args(["--no-vacuum", "--protocol=prepared", "--file=hold.sql"]);
        if clients == 1 {
            command.arg("--log");
        }
        command.arg(format!("--client={clients}")).arg(format!("--jobs={threads}"));
        command.arg(format!("--time={}", time.as_secs().max(1)));
        command.arg(format!("--define=products={}", self.products)).arg(self.postgres.url(DATABASE));
        let output = command.output().context("run pgbench")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && !errors.contains("aborted"), "pgbench failed:\n{text}{errors}");
        let rate = number_after(&text, "tps = ").context("pgbench told no rate")?;
        let failed = number_after(&text, "number of failed transactions: ").unwrap_or_default();
        ensure!(failed == 0.0, "transactions of pgbench failed:\n{text}");
        Ok(Measured { rate, p50_ms: self.take_logs()?.at(0.5) })
    }

    /// The latencies that pgbench has written down; its files are removed.
    fn take_logs(&self) -> Result<Tally> {
        let mut latencies = Tally::default();
        for file in fs::read_dir(&self.folder)? {
            let path = file?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pgbench_log")) {
                // client, transaction, time in µs, ...
                let text = fs::read_to_string(&path)?;
                let times = text.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
                times.for_each(|micros| latencies.record(Duration::from_micros(micros)));
                fs::remove_file(&path)?;
            }
        }
        Ok(latencies)
    }
}

/// The number that follows these words.
fn number_after(text: &str, words: &str) -> Option<f64> {
    let (_, rest) = text.split_once(words)?;
    rest.split([' ', '\n']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_the_words_before_them() {
        let text =
            "number of failed transactions: 0 (0.000%)\ntps = 962.61 (without initial connection time)\n";
        assert_eq!(number_after(text, "tps = "), Some(962.61));
        assert_eq!(number_after(text, "number of failed transactions: "), Some(0.0));
        assert_eq!(number_after(text, "latency = "), None);
    }
}
