//! The benchmark's command line.

use std::path::Path;

use test_harness::secrets::assert_kept;

#[test]
fn no_value_is_repeated() {
    let program = Path::new(env!("CARGO_BIN_EXE_bench"));
    let verbs = [
        "cycle", "stampede", "ga", "best", "read", "expire", "growth", "idle",
    ];
    let verbs = verbs.each_ref().map(std::slice::from_ref);
    assert_kept(program, &verbs);
}
