//! The booking-svc binary: parses arguments and runs the service.

use booking_svc::config::Cli;
use service_kit::args::parse_or_exit;
use service_kit::process::{self, Process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let Cli { command, config } = parse_or_exit();
    let process = Process {
        name: "booking-svc",
        command,
        listen: config.listen.clone(),
        server: config.server.clone(),
        log: config.log.clone(),
    };
    process.run(async |shutdown| {
        let listener = process::listen(&config.listen, &config.server).await?;
        booking_svc::run(config, listener, shutdown).await
    });
}
