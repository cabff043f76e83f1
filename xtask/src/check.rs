//! `cargo xtask check`: keeps what ARCHITECTURE.md states about who may import or query what,
//! by reading the source.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::say::say;

/// Words that must not stand in the source of some rooms.
struct Rule {
    says: &'static str,
    /// Folders, from the repository's root.
    rooms: &'static [&'static str],
    words: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        says: "domain is pure: it imports neither the contract, nor a driver, nor a room above it",
        rooms: &["booking-svc/src/domain", "catalog-svc/src/domain"],
        words: &[
            "proto",
            "prost_types",
            "tonic",
            "sqlx",
            "tokio_postgres",
            "deadpool_postgres",
            "crate::api",
            "crate::verbs",
            "crate::sales",
            "crate::links",
            "crate::picker",
            "crate::catalog",
            "crate::store",
        ],
    },
    Rule {
        says: "store knows no API: neither its types nor its errors",
        rooms: &["booking-svc/src/store", "catalog-svc/src/store"],
        words: &[
            "proto",
            "prost_types",
            "tonic",
            "crate::api",
            "crate::verbs",
            "crate::sales",
            "crate::links",
            "crate::picker",
        ],
    },
    Rule {
        says: "api reaches the database through store alone",
        rooms: &["booking-svc/src/api", "catalog-svc/src/api"],
        words: &["sqlx", "tokio_postgres", "deadpool", "deadpool_postgres"],
    },
    Rule {
        says: "schema catalog is catalog-svc's alone",
        rooms: &["booking-svc/src", "expiry-worker/src"],
        words: &[
            "catalog.shows",
            "catalog.layouts",
            "catalog.proposals",
            "catalog.feed",
            "catalog.requests",
        ],
    },
    Rule {
        says: "catalog-svc neither queries schema booking nor calls booking-svc",
        rooms: &["catalog-svc/src"],
        words: &[
            "booking.sales",
            "booking.bookings",
            "booking.bookings_now",
            "booking.show_seats",
            "booking.show_areas",
            "booking.transitions",
            "booking.refusals",
            "booking.feed_cursor",
            "booking.customers",
            "booking.customer_requests",
            "proto::booking",
            "booking_svc",
        ],
    },
    Rule {
        says: "one place makes a Status, the contract's errors: service-kit/src/api_error.rs",
        rooms: &[
            "booking-svc/src",
            "catalog-svc/src",
            "expiry-worker/src",
            "payment-sim/src",
        ],
        words: &[
            "Status::new",
            "Status::with_details",
            "Status::with_error_details",
        ],
    },
    Rule {
        says: "SQLSTATEs are read in service-kit/src/sqlstate.rs and catalog-svc's store/sqlstate.rs",
        rooms: &[
            "booking-svc/src",
            "expiry-worker/src",
            "catalog-svc/src/api",
            "catalog-svc/src/domain",
        ],
        words: &["SqlState", "as_database_error"],
    },
    Rule {
        says: "service-kit has no domain logic",
        rooms: &["service-kit/src"],
        words: &[
            "SeatLayout",
            "catalog_svc",
            "booking_svc",
            "expiry_worker",
            "payment_sim",
        ],
    },
    Rule {
        says: "in booking-svc payments alone asks the payment provider",
        rooms: &[
            "booking-svc/src/api",
            "booking-svc/src/catalog",
            "booking-svc/src/domain",
            "booking-svc/src/links",
            "booking-svc/src/picker",
            "booking-svc/src/sales",
            "booking-svc/src/store",
            "booking-svc/src/verbs",
            "booking-svc/src/wind_up",
        ],
        words: &["PaymentClient"],
    },
    Rule {
        says: "payment is a client alone: it knows no booking, no database, no server",
        rooms: &["payment/src"],
        words: &[
            "proto::booking",
            "booking_svc",
            "payment_sim",
            "service_kit",
            "sqlx",
            "tokio_postgres",
            "deadpool_postgres",
        ],
    },
    Rule {
        says: "payment-sim knows nothing of bookings, nor of its client",
        rooms: &["payment-sim/src"],
        words: &[
            "proto::booking",
            "booking_svc",
            "payment_provider_client",
            "sqlx",
            "tokio_postgres",
        ],
    },
    Rule {
        says: "payment-sim's ledger is pure: it imports neither the contract nor a room above it",
        rooms: &["payment-sim/src/ledger"],
        words: &[
            "proto",
            "prost_types",
            "tonic",
            "tokio",
            "std::fs",
            "crate::api",
            "crate::books",
            "crate::journal",
        ],
    },
    Rule {
        says: "payment-sim's books and journal know no API",
        rooms: &["payment-sim/src/books", "payment-sim/src/journal"],
        words: &["proto", "prost_types", "tonic", "crate::api"],
    },
    Rule {
        says: "model is values alone: no input or output, no protobuf, no SQL",
        rooms: &["model/src"],
        words: &["proto", "tonic", "sqlx", "tokio", "tokio_postgres"],
    },
];

