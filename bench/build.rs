//! Generates the echo service from `proto/`, without protoc.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let set = protox::compile(["echo.proto"], ["proto"])?;
    tonic_prost_build::configure().build_transport(true).compile_fds(set)?;
    Ok(())
}
