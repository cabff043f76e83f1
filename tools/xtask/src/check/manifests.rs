//! The dependencies that each crate's manifest may have, and that the crate uses all of them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Offence;

/// Crates of this repository in layers, from the top: each may depend on those below its own layer.
/// Tests may depend on anything.
const LAYERS: &[&[&str]] = &[
    &["tests", "tools/bench", "tools/xtask"],
    &["tools/test-harness"],
    &["tools/dev-postgres"],
    &[
        "booking-svc",
        "catalog-svc",
        "crates/payment-sim",
        "expiry-worker",
    ],
    &["migrations"],
    &["crates/payment-client", "crates/service-kit"],
    &["crates/model", "proto"],
];

/// Crates with forbidden dependencies.
const WITHOUT: &[(&str, &[&str])] = &[
    (
        "crates/model",
        &["prost", "sqlx", "tokio", "tokio-postgres", "tonic"],
    ),
    (
        "crates/payment-client",
        &["deadpool-postgres", "sqlx", "tokio-postgres"],
    ),
    ("crates/payment-sim", &["sqlx", "tokio-postgres"]),
];

/// Dependencies that only generated code names, by crate.
const GENERATED: &[(&str, &[&str])] = &[("proto", &["prost", "prost-types", "tonic-prost"])];

/// The tables of a manifest that name dependencies.
const TABLES: [&str; 3] = [
    "[dependencies]",
    "[dev-dependencies]",
    "[build-dependencies]",
];

/// The violations of these rules in the repository at `root`.
pub(super) fn check(root: &Path) -> Result<Vec<Offence>> {
    let mut offences = Vec::new();
    let places: Vec<(&str, usize)> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(depth, layer)| layer.iter().map(move |place| (*place, depth)))
        .collect();
    for (place, depth) in &places {
        let at = format!("{place}/Cargo.toml");
        let text = fs::read_to_string(root.join(&at)).context(at.clone())?;
        for (line, dependency) in dependencies(&text, &TABLES[..1]) {
            let other = places
                .iter()
                .find(|(other, _)| name_of(other) == dependency);
            let without = WITHOUT
                .iter()
                .find(|(own, _)| own == place)
                .is_some_and(|(_, without)| without.contains(&dependency));
            let is_up = other.is_some_and(|(_, others_depth)| others_depth <= depth);
            if without || is_up {
                offences.push(Offence {
                    at: format!("{at}:{line}"),
                    what: format!("{place} may not depend on {dependency}"),
                });
            }
        }
        let sources = sources(&root.join(place))?;
        for (line, dependency) in dependencies(&text, &TABLES) {
            let name = dependency.replace('-', "_");
            let generated = GENERATED
                .iter()
                .any(|(own, names)| own == place && names.contains(&dependency));
            if !generated && !sources.iter().any(|source| has_word(source, &name)) {
                offences.push(Offence {
                    at: format!("{at}:{line}"),
                    what: format!("{place} does not use {dependency}"),
                });
            }
        }
    }
    Ok(offences)
}

/// The texts of all Rust files of a package, its tests too.
fn sources(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|own| own == "rs") {
                texts.push(fs::read_to_string(&path).context(path.display().to_string())?);
            }
        }
    }
    Ok(texts)
}

/// Whether a text has this name, not as a part of a longer one.
fn has_word(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

/// The name of a crate, from its folder.
fn name_of(place: &str) -> &str {
    match place {
        "tests" => "system-tests",
        folder => folder.rsplit('/').next().unwrap_or(folder),
    }
}

/// The names in these tables, with their lines.
fn dependencies<'a>(manifest: &'a str, tables: &[&str]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = tables.contains(&line);
        } else if let Some(name) = line.split(['.', ' ', '=']).next()
            && inside
            && !name.is_empty()
            && !name.starts_with('#')
        {
            found.push((index + 1, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for place in LAYERS.iter().copied().flatten() {
            fs::create_dir_all(root.path().join(place)).expect("a folder");
            let file = root.path().join(place).join("Cargo.toml");
            fs::write(file, "[dependencies]\ntime.workspace = true\n").expect("a file");
            use_all(&root, place);
        }
        root
    }

    /// Code that names whatever a test may have a crate depend on.
    fn use_all(root: &tempfile::TempDir, place: &str) {
        let names = "use {time, proto, migrations, test_harness, tokio};\n";
        fs::write(root.path().join(place).join("lib.rs"), names).expect("a file");
    }

    #[test]
    fn a_crate_depends_only_on_lower_layers() {
        let root = repository();
        assert_eq!(check(root.path()).expect("manifests"), []);
        let own = root.path().join("crates/service-kit/Cargo.toml");
        fs::write(
            &own,
            "[dependencies]\nproto.workspace = true\nmigrations.workspace = true\n",
        )
        .expect("a file");
        let found = check(root.path()).expect("manifests");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].at, "crates/service-kit/Cargo.toml:3");
        fs::write(&own, "[dev-dependencies]\ntest-harness.workspace = true\n").expect("a file");
        assert_eq!(check(root.path()).expect("manifests"), []);
    }

    #[test]
    fn what_is_depended_on_is_used() {
        let root = repository();
        let own = root.path().join("expiry-worker");
        let manifest = "[dev-dependencies]\ntime.workspace = true\nuuid = \"1\"\n";
        fs::write(own.join("Cargo.toml"), manifest).expect("a file");
        fs::write(own.join("lib.rs"), "use time::Uuid;\nlet my_uuid = 1;\n").expect("a file");
        let found = check(root.path()).expect("manifests");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].at, "expiry-worker/Cargo.toml:3");
    }

    #[test]
    fn the_model_does_no_input_or_output() {
        let root = repository();
        let own = root.path().join("crates/model/Cargo.toml");
        fs::write(own, "[dependencies]\ntokio = { workspace = true }\n").expect("a file");
        assert_eq!(check(root.path()).expect("manifests").len(), 1);
    }
}
