//! What setup did on this host, kept where root alone may write.

use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::cgroups::Tree;
use super::change::Change;
use super::place::Place;

const FOLDER: &str = "/var/lib/lambent";
const FILE: &str = "/var/lib/lambent/setup.json";

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// In the order they were made.
    pub(super) changes: Vec<Change>,
}

impl Record {
    pub(crate) fn load(place: &Place) -> anyhow::Result<Self> {
        let Some(text) = place.read(FILE)? else { return Ok(Self::default()) };
        serde_json::from_str(&text).with_context(|| format!("{FILE} is damaged; mend or remove it"))
    }

    /// The groups made by hand in these folders.
    pub(super) fn groups(&self, folders: &[PathBuf]) -> Option<&Tree> {
        self.changes.iter().find_map(|change| match change {
            Change::Groups(tree) if tree.folders == folders => Some(tree),
            _ => None,
        })
    }

    /// Keeps it; an empty one leaves no file.
    pub(super) fn save(&self, place: &Place) -> anyhow::Result<()> {
        if self.changes.is_empty() {
            if place.exists(FILE) {
                std::fs::remove_file(place.at(FILE)).with_context(|| format!("removing {FILE}"))?;
            }
            place.remove_empty(&[FOLDER.into()]);
            return Ok(());
        }
        place.make_folders(FOLDER)?;
        place.write(FILE, &format!("{}\n", serde_json::to_string_pretty(self)?))
    }
}
