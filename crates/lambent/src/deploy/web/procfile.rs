//! Procfile: one line for each process, `web:` for the one that listens.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::{Candidate, Run, node};
use crate::deploy::options::As;

pub(super) fn candidate(directory: &Path) -> anyhow::Result<Option<Candidate>> {
    let path = directory.join("Procfile");
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let lines: Vec<(&str, &str)> = processes(&text).collect();
    let Some((_, command)) = lines.iter().find(|(name, _)| *name == "web") else { return Ok(None) };
    let notes = lines
        .iter()
        .filter(|(name, _)| *name != "web")
        .map(|(name, _)| format!("`{name}:` of the Procfile is not run: a function has one process"));
    Ok(Some(Candidate {
        kind: As::Procfile,
        what: "a Procfile's process".to_owned(),
        because: "its `web:` line".to_owned(),
        language: None,
        run: node::spelled_out(directory, command).map(Run::Command),
        notes: notes.collect(),
    }))
}

fn processes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (name, command) = line.trim().split_once(':')?;
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        (is_name && !command.trim().is_empty()).then_some((name, command.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::processes;

    #[test]
    fn only_lines_of_processes_count() {
        let text = "# web: no\nweb: gunicorn app:app --bind=0.0.0.0:$PORT\n\nworker:python w.py\nempty:\n not one\n";
        let read: Vec<_> = processes(text).collect();
        assert_eq!(read, [("web", "gunicorn app:app --bind=0.0.0.0:$PORT"), ("worker", "python w.py")]);
    }
}
