//! Documents must name existing things: files of the repository, and tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::Offence;

/// Folders that have no files of ours.
const LEFT_OUT: [&str; 3] = ["target", ".git", "node_modules"];
/// The endings of file names.
const ENDINGS: [&str; 4] = [".rs", ".sql", ".proto", ".toml"];
/// A name with this many underscores is a test's, or else one that the sources have too.
const UNDERSCORES_MIN: usize = 4;

/// The missing things that the documents of the repository at `root` name.
pub(super) fn check(root: &Path) -> Result<Vec<Offence>> {
    let mut files = BTreeSet::new();
    collect(root, root, &mut files)?;
    let mut known = BTreeSet::new();
    let is_source = |file: &&String| file.ends_with(".rs") || file.ends_with(".sql");
    for file in files.iter().filter(is_source) {
        let text = fs::read_to_string(root.join(file)).context(file.clone())?;
        known.extend(
            words(&text)
                .filter(|word| is_a_test(word))
                .map(str::to_owned),
        );
    }
    let mut offences = Vec::new();
    for document in files.iter().filter(|file| file.ends_with(".md")) {
        let text = fs::read_to_string(root.join(document)).context(document.clone())?;
        for (index, line) in text.lines().enumerate() {
            for name in in_backticks(line) {
                let is_there = if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                    has_file(&files, name)
                } else {
                    !is_a_test(name) || known.contains(name)
                };
                if !is_there {
                    offences.push(Offence {
                        at: format!("{document}:{}", index + 1),
                        what: format!("there is no {name}"),
                    });
                }
            }
        }
    }
    Ok(offences)
}

/// The files below a folder, from the root.
fn collect(root: &Path, folder: &Path, files: &mut BTreeSet<String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if !LEFT_OUT.iter().any(|name| path.ends_with(name)) {
                collect(root, &path, files)?;
            }
        } else if let Ok(file) = path.strip_prefix(root) {
            files.insert(file.display().to_string());
        }
    }
    Ok(())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The texts between backticks.
fn in_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether a file has this path, or one that ends with it. A pattern names none.
fn has_file(files: &BTreeSet<String>, name: &str) -> bool {
    let is_path = |c: char| c.is_alphanumeric() || "._-/".contains(c);
    if name.starts_with('.') || !name.chars().all(is_path) {
        return true;
    }
    let below = format!("/{name}");
    files
        .iter()
        .any(|file| file == name || file.ends_with(&below))
}

fn is_a_test(name: &str) -> bool {
    name.matches('_').count() >= UNDERSCORES_MIN
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_document_names_is_there() {
        let root = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        write(
            "booking-svc/src/store/write.rs",
            "fn one_is_never_sold_twice() {}",
        );
        write(
            "docs/a.md",
            "`store/write.rs` and `lib_*.rs`, `one_is_never_sold_twice`\n\
             `src/write.rs`, `two_are_never_sold_twice`, `{store,tx}/write.rs`, `show_id`\n",
        );
        write("target/a.md", "`no.rs`");
        let found = check(root.path()).expect("documents");
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "docs/a.md:2: there is no src/write.rs",
                "docs/a.md:2: there is no two_are_never_sold_twice"
            ]
        );
    }
}
