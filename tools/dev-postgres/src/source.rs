//! Where the server programs come from: the caller's choice.

use anyhow::{Context, bail};
use std::{env, fmt, str::FromStr};

/// The variable that [`Source::from_env`] reads.
const VARIABLE: &str = "TICKETING_POSTGRES";

/// Where PostgreSQL's server programs are taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Those installed on this machine, else a download.
    #[default]
    Auto,
    /// Those installed on this machine, or an error.
    System,
    /// A pinned release, downloaded once and kept, whatever is installed.
    Download,
}

impl Source {
    /// The choice made by the variable `TICKETING_POSTGRES`; [`Source::Auto`] when it is unset
    /// or empty.
    ///
    /// # Errors
    /// When the variable holds anything else than `auto`, `system` or `download`.
    pub fn from_env() -> anyhow::Result<Self> {
        match env::var(VARIABLE) {
            Ok(value) if !value.is_empty() => value
                .parse()
                .with_context(|| format!("the environment variable {VARIABLE}")),
            Ok(_) | Err(env::VarError::NotPresent) => Ok(Self::Auto),
            Err(env::VarError::NotUnicode(_)) => {
                bail!(
                    "the environment variable {VARIABLE} is not text: set auto, system or download"
                )
            }
        }
    }
}

impl FromStr for Source {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "system" => Ok(Self::System),
            "download" => Ok(Self::Download),
            // Not repeated: it may be a URL with a password in it.
            _ => bail!("must be auto, system or download"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::System => "system",
            Self::Download => "download",
        })
    }
}

/// The server that the developer wants used instead of a private one: `DATABASE_URL`, unless
/// it is empty. Whether to honour it is the caller's decision.
#[must_use]
pub fn external_url() -> Option<String> {
    env::var("DATABASE_URL").ok().filter(|url| !url.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_reads_back_what_it_prints() -> anyhow::Result<()> {
        for source in [Source::Auto, Source::System, Source::Download] {
            assert_eq!(source.to_string().parse::<Source>()?, source);
        }
        Ok(())
    }

    #[test]
    fn an_unknown_source_names_the_known_ones() {
        let error = "docker".parse::<Source>().map_err(|e| e.to_string());
        assert_eq!(error, Err("must be auto, system or download".to_owned()));
    }
}
