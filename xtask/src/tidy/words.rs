//! Crate roots say what, why and never; nothing unfinished is committed; only some rooms open files.

use super::Source;

/// Rooms that may open files and start processes.
const FILES: &[&str] = &["store", "sandbox", "lambent", "xtask"];

pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let path = source.path.display();
        let root = source.path.ends_with("src/lib.rs") || source.path.ends_with("src/main.rs");
        if root {
            for word in ["What:", "Why:", "Never:"] {
                let says =
                    source.text.lines().take_while(|line| line.starts_with("//")).any(|line| line.contains(word));
                if !says {
                    findings.push(format!("{path}: the `//!` header must say `{word}`"));
                }
            }
            let engine =
                path.to_string().starts_with("crates/foundation") || path.to_string().starts_with("crates/engine");
            if engine && source.room != "model" && !source.text.contains("#![deny(missing_docs)]") {
                findings.push(format!("{path}: foundation and engine deny missing_docs"));
            }
        }
        if source.room == "xtask" {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            let at = number + 1;
            if ["TODO", "FIXME", "XXX:", "todo!(", "unimplemented!("].iter().any(|word| line.contains(word)) {
                findings.push(format!("{path}:{at}: unfinished; finish it or file it"));
            }
            if line.trim_start().starts_with("pub use") && line.contains("::*") {
                findings.push(format!("{path}:{at}: a wildcard re-export; name what you export"));
            }
            let opens =
                ["std::fs::", "tokio::fs::", "File::open", "std::process::Command"].iter().any(|w| line.contains(w));
            // Others may hold a descriptor that they were handed, so the type alone is no finding.
            let harmless = line.trim_start().starts_with("//") || line.trim() == "use std::fs::File;";
            if opens && !harmless && !source.test && !FILES.contains(&source.room.as_str()) {
                findings.push(format!("{path}:{at}: only {FILES:?} open files or start processes"));
            }
        }
    }
    findings
}
