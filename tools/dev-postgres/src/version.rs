//! PostgreSQL's version numbers, as its programs print them.

use std::fmt;

/// A PostgreSQL release: `15.13` has major 15 and minor 13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The major release: the one a data folder belongs to.
    pub major: u32,
    /// The minor release; 0 in a beta or release candidate.
    pub minor: u32,
}

impl Version {
    /// The oldest release that the services support.
    pub(crate) const OLDEST: Self = Self {
        major: 15,
        minor: 0,
    };

    /// Reads what `postgres --version` prints: `postgres (PostgreSQL) 15.13 (Debian …)`.
    pub(crate) fn from_banner(banner: &str) -> Option<Self> {
        let number = banner.split_once("(PostgreSQL)")?.1.split_whitespace();
        Self::from_number(number.into_iter().next()?)
    }

    /// Reads `17.6`, `17` or `18beta1`.
    fn from_number(number: &str) -> Option<Self> {
        let (major, rest) = leading_number(number)?;
        let minor = rest.strip_prefix('.').and_then(leading_number);
        Some(Self {
            major,
            minor: minor.map_or(0, |(minor, _)| minor),
        })
    }
}

fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_banners_in_use() {
        for (banner, want) in [
            (
                "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n",
                Some((15, 13)),
            ),
            ("postgres (PostgreSQL) 17.6\n", Some((17, 6))),
            ("postgres (PostgreSQL) 18beta1\n", Some((18, 0))),
            ("postgres (PostgreSQL) 18.1 (Homebrew)\n", Some((18, 1))),
            ("postgres (PostgreSQL) devel\n", None),
            ("something else 15.1\n", None),
        ] {
            let read = Version::from_banner(banner).map(|v| (v.major, v.minor));
            assert_eq!(read, want, "{banner}");
        }
    }
}
