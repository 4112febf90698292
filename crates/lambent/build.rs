//! How the program is linked: at a fixed address, so that its tables are pages of the file and not of every process.
//!
//! The models of all services are static data full of pointers. In a position-independent program the loader writes each of
//! them at every start (149,000, on 3.9 MiB), for the server and for the helper, and every sandbox's first process, a fork
//! of the helper, carries those pages along. What is given up, and how to keep it: docs/security.md.

/// Set to `1` it keeps the program position-independent.
const CHOICE: &str = "LAMBENT_PIE";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={CHOICE}");
    let target = |name: &str| std::env::var(name).unwrap_or_default();
    let is_known = target("CARGO_CFG_TARGET_OS") == "linux" && target("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_known && target(CHOICE) != "1" {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
