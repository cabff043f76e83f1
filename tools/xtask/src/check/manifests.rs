//! What each crate may depend on, by its manifest.

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

/// Crates that are kept from others', and what they may not depend on.
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

/// What goes against the rules in the repository at `root`.
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
        for (line, dependency) in dependencies(&text) {
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
    }
    Ok(offences)
}

/// What a crate is called, by its folder.
fn name_of(place: &str) -> &str {
    match place {
        "tests" => "system-tests",
        folder => folder.rsplit('/').next().unwrap_or(folder),
    }
}

/// The names in `[dependencies]`, with their lines.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
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
        }
        root
    }

    #[test]
    fn a_crate_depends_on_what_is_below_it() {
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
    fn the_model_does_no_input_or_output() {
        let root = repository();
        let own = root.path().join("crates/model/Cargo.toml");
        fs::write(own, "[dependencies]\ntokio = { workspace = true }\n").expect("a file");
        assert_eq!(check(root.path()).expect("manifests").len(), 1);
    }
}
