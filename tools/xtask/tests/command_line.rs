//! The command line of the tools.

use std::path::Path;

use test_harness::secrets::assert_kept;

#[test]
fn no_value_is_repeated() {
    let program = Path::new(env!("CARGO_BIN_EXE_xtask"));
    assert_kept(program, &[&["up"], &["race"]]);
}
