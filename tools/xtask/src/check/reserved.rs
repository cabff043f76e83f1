//! Names that only some places may use.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::Offence;
use super::source::{files, names};

/// Names that end a path, and the places that may use them.
struct Reserved {
    says: &'static str,
    /// The end of a path, segment by segment.
    ends: &'static [&'static [&'static str]],
    /// The places that are checked.
    places: &'static [&'static str],
    /// The exceptions.
    but: &'static [&'static str],
}

const SERVICES: &[&str] = &[
    "booking-svc/src",
    "catalog-svc/src",
    "expiry-worker/src",
    "crates/payment-sim/src",
];

const RESERVED: &[Reserved] = &[
    Reserved {
        says: "only crates/service-kit/src/api_error.rs makes a gRPC status",
        ends: &[
            &["Status", "new"],
            &["Status", "with_details"],
            &["Status", "with_error_details"],
        ],
        places: SERVICES,
        but: &[],
    },
    Reserved {
        says: "SQLSTATEs are read in crates/service-kit/src/sqlstate.rs and catalog-svc's \
               store/sqlstate.rs",
        ends: &[&["SqlState"]],
        places: SERVICES,
        but: &["catalog-svc/src/store"],
    },
    Reserved {
        says: "in booking-svc payments alone asks the payment provider",
        ends: &[&["payment_client", "PaymentClient"]],
        places: &["booking-svc/src"],
        but: &["booking-svc/src/payments"],
    },
];

/// A schema, and the sources that may not query it.
const SCHEMAS: &[(&str, &[&str])] = &[
    ("catalog", &["booking-svc/src", "expiry-worker/src"]),
    ("booking", &["catalog-svc/src"]),
];

/// Words that stand before a table's name.
const BEFORE_TABLES: &[&str] = &["FROM", "INTO", "JOIN", "ONLY", "TABLE", "UPDATE", "USING"];

/// The violations of these rules in the repository at `root`.
pub(super) fn check(root: &Path) -> Result<Vec<Offence>> {
    let mut offences = Vec::new();
    for rule in RESERVED {
        for place in rule.places {
            offences.extend(check_names(root, place, rule)?);
        }
    }
    for (schema, places) in SCHEMAS {
        for place in *places {
            offences.extend(check_schema(root, place, schema)?);
        }
    }
    Ok(offences)
}

fn check_names(root: &Path, place: &str, rule: &Reserved) -> Result<Vec<Offence>> {
    let mut offences = Vec::new();
    for (shown, text) in sources(root, place, "rs")? {
        if rule.but.iter().any(|but| shown.starts_with(but)) {
            continue;
        }
        for (line, path) in names(&text, &[]).context(shown.clone())?.paths {
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            if rule.ends.iter().any(|end| path.ends_with(end)) {
                offences.push(Offence {
                    at: format!("{shown}:{line}"),
                    what: format!("`{}`: {}", path.join("::"), rule.says),
                });
            }
        }
    }
    Ok(offences)
}

fn check_schema(root: &Path, place: &str, schema: &str) -> Result<Vec<Offence>> {
    let what = format!("queries schema {schema}, which is another service's");
    let mut offences = Vec::new();
    for (shown, text) in sources(root, place, "rs")? {
        for (line, text) in names(&text, &[]).context(shown.clone())?.texts {
            if queries(&text, schema) {
                let at = format!("{shown}:{line}");
                offences.push(Offence {
                    at,
                    what: what.clone(),
                });
            }
        }
    }
    for file in files(&root.join(place), "sql")? {
        let text = fs::read_to_string(&file).context(file.display().to_string())?;
        if queries(&text, schema) {
            let at = file.strip_prefix(root).unwrap_or(&file);
            offences.push(Offence {
                at: at.display().to_string(),
                what: what.clone(),
            });
        }
    }
    Ok(offences)
}

/// Whether SQL names a table of a schema.
fn queries(sql: &str, schema: &str) -> bool {
    let lines = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let mut before = "";
    for word in lines.flat_map(str::split_whitespace) {
        let is_of = word
            .strip_prefix(schema)
            .is_some_and(|rest| rest.starts_with('.'));
        if is_of
            && BEFORE_TABLES
                .iter()
                .any(|each| each.eq_ignore_ascii_case(before))
        {
            return true;
        }
        before = word;
    }
    false
}

/// Each source of a place, by its path from the root.
fn sources(root: &Path, place: &str, extension: &str) -> Result<Vec<(String, String)>> {
    let found = files(&root.join(place), extension)?;
    if found.is_empty() {
        bail!("{place} has no source: has it moved?");
    }
    let mut sources = Vec::with_capacity(found.len());
    for file in found {
        let text = fs::read_to_string(&file).context(file.display().to_string())?;
        let shown = file.strip_prefix(root).unwrap_or(&file);
        sources.push((shown.display().to_string(), text));
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_table_of_a_schema_outside_of_comments() {
        assert!(queries("SELECT 1\nFROM catalog.shows", "catalog"));
        assert!(queries("update catalog.shows SET a = 1", "catalog"));
        assert!(!queries("SELECT 1 -- FROM catalog.shows", "catalog"));
        assert!(!queries("SELECT 1 FROM booking.sales", "catalog"));
        assert!(!queries("follow catalog.internal.v1", "catalog"));
    }

    #[test]
    fn an_offence_is_found_and_named() {
        let root = tempfile::tempdir().expect("a folder");
        for place in SERVICES {
            fs::create_dir_all(root.path().join(place)).expect("a folder");
            let file = root.path().join(place).join("lib.rs");
            fs::write(file, "use std::fmt;\n").expect("a file");
        }
        assert_eq!(check(root.path()).expect("source"), []);
        let bad = "fn f() -> tonic::Status {\n    tonic::Status::new(tonic::Code::Ok, \"\")\n}\n";
        fs::write(root.path().join("catalog-svc/src/bad.rs"), bad).expect("a file");
        let sql = root.path().join("booking-svc/src/lock.sql");
        fs::write(sql, "SELECT layout FROM catalog.shows").expect("a file");
        let found = check(root.path()).expect("source");
        let at: Vec<_> = found.iter().map(|offence| offence.at.as_str()).collect();
        assert_eq!(at, ["catalog-svc/src/bad.rs:2", "booking-svc/src/lock.sql"]);
    }
}
