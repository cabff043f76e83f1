//! A new file in `sql/` must be embedded, though no Rust source has changed.

fn main() {
    println!("cargo:rerun-if-changed=sql");
}
