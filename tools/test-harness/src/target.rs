//! Where cargo has put the test executable, and so everything else.

use std::env;
use std::path::{Path, PathBuf};

/// `target`, whatever it is called.
pub(crate) fn folder() -> PathBuf {
    let of_profile = profile_folder();
    of_profile
        .parent()
        .map_or(of_profile.clone(), Path::to_owned)
}

/// `target/debug`, say: a test executable lies in `deps` below it.
pub(crate) fn profile_folder() -> PathBuf {
    let executable = env::current_exe().expect("the system knows its running programs");
    let folder = executable.parent().unwrap_or(Path::new("."));
    match folder.parent() {
        Some(above) if folder.ends_with("deps") => above.to_owned(),
        _ => folder.to_owned(),
    }
}
