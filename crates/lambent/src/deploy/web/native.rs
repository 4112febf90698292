//! A Cargo package whose program listens by itself.

use std::fs;
use std::path::Path;

use super::{Candidate, Run};
use crate::deploy::detect::Kind;
use crate::deploy::options::As;

pub(super) fn candidate(directory: &Path) -> Option<Candidate> {
    let manifest = fs::read_to_string(directory.join("Cargo.toml")).ok()?;
    // Lambda's own clients ask for events; they do not listen.
    if ["lambda_runtime", "lambda_http", "lambda-http"].iter().any(|name| manifest.contains(name)) {
        return None;
    }
    let mut sources = ignore::WalkBuilder::new(directory.join("src")).standard_filters(false).build();
    let reads_port = sources.any(|entry| {
        let Ok(entry) = entry else { return false };
        let is_source = entry.path().extension().is_some_and(|end| end == "rs");
        is_source && fs::read_to_string(entry.path()).is_ok_and(|text| text.contains("\"PORT\""))
    });
    let run = Run::Command("exec ./bootstrap".to_owned());
    reads_port.then(|| Candidate::new(As::Web, "a native program", "its Rust source reads PORT", Kind::Rust, run))
}
