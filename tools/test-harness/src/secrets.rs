//! Checks that a program does not print a secret that is in the wrong place of its command line or environment.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use crate::process::without_our_settings;

const SECRET: &str = "s3cret-0f-tests";
/// A value that is wrong for every flag, that of a database's URL among them.
const BAD: &str = "postgres://svc:s3cret-0f-tests@s3cret-0f-tests@host/ticketing";

/// A flag of a program, from its help.
struct Flag {
    name: String,
    takes_value: bool,
    variable: Option<String>,
}

/// Gives the program every flag and every variable of its help with a value that is wrong and has a
/// secret in it, and the same in places where nothing belongs. Each is an error of one line, with
/// exit code 2, and the secret is not repeated; nor is it in the help.
///
/// `verbs` are the commands that have their own flags, an empty one among them if the program
/// itself has.
///
/// # Panics
///
/// If the program repeats the secret, or its error differs.
pub fn assert_kept(program: &Path, verbs: &[&[&str]]) {
    for verb in verbs {
        let flags = flags(program, verb);
        assert!(!flags.is_empty(), "{program:?} {verb:?} has flags");
        for flag in &flags {
            assert_flag_keeps(program, verb, flag);
        }
        for line in [
            vec![BAD],
            vec![SECRET],
            vec!["--no-such-flag", BAD],
            vec!["--databse-url", BAD],
            vec!["-p", SECRET],
            vec![&format!("--no-such-flag={BAD}")],
            vec![&format!("--database-url{BAD}")],
            vec![&format!("--{SECRET}")],
            vec![&format!("-p{SECRET}")],
        ] {
            assert_refused(program, verb, &line, &[]);
        }
        let set: Vec<_> = flags
            .iter()
            .filter_map(|flag| Some((flag.variable.as_deref()?, BAD)))
            .collect();
        let help = run(program, verb, &["--help"], &set);
        assert_eq!(help.status.code(), Some(0), "{program:?} {verb:?} --help");
        assert_silent(&help, "--help");
    }
}

fn assert_flag_keeps(program: &Path, verb: &[&str], flag: &Flag) {
    let name = flag.name.as_str();
    let joined = format!("{name}={BAD}");
    assert_refused(program, verb, &[&joined], &[]);
    if flag.takes_value {
        assert_refused(program, verb, &[name, BAD], &[]);
        assert_refused(program, verb, &[name, "bogus", SECRET], &[]);
    }
    if let Some(variable) = &flag.variable {
        assert_refused(program, verb, &[], &[(variable, BAD)]);
    }
}

fn assert_refused(program: &Path, verb: &[&str], line: &[&str], set: &[(&str, &str)]) {
    let output = run(program, verb, line, set);
    let command = format!("{program:?} {verb:?} {line:?} {set:?}");
    assert_silent(&output, &command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{command}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{command}: {errors}");
}

fn assert_silent(output: &Output, command: &str) {
    for said in [&output.stdout, &output.stderr] {
        let said = String::from_utf8_lossy(said);
        assert!(!said.contains(SECRET), "{command}: {said}");
    }
}

fn flags(program: &Path, verb: &[&str]) -> Vec<Flag> {
    let help = run(program, verb, &["--help"], &[]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let mut flags: Vec<Flag> = Vec::new();
    let mut seen = BTreeSet::new();
    for line in help.lines().map(str::trim) {
        let words = line.strip_prefix("-h, ").unwrap_or(line);
        let words = words.strip_prefix("-V, ").unwrap_or(words);
        if words.starts_with("--") {
            let mut words = words.split_whitespace();
            let name = words.next().unwrap_or_default().to_owned();
            let asks = ["--help", "--version"].contains(&name.as_str());
            if !asks && seen.insert(name.clone()) {
                let takes_value = words.next().is_some_and(|word| word.starts_with('<'));
                flags.push(Flag {
                    name,
                    takes_value,
                    variable: None,
                });
            }
        }
        let variable = line.split("[env: ").nth(1);
        let variable = variable.and_then(|rest| rest.split([']', '=']).next());
        if let (Some(variable), Some(flag)) = (variable, flags.last_mut()) {
            flag.variable = Some(variable.to_owned());
        }
    }
    flags
}

fn run(program: &Path, verb: &[&str], line: &[&str], set: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program);
    without_our_settings(&mut command);
    command.args(verb).args(line).envs(set.iter().copied());
    let output = command.output();
    output.unwrap_or_else(|error| panic!("run {program:?}: {error}"))
}
