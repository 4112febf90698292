//! Who may depend on whom: the table of ARCHITECTURE.md as data, against `cargo metadata`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

/// Room, and the rooms it may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("wire", &["base"]),
    ("model", &["wire", "base"]),
    ("store", &["base"]),
    ("door", &["base", "wire"]),
    ("sandbox", &["base"]),
    ("runtime", &["base"]),
    ("invoker", &["sandbox", "runtime", "base"]),
    ("functions", &["base", "wire", "model", "store", "door", "invoker", "runtime"]),
    ("identity", &["base", "wire", "model", "store", "door"]),
    ("observe", &["base", "wire", "model", "store", "door"]),
    ("objects", &["base", "wire", "model", "store", "door"]),
    ("messaging", &["base", "wire", "model", "store", "door"]),
    ("httpapis", &["base", "wire", "model", "store", "door"]),
    ("gateway", &["base", "wire", "model", "door"]),
    ("console", &["base", "wire", "door"]),
    ("egress", &["base"]),
    ("xtask", &[]),
];

/// Crates that speak to the kernel: only `sandbox` names them.
const KERNEL: &[&str] = &["libc", "nix", "rustix", "wasmtime", "seccompiler", "landlock"];

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    ensure!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if name == "lambent-cloud" {
            continue;
        }
        let room = name.strip_prefix("lambent-").unwrap_or(name);
        let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == room) else {
            findings
                .push(format!("{name}: a new room: give it a row in xtask/src/tidy/edges.rs and in ARCHITECTURE.md"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            // A test may stand on a neighbour; the product may not.
            if dependency["kind"] == "dev" {
                continue;
            }
            let target = dependency["name"].as_str().unwrap_or_default();
            if let Some(target) = target.strip_prefix("lambent-")
                && !allowed.contains(&target)
            {
                findings.push(format!("{room} must not depend on {target}: see the table in ARCHITECTURE.md"));
            }
            if KERNEL.contains(&target) && room != "sandbox" {
                findings.push(format!("{room} names {target}: only `sandbox` speaks to the kernel"));
            }
        }
    }
    Ok(findings)
}
