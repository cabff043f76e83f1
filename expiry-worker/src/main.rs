//! The expiry-worker binary: parses arguments and runs the worker.

#![allow(clippy::print_stdout, reason = "`--once` prints its result")]

use expiry_worker::config::Cli;
use service_kit::args::parse_or_exit;
use service_kit::process::{self, Process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let Cli { command, config } = parse_or_exit();
    let process = Process {
        name: "expiry-worker",
        command,
        listen: config.listen.clone(),
        server: config.server.clone(),
        log: config.log.clone(),
    };
    process.run(async |shutdown| {
        if config.once {
            let failed = expiry_worker::run_once(config, shutdown).await?;
            println!("{failed} stale bookings failed");
            return Ok(());
        }
        let listener = process::listen(&config.listen, &config.server).await?;
        expiry_worker::run(config, listener, shutdown).await
    });
}
