//! The catalog-svc binary: parses arguments and runs the service.

use catalog_svc::Listeners;
use catalog_svc::config::Cli;
use service_kit::args::parse_or_exit;
use service_kit::process::{self, Process};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let Cli { command, config } = parse_or_exit();
    let process = Process {
        name: "catalog-svc",
        command,
        listen: config.listen.clone(),
        server: config.server.clone(),
        log: config.log.clone(),
    };
    process.run(async |shutdown| {
        let listeners = Listeners {
            public: process::listen(&config.listen, &config.server).await?,
            internal: process::listen(&config.internal_listen, &config.server).await?,
        };
        catalog_svc::run(config, listeners, shutdown).await
    });
}
