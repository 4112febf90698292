//! A test over the repository itself. Each finding names the place and what to do.

mod edges;
mod marks;
mod sizes;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// One Rust file of a crate.
pub(crate) struct Source {
    /// The crate's folder name, for example `wire`.
    pub(crate) room: String,
    /// The path from the root of the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Under `tests/` or `benches/`: exempt from sizes and from bans.
    pub(crate) test: bool,
}

/// Runs every check and prints every finding before it fails.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let sources = sources(root)?;
    let mut findings = edges::check(root)?;
    findings.extend(marks::check(root)?);
    findings.extend(words::check(&sources));
    findings.extend(sizes::check(&sources)?);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings", findings.len());
    }
    println!("tidy: {} files, nothing to mend", sources.len());
    Ok(())
}

/// Every Rust file of every crate.
fn sources(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut crates = vec![root.join("crates/lambent"), root.join("xtask")];
    for floor in ["foundation", "engine", "services", "edge"] {
        for entry in fs::read_dir(root.join("crates").join(floor))? {
            crates.push(entry?.path());
        }
    }
    crates.retain(|folder| folder.join("Cargo.toml").exists());
    crates.sort();
    let mut out = Vec::new();
    for folder in crates {
        let room = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut todo = vec![folder];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    todo.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = fs::read_to_string(&path)?;
                    let path = path.strip_prefix(root)?.to_owned();
                    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
                    let test = parts.iter().any(|part| part == "tests" || part == "benches")
                        || path.file_name().is_some_and(|name| name == "tests.rs");
                    out.push(Source { room: room.clone(), path, text, test });
                }
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(out)
}
