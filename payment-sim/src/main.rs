//! The payment-sim binary: parses arguments and runs the provider.

use payment_sim::config::{Cli, Command, Config};
use service_kit::args::{exit_with, parse_or_exit};
use service_kit::{Shutdown, health, runtime, telemetry};
use tokio::net::TcpListener;

fn main() {
    let cli: Cli = parse_or_exit();
    let running = runtime::run(cli.config.server.threads, run(cli));
    let result = running.unwrap_or_else(|error| Err(error.to_string()));
    if let Err(error) = result {
        exit_with(1, &format!("payment-sim: {error}"));
    }
}

async fn run(cli: Cli) -> Result<(), String> {
    match cli.command {
        Some(Command::Health(args)) => {
            let address = args.address(cli.config.listen);
            health::ask(address, &args.service, args.timeout).await
        }
        None => serve(cli.config).await,
    }
}

async fn serve(config: Config) -> Result<(), String> {
    telemetry::init(&config.log).map_err(|error| error.to_string())?;
    let shutdown =
        Shutdown::on_signals(config.server.shutdown_grace).map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    payment_sim::run(config, listener, shutdown)
        .await
        .map_err(|error| format!("{error:#}"))
}
