//! `cargo xtask affected`: the tests of the packages that a change touches.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::build::cargo;
use crate::root;
use crate::say::say;

/// Folders that are no package's, and the packages that their files are compiled or tested into.
const SHARED: &[(&str, &[&str])] = &[
    ("proto", &["proto", "catalog-svc", "booking-svc"]),
    (
        "migrations/sql",
        &["migrations", "catalog-svc", "booking-svc", "expiry-worker"],
    ),
];

/// Files by which every package is built.
const EVERYWHERE: [&str; 4] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    ".cargo/config.toml",
];

/// Test the packages that a change touches: differences from main, and uncommitted changes
#[derive(Debug, Args)]
pub(crate) struct AffectedArgs {
    /// What to compare with
    #[arg(long, default_value = "main", value_name = "COMMIT")]
    since: String,

    /// Print what would be tested, and test nothing
    #[arg(long)]
    dry_run: bool,
}

/// The needed part of `cargo metadata`.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// None for one of the program itself.
    kind: Option<String>,
}

/// Packages to test, and how.
#[derive(Debug, PartialEq, Eq)]
struct Affected {
    /// Those with a changed file: all their tests.
    changed: BTreeSet<String>,
    /// Those that are built with one of these: that they compile, and their unit tests.
    users: BTreeSet<String>,
}

pub(crate) fn affected(args: &AffectedArgs) -> Result<()> {
    let files = changed_files(&args.since)?;
    let metadata = run(cargo(), &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("read cargo's metadata")?;
    let affected = of(&files, &metadata, root());
    say(format_args!(
        "{} files differ from {}; changed: {}; built with those: {}",
        files.len(),
        args.since,
        listed(&affected.changed),
        listed(&affected.users)
    ));
    test(&affected.changed, &[], args.dry_run)?;
    test(&affected.users, &["--lib", "--bins"], args.dry_run)
}

fn listed(names: &BTreeSet<String>) -> String {
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

/// Runs the tests of packages.
fn test(packages: &BTreeSet<String>, targets: &[&str], dry_run: bool) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let mut arguments = vec!["test"];
    arguments.extend(packages.iter().flat_map(|name| ["--package", name]));
    arguments.extend(targets);
    say(format_args!("cargo {}", arguments.join(" ")));
    if dry_run {
        return Ok(());
    }
    let status = Command::new(cargo())
        .args(arguments)
        .current_dir(root())
        .status()
        .context("run cargo")?;
    if !status.success() {
        bail!("tests fail");
    }
    Ok(())
}

/// The files that differ, from the repository's root; untracked ones included.
fn changed_files(since: &str) -> Result<Vec<String>> {
    let base = run("git", &["merge-base", since, "HEAD"])?;
    let changed = run("git", &["diff", "--name-only", base.trim()])?;
    let new = run("git", &["ls-files", "--others", "--exclude-standard"])?;
    Ok(changed
        .lines()
        .chain(new.lines())
        .map(str::to_owned)
        .collect())
}

fn run(program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<String> {
    let program = program.as_ref();
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(root()).output();
    let output = output.with_context(|| format!("run {}", program.display()))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("a path that is no UTF-8")
}

fn of(files: &[String], metadata: &Metadata, root: &Path) -> Affected {
    let folders: BTreeMap<&Path, &str> = metadata
        .packages
        .iter()
        .filter_map(|package| {
            let folder = package.manifest_path.parent()?.strip_prefix(root).ok()?;
            Some((folder, package.name.as_str()))
        })
        .collect();
    let mut changed = BTreeSet::new();
    if files.iter().any(|file| EVERYWHERE.contains(&file.as_str())) {
        changed.extend(folders.values().map(|name| (*name).to_owned()));
    }
    for file in files {
        let shared = SHARED
            .iter()
            .filter(|(folder, _)| Path::new(file).starts_with(folder));
        changed.extend(shared.flat_map(|(_, names)| names.iter().map(|name| (*name).to_owned())));
        let mut above = Path::new(file).ancestors().skip(1);
        let package = above.find_map(|folder| folders.get(folder));
        changed.extend(package.map(|name| (*name).to_owned()));
    }
    // Test harnesses and tools do not link the packages that they test.
    let mut users = changed.clone();
    loop {
        let before = users.len();
        for package in &metadata.packages {
            let uses = |other: &Dependency| other.kind.is_none() && users.contains(&other.name);
            if package.dependencies.iter().any(uses) {
                users.insert(package.name.clone());
            }
        }
        if users.len() == before {
            break;
        }
    }
    let users = users.difference(&changed).cloned().collect();
    Affected { changed, users }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let text = r#"{"packages": [
            {"name": "model", "manifest_path": "/r/crates/model/Cargo.toml", "dependencies": []},
            {"name": "kit", "manifest_path": "/r/crates/kit/Cargo.toml",
             "dependencies": [{"name": "model", "kind": null}]},
            {"name": "booking-svc", "manifest_path": "/r/booking-svc/Cargo.toml",
             "dependencies": [{"name": "kit", "kind": null}]},
            {"name": "expiry-worker", "manifest_path": "/r/expiry-worker/Cargo.toml",
             "dependencies": [{"name": "model", "kind": "dev"}]}
        ]}"#;
        serde_json::from_str(text).expect("metadata")
    }

    #[test]
    fn a_change_touches_its_package_and_those_that_are_built_with_it() {
        let touched = |files: &[&str]| {
            let files: Vec<_> = files.iter().map(|file| (*file).to_owned()).collect();
            let Affected { changed, users } = of(&files, &metadata(), Path::new("/r"));
            (listed(&changed), listed(&users))
        };
        let pair = |changed: &str, users: &str| (changed.to_owned(), users.to_owned());
        assert_eq!(
            touched(&["crates/model/src/ids.rs"]),
            pair("model", "booking-svc, kit")
        );
        assert_eq!(
            touched(&["booking-svc/src/store/sql/write/new.sql", "README.md"]),
            pair("booking-svc", "nothing")
        );
        assert_eq!(touched(&["docs/index.md"]), pair("nothing", "nothing"));
        let all = "booking-svc, expiry-worker, kit, model";
        assert_eq!(touched(&["Cargo.lock"]), pair(all, "nothing"));
        let (changed, _) = touched(&["migrations/sql/0001_schema.sql"]);
        assert_eq!(
            changed,
            "booking-svc, catalog-svc, expiry-worker, migrations"
        );
    }
}