/// Checks the repository at `root`.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut offences = 0;
    for rule in RULES {
        for room in rule.rooms {
            offences += check_room(root, room, rule)?;
        }
    }
    if offences > 0 {
        bail!("{offences} lines go against ARCHITECTURE.md");
    }
    say(format_args!("{} rules hold", RULES.len()));
    Ok(())
}

fn check_room(root: &Path, room: &str, rule: &Rule) -> Result<usize> {
    let mut offences = 0;
    for path in sources(&root.join(room))? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let is_sql = path.extension().is_some_and(|extension| extension == "sql");
        let shown = path.strip_prefix(root).unwrap_or(&path).display();
        for (number, word, line) in offending(&text, is_sql, rule.words) {
            say(format_args!(
                "{shown}:{number}: `{word}` in `{line}`\n    {}",
                rule.says
            ));
            offences += 1;
        }
    }
    Ok(offences)
}

/// Every Rust and SQL file below a folder, or beside it: a room can be one file.
fn sources(room: &Path) -> Result<Vec<PathBuf>> {
    let as_file = room.with_extension("rs");
    let mut found = Vec::new();
    if as_file.is_file() {
        found.push(as_file);
    }
    let mut folders = vec![room.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if matches!(extension, Some("rs" | "sql")) {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        bail!("{} has no source: has the room moved?", room.display());
    }
    found.sort();
    Ok(found)
}

/// The lines that have one of the words outside of a comment, by number from 1.
fn offending<'a>(text: &'a str, is_sql: bool, words: &[&'a str]) -> Vec<(usize, &'a str, &'a str)> {
    let comment = if is_sql { "--" } else { "//" };
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let code = line.split(comment).next().unwrap_or_default();
        let word = words.iter().find(|word| has_word(code, word));
        if let Some(word) = word {
            found.push((index + 1, *word, line.trim()));
        }
    }
    found
}

/// Whether `word` stands in `code` by itself: `proto` is not in `protocol` nor in `my_proto`.
fn has_word(code: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_only_by_themselves_and_outside_of_comments() {
        let text = "//! not proto\nuse protocol::x;\nuse proto::y;\nlet a = 1; // tonic\n";
        let found = offending(text, false, &["proto", "tonic"]);
        assert_eq!(found, [(3, "proto", "use proto::y;")]);
        let sql = "-- catalog.shows\nSELECT 1 FROM catalog.shows;";
        let found = offending(sql, true, &["catalog.shows"]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, 2);
    }

    #[test]
    fn a_room_that_is_gone_is_told() {
        let empty = tempfile::tempdir().expect("a folder");
        let error = check(empty.path()).expect_err("no rooms");
        assert!(error.to_string().contains("has the room moved"), "{error}");
    }

    #[test]
    fn an_offence_fails_the_check() {
        let root = tempfile::tempdir().expect("a folder");
        for room in RULES.iter().flat_map(|rule| rule.rooms) {
            let folder = root.path().join(room);
            fs::create_dir_all(&folder).expect("a room");
            fs::write(folder.join("mod.rs"), "use std::fmt;\n").expect("a file");
        }
        check(root.path()).expect("nothing wrong");
        let bad = root.path().join("booking-svc/src/store/lock.sql");
        fs::write(bad, "SELECT layout FROM catalog.shows").expect("a file");
        let error = check(root.path()).expect_err("another's schema");
        assert_eq!(error.to_string(), "1 lines go against ARCHITECTURE.md");
    }
}
