//! Parses the command line, and describes its errors.
//!
//! Invariant: no value is repeated, neither in an error nor in a help text. A URL with a password may
//! end up in the wrong flag, or outside of any.

use std::error::Error as _;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error, Parser};

/// Parses the command line. A bad value ends the process with exit code 2 and one line on
/// standard error; `--help` and `--version` with exit code 0.
pub fn parse_or_exit<P: Parser>() -> P {
    match parse(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
            _ => exit_with(2, &in_one_line(&error)),
        },
    }
}

/// Ends the process with one line on standard error.
pub fn exit_with(code: i32, line: &str) -> ! {
    use std::io::Write as _;
    // Nothing can be done about a standard error that is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
    std::process::exit(code)
}

/// Refuses a URL: for a flag that would accept any text, and would quote it in a later error.
///
/// # Errors
///
/// A text that says what the value must be.
pub fn no_url(text: &str) -> Result<String, &'static str> {
    if text.contains("://") {
        Err("must not be a URL")
    } else {
        Ok(text.to_owned())
    }
}

/// The path of a file.
///
/// # Errors
///
/// A text that says what the value must be.
pub fn file(text: &str) -> Result<PathBuf, &'static str> {
    no_url(text)
        .map(PathBuf::from)
        .map_err(|_| "must be a file, not a URL")
}

fn parse<P: Parser>(line: impl IntoIterator<Item = OsString>) -> Result<P, Error> {
    let mut command = without_values(P::command());
    let matches = command.try_get_matches_from_mut(line)?;
    P::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The same command with a help that shows the variables' names, and not their values.
fn without_values(command: Command) -> Command {
    command
        .mut_args(|argument| argument.hide_env_values(true))
        .mut_subcommands(without_values)
}

/// The error in one line of our own: clap's would repeat the value, which may be a secret.
fn in_one_line(error: &Error) -> String {
    let line = match (error.kind(), text(error, ContextKind::InvalidArg)) {
        (ErrorKind::ValueValidation, Some(argument)) => {
            let why = error.source().map(ToString::to_string);
            format!("{argument}: {}", without_number(&why.unwrap_or_default()))
        }
        (ErrorKind::InvalidValue, Some(argument)) => match texts(error, ContextKind::ValidValue) {
            [] => format!("{argument}: there is no value"),
            valid => format!("{argument}: must be one of {}", valid.join(", ")),
        },
        (ErrorKind::TooManyValues, Some(argument)) => format!("{argument}: takes no value"),
        (ErrorKind::UnknownArgument, Some(argument)) => unknown(error, argument),
        (ErrorKind::InvalidSubcommand, _) => match texts(error, ContextKind::SuggestedSubcommand) {
            [] => "there is no such command; --help lists the commands".to_owned(),
            meant => format!(
                "there is no such command; did you mean {}?",
                meant.join(" or ")
            ),
        },
        // These name the program's own flags, and no value that it was given.
        (
            ErrorKind::ArgumentConflict
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::InvalidUtf8
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::NoEquals
            | ErrorKind::TooFewValues
            | ErrorKind::WrongNumberOfValues,
            _,
        ) => return first_paragraph(&error.to_string()),
        _ => "the command line cannot be read; see --help".to_owned(),
    };
    format!("error: {line}")
}

/// Only names an argument that is certainly meant as a flag.
fn unknown(error: &Error, argument: &str) -> String {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    let is_flag = argument.starts_with("--") && argument.bytes().all(is_letter);
    let meant = text(error, ContextKind::SuggestedArg);
    match (is_flag, meant) {
        (true, Some(meant)) => format!("there is no flag {argument}; did you mean {meant}?"),
        (true, None) => format!("there is no flag {argument}"),
        (false, Some(meant)) => format!("there is an unknown flag; did you mean {meant}?"),
        (false, None) => {
            "there is an argument without a flag; it is not repeated, as it may be a secret"
                .to_owned()
        }
    }
}

/// clap's own words on a number that is out of bounds begin with the number.
fn without_number(why: &str) -> String {
    match why.split_once(" is not in ") {
        None => why.to_owned(),
        Some((_, bounds)) => format!("must be {}", bounds.replace("..=", " to ")),
    }
}

fn text(error: &Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

fn texts(error: &Error, kind: ContextKind) -> &[String] {
    match error.get(kind) {
        Some(ContextValue::String(text)) => std::slice::from_ref(text),
        Some(ContextValue::Strings(texts)) => texts,
        _ => &[],
    }
}

/// clap's messages continue with usage and hints after an empty line, and list missing
/// arguments one a line.
fn first_paragraph(message: &str) -> String {
    let lines = message.lines().take_while(|line| !line.trim().is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "test")]
    struct Arguments {
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=10))]
        number: Option<u16>,
        #[arg(long)]
        any: Option<u16>,
        #[arg(long)]
        answer: Option<bool>,
        #[arg(long)]
        plain: bool,
        #[command(subcommand)]
        verb: Option<Verb>,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Verb {
        Work,
    }

    fn said(line: &[&str]) -> String {
        let line = ["test"].iter().chain(line).map(OsString::from);
        in_one_line(&parse::<Arguments>(line).expect_err("refused"))
    }

    #[test]
    fn an_error_does_not_repeat_the_value() {
        for (line, expected) in [
            (
                &["--number", "77"][..],
                "--number <NUMBER>: must be 1 to 10",
            ),
            (&["--any=77777"], "--any <ANY>: must be 0 to 65535"),
            (
                &["--number="],
                "--number <NUMBER>: cannot parse integer from empty string",
            ),
            (&["--number"], "--number <NUMBER>: there is no value"),
            (
                &["--answer", "77"],
                "--answer <ANSWER>: must be one of true, false",
            ),
            (&["--plain=77"], "--plain: takes no value"),
            (
                &["--nunber=77"],
                "there is no flag --nunber; did you mean --number?",
            ),
            (&["--else=77"], "there is no flag --else"),
            (
                &["--77"],
                "there is an argument without a flag; it is not repeated, as it may be a secret",
            ),
            (&["wrok"], "there is no such command; did you mean work?"),
            (
                &["77"],
                "there is no such command; --help lists the commands",
            ),
            (
                &["--plain", "--plain"],
                "the argument '--plain' cannot be used multiple times",
            ),
        ] {
            assert_eq!(said(line), format!("error: {expected}"), "{line:?}");
        }
    }

    #[test]
    fn an_error_becomes_one_line() {
        let message = "error: the following arguments were not provided:\n  --x <X>\n\nUsage: y\n";
        assert_eq!(
            first_paragraph(message),
            "error: the following arguments were not provided: --x <X>"
        );
    }
}
