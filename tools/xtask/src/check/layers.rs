//! The layers of each crate, from the top. A module may import only from layers below its own.
//! It may use those of [`RESERVED`] that its line names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::Offence;
use super::source::{files, module_of, names};

/// Crates that only some modules may use.
const RESERVED: &[&str] = &[
    "deadpool",
    "deadpool_postgres",
    "postgres_types",
    "prost",
    "prost_types",
    "proto",
    "service_kit",
    "sqlx",
    "tokio",
    "tokio_postgres",
    "tonic",
    "tonic_types",
];

/// A module of a crate's root, or several that may not import each other.
struct Module {
    name: &'static str,
    /// The entries of [`RESERVED`] that it may use.
    uses: &'static [&'static str],
}

struct Crate {
    /// From the repository's root.
    src: &'static str,
    layers: &'static [&'static [Module]],
}

const fn module(name: &'static str, uses: &'static [&'static str]) -> Module {
    Module { name, uses }
}

const CONFIG: Module = module("config", &["service_kit"]);

const CRATES: &[Crate] = &[
    Crate {
        src: "booking-svc/src",
        layers: &[
            &[CONFIG],
            &[module(
                "api",
                &[
                    "proto",
                    "prost",
                    "prost_types",
                    "service_kit",
                    "tokio",
                    "tonic",
                ],
            )],
            &[
                module("commands", &["tokio"]),
                module("cancelled_shows", &["service_kit", "tokio"]),
            ],
            &[
                module("payments", &["service_kit", "tokio", "tonic"]),
                module("feed", &["proto", "service_kit", "tokio"]),
            ],
            &[
                module("sales", &["tokio"]),
                module("customer_resolver", &["tokio"]),
                module("allocator", &["tokio"]),
                module("hold_limits", &["tokio"]),
            ],
            &[module(
                "catalog",
                &["proto", "prost_types", "service_kit", "tokio", "tonic"],
            )],
            &[module(
                "store",
                &[
                    "deadpool_postgres",
                    "postgres_types",
                    "service_kit",
                    "tokio",
                    "tokio_postgres",
                ],
            )],
            &[module("domain", &[])],
        ],
    },
    Crate {
        src: "catalog-svc/src",
        layers: &[
            &[CONFIG],
            &[module(
                "api",
                &[
                    "proto",
                    "prost",
                    "prost_types",
                    "service_kit",
                    "tokio",
                    "tonic",
                ],
            )],
            &[module(
                "store",
                &["deadpool", "service_kit", "sqlx", "tokio"],
            )],
            &[module("domain", &[])],
        ],
    },
    Crate {
        src: "expiry-worker/src",
        layers: &[
            &[CONFIG],
            &[module("api", &["proto", "service_kit", "tonic"])],
            &[module("sweep", &["service_kit", "tokio"])],
            &[module("batch", &["service_kit", "tokio_postgres"])],
            &[module("metrics", &["service_kit"])],
        ],
    },
    Crate {
        src: "crates/payment-sim/src",
        layers: &[
            &[CONFIG],
            &[module(
                "api",
                &["proto", "prost_types", "service_kit", "tokio", "tonic"],
            )],
            &[module("ledger_store", &["tokio"])],
            &[module("journal", &[])],
            &[module("ledger", &[])],
        ],
    },
];

/// The violations of the layers in the repository at `root`.
pub(super) fn check(root: &Path) -> Result<Vec<Offence>> {
    let mut offences = Vec::new();
    for each in CRATES {
        offences.extend(check_crate(root, each)?);
    }
    Ok(offences)
}

fn check_crate(root: &Path, Crate { src, layers }: &Crate) -> Result<Vec<Offence>> {
    let folder = root.join(src);
    let mut unknown = modules(&folder)?;
    let mut offences = Vec::new();
    for (depth, layer) in layers.iter().enumerate() {
        for module in *layer {
            unknown.remove(module.name);
            let sources = files(&folder.join(module.name), "rs")?;
            if sources.is_empty() {
                bail!("{src} has no module {}: has it moved?", module.name);
            }
            let below: Vec<_> = layers[depth + 1..]
                .iter()
                .flat_map(|layer| layer.iter().map(|module| module.name))
                .collect();
            for file in sources {
                let text = fs::read_to_string(&file).context(file.display().to_string())?;
                let own = module_of(&folder, &file)?;
                let names = names(&text, &own).context(file.display().to_string())?;
                let shown = file.strip_prefix(root).unwrap_or(&file).display();
                for (line, path) in names.paths {
                    if let Some(what) = offence(&path, module, &below, layers) {
                        let at = format!("{shown}:{line}");
                        offences.push(Offence { at, what });
                    }
                }
            }
        }
    }
    for module in unknown {
        offences.push(Offence {
            at: format!("{src}/{module}"),
            what: "is in no layer: name it in tools/xtask/src/check/layers.rs".into(),
        });
    }
    Ok(offences)
}

/// Why a module may not name a path, if it may not.
fn offence(
    path: &[String],
    module: &Module,
    below: &[&str],
    layers: &[&[Module]],
) -> Option<String> {
    let first = path.first()?.as_str();
    if RESERVED.contains(&first) && !module.uses.contains(&first) {
        return Some(format!("{} may not use {first}", module.name));
    }
    let other = path.get(1).filter(|_| first == "crate")?.as_str();
    let is_module = layers
        .iter()
        .any(|layer| layer.iter().any(|module| module.name == other));
    let is_up = is_module && other != module.name && !below.contains(&other);
    is_up.then(|| {
        format!(
            "{} may not import {other}, which stands beside or above it",
            module.name
        )
    })
}

/// The modules at a crate's root.
fn modules(src: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(src).with_context(|| src.display().to_string())? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let has_source = path.is_file() || !files(&path, "rs")?.is_empty();
        if has_source && !matches!(&*name, "lib" | "main" | "tests") {
            found.insert(name.into_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(name: &str, path: &str) -> Option<String> {
        let layers = CRATES[0].layers;
        let (depth, module) = layers
            .iter()
            .enumerate()
            .find_map(|(depth, layer)| Some((depth, layer.iter().find(|m| m.name == name)?)))
            .expect("a module");
        let below: Vec<_> = layers[depth + 1..]
            .iter()
            .flat_map(|layer| layer.iter().map(|module| module.name))
            .collect();
        let path: Vec<_> = path.split("::").map(str::to_owned).collect();
        offence(&path, module, &below, layers)
    }

    #[test]
    fn imports_go_down_only() {
        assert_eq!(judge("api", "crate::domain::Booking"), None);
        assert_eq!(judge("store", "crate::store::Store"), None);
        assert_eq!(judge("store", "crate::NAME"), None);
        for (name, path) in [
            ("store", "crate::catalog::Catalog"),
            ("customer_resolver", "crate::sales::Sales"),
            ("domain", "crate::store::Store"),
        ] {
            assert!(judge(name, path).is_some(), "{name} imports {path}");
        }
    }

    #[test]
    fn reserved_crates_are_for_those_who_are_named() {
        assert_eq!(judge("store", "tokio_postgres::Client"), None);
        assert_eq!(judge("domain", "model::BookingId"), None);
        for (name, path) in [
            ("api", "tokio_postgres::Client"),
            ("domain", "tokio::time::Instant"),
            ("store", "proto::booking::v1"),
            ("commands", "tonic::Code"),
        ] {
            assert!(judge(name, path).is_some(), "{name} uses {path}");
        }
    }

    #[test]
    fn a_module_without_a_layer_is_named_and_a_missing_one_fails() {
        let root = tempfile::tempdir().expect("a folder");
        for module in CRATES[3].layers.iter().copied().flatten() {
            let file = root
                .path()
                .join(CRATES[3].src)
                .join(module.name)
                .join("mod.rs");
            fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
            fs::write(&file, "use std::fmt;\n").expect("a file");
        }
        assert_eq!(check_crate(root.path(), &CRATES[3]).expect("source"), []);
        let src = root.path().join(CRATES[3].src);
        fs::write(src.join("extra.rs"), "").expect("a file");
        let found = check_crate(root.path(), &CRATES[3]).expect("source");
        assert_eq!(found.len(), 1);
        assert!(found[0].at.ends_with("extra"), "{found:?}");
        fs::remove_dir_all(src.join("journal")).expect("a folder");
        let error = check_crate(root.path(), &CRATES[3]).expect_err("a module is gone");
        assert!(error.to_string().contains("has it moved?"), "{error}");
    }
}
