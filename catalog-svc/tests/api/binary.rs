//! The binary's command line.

use std::net::TcpListener;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-svc"));
    for (name, _) in std::env::vars_os() {
        if name == "DATABASE_URL" || name.to_string_lossy().starts_with("TICKETING_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).output().expect("the binary runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_describes_the_service_and_every_flag() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "shows, their seat layouts and prices",
        "health",
        "--listen",
        "TICKETING_LISTEN",
        "--database-url",
        "--watch-streams-max",
        "--log",
    ] {
        assert!(help.contains(part), "{part:?} is not in:\n{help}");
    }
}

#[test]
fn a_bad_value_is_one_line_and_exit_code_2() {
    let url = "postgres://x@localhost/y";
    for arguments in [
        &["--database-url", "nonsense"][..],
        &["--database-url", url, "--listen", "here"],
        &["--database-url", url, "--watch-streams-max", "0"],
        &["--database-url", url, "--nonsense"],
        &[],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(&[
        "--database-url",
        "postgres://x@localhost/y",
        "--listen",
        &address,
    ]);
    assert_eq!(output.status.code(), Some(1));
    let line = stderr(&output);
    assert!(line.contains(&address), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
}

#[test]
fn health_of_an_instance_that_is_not_there_is_exit_code_1() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    let output = run(&["health", "--address", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
}
