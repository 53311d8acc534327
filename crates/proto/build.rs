//! Generates the Rust code and the descriptor set from `proto/`, without protoc.

use std::{env, error::Error, fs, path::PathBuf};

/// Every file of the API, relative to `proto/`.
const FILES: [&str; 16] = [
    "holdfast/api/v1/rule.proto",
    "holdfast/audit/v1/audit.proto",
    "holdfast/catalog/v1/audit_service.proto",
    "holdfast/catalog/v1/catalog_service.proto",
    "holdfast/catalog/v1/error_reason.proto",
    "holdfast/catalog/v1/hold_service.proto",
    "holdfast/catalog/v1/item.proto",
    "holdfast/catalog/v1/money.proto",
    "holdfast/catalog/v1/product.proto",
    "holdfast/catalog/v1/seat_map.proto",
    "holdfast/events/v1/events.proto",
    "holdfast/reservation/v1/audit_service.proto",
    "holdfast/reservation/v1/booking.proto",
    "holdfast/reservation/v1/booking_service.proto",
    "holdfast/reservation/v1/error_reason.proto",
    "holdfast/reservation/v1/settlement_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let set = protox::compile(FILES, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // With source info: reflection serves the comments, and `grpcurl describe` shows them.
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .codec_path("crate::codec::Codec")
        .build_transport(true)
        .compile_fds(set)?;
    Ok(())
}
