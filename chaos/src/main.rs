//! `make chaos`.

use std::process::ExitCode;

use chaos::options::Options;
use chaos::run::run;
use clap::Parser as _;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let stop = CancellationToken::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    let report = run(&options, stop).await?;
    println!("\n{report}");
    if report.is_sound() {
        return Ok(ExitCode::SUCCESS);
    }
    let cluster = if options.cluster { " CLUSTER=1" } else { "" };
    println!("again: make chaos SEED={} DURATION={}s{cluster}", report.seed, options.duration.as_secs());
    Ok(ExitCode::FAILURE)
}
