//! No page or file is committed with the marks of a merge that was not resolved.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// What git writes at the beginning of a line around both sides.
const MARKS: [&str; 2] = ["<<<<<<< ", ">>>>>>> "];

pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().context("git is missing")?;
    ensure!(listed.status.success(), "git cannot list the files of {}", root.display());
    let mut findings = Vec::new();
    for name in listed.stdout.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name);
        // Deleted and not committed yet, or not text.
        let Ok(text) = fs::read_to_string(root.join(&*name)) else { continue };
        let marked = text.lines().enumerate().filter(|(_, line)| MARKS.iter().any(|mark| line.starts_with(mark)));
        findings.extend(marked.map(|(at, _)| format!("{name}:{}: the mark of an unresolved merge", at + 1)));
    }
    Ok(findings)
}
