//! `make bench`.

use std::process::ExitCode;

use bench::options::{Mode, Options};
use bench::{echo, run, scenario};
use clap::Parser as _;

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if let Some(Mode::Echo) = options.mode {
        echo::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.list {
        for scenario in scenario::ALL {
            println!("{:<10} {}", scenario.name, scenario.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if run::run(&options)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
