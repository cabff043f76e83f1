//! Compiles the contract: message and service types, and the descriptor sets that gRPC
//! reflection serves. protox is a protobuf compiler in Rust, so nobody needs protoc.

use std::path::PathBuf;

/// The contract, relative to this crate.
const CONTRACT: [&str; 12] = [
    "ticketing/auth/v1/access.proto",
    "ticketing/booking/v1/booking.proto",
    "ticketing/booking/v1/customer.proto",
    "ticketing/catalog/internal/v1/feed.proto",
    "ticketing/catalog/v1/catalog.proto",
    "ticketing/catalog/v1/price.proto",
    "ticketing/catalog/v1/seat_layout.proto",
    "ticketing/catalog/v1/show.proto",
    "ticketing/errors/v1/errors.proto",
    "ticketing/expiry/v1/expiry.proto",
    "ticketing/money/v1/money.proto",
    "ticketing/payment/v1/payment.proto",
];

/// What clients need beside it to decode error details; its Rust types are tonic-types'.
const VENDORED: [&str; 2] = [
    "third_party/google/rpc/error_details.proto",
    "third_party/google/rpc/status.proto",
];

/// protox takes the first that a path is under.
const INCLUDES: [&str; 2] = ["third_party", "."];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=ticketing");
    println!("cargo:rerun-if-changed=third_party");

    let contract = protox::compile(CONTRACT, INCLUDES)?;
    tonic_prost_build::configure().compile_fds(contract)?;

    let mut everything = protox::Compiler::new(INCLUDES)?;
    everything
        .include_imports(true)
        .open_files(CONTRACT.iter().chain(&VENDORED))?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    // prost's own descriptors would lose the options that are ours.
    let everything = everything.encode_file_descriptor_set();
    std::fs::write(out.join("ticketing.binpb"), everything)?;
    Ok(())
}
