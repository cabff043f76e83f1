//! The payment-sim binary: parses arguments and runs the provider.

use payment_sim::config::Cli;
use service_kit::args::parse_or_exit;
use service_kit::process::{self, Process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let Cli { command, config } = parse_or_exit();
    let process = Process {
        name: "payment-sim",
        command,
        listen: config.listen.clone(),
        server: config.server.clone(),
        log: config.log.clone(),
    };
    process.run(async |shutdown| {
        let listener = process::listen(&config.listen, &config.server).await?;
        payment_sim::run(config, listener, shutdown).await
    });
}
