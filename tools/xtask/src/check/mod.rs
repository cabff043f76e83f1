//! `cargo xtask check`: keeps the rules of ARCHITECTURE.md, by reading the source.
//!
//! Three kinds of rule, each a table: the layers of a crate ([`layers`]), the dependencies of each
//! crate ([`manifests`]), and names that only one place may use ([`reserved`]). And documents must name
//! existing things ([`documents`]).

mod documents;
mod layers;
mod manifests;
mod reserved;
mod source;

use std::fmt::{self, Display};
use std::path::Path;

use anyhow::{Result, bail};

use crate::say::say;

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Offence {
    /// The file, from the repository's root, and the line.
    at: String,
    /// The violation, and the rule.
    what: String,
}

impl Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// Checks the repository at `root`.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut offences = manifests::check(root)?;
    offences.extend(layers::check(root)?);
    offences.extend(reserved::check(root)?);
    offences.extend(documents::check(root)?);
    for offence in &offences {
        say(offence);
    }
    match offences.len() {
        0 => {
            say("the rules hold");
            Ok(())
        }
        count => bail!("{count} places break the rules of ARCHITECTURE.md"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_the_rules() {
        check(crate::root()).expect("no offence");
    }
}
