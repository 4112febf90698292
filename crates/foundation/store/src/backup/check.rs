use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use bytes::Bytes;

use crate::digest::Hasher;
use crate::sweep::Sweeps;
use crate::{Blobs, Digest, Error, Kv, Range, Space, Trees};

/// Rows read at a time: they may be 8 MiB each.
const PAGE_ROWS: usize = 16;

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Rows read.
    pub rows: u64,
    /// Blobs read.
    pub blobs: u64,
    /// Bytes of all blobs.
    pub blob_bytes: u64,
    /// Unpacked trees.
    pub trees: u64,
    /// Blobs that no row names. Harmless: they only take room.
    pub unused: Vec<Digest>,
    /// What is wrong, in sentences. Empty if everything is sound.
    pub faults: Vec<String>,
}

/// Reads every row and every blob, and looks whether what rows name is there. The store may go on meanwhile.
///
/// A row names a blob by a member `sha256` of its JSON, at any depth. What else rows mean is for their rooms to know.
///
/// # Errors
/// [`Error::Poisoned`], [`Error::Closed`]; whatever else is wrong is in [`Checked::faults`].
pub async fn check(kv: &dyn Kv, blobs: &Blobs, trees: &Trees) -> Result<Checked, Error> {
    let mut found = Checked::default();
    let mut sound = BTreeSet::new();
    for (digest, _) in blobs.list().await? {
        match hash(blobs, digest).await {
            Ok(Some(size_bytes)) => {
                found.blobs += 1;
                found.blob_bytes += size_bytes;
                sound.insert(digest);
            }
            // Removed since it was listed.
            Ok(None) => {}
            Err(error) => found.faults.push(error.to_string()),
        }
    }
    for digest in trees.list().await? {
        // One that a restart of the machine has made unusable is made again when it is next asked for.
        found.trees += u64::from(trees.get(&digest).await?.is_some());
    }
    let named = rows(kv, &mut found)?;
    for (digest, (space, key, value)) in &named {
        if blobs.exists(digest).await? || kv.get(*space, key)?.as_ref() != Some(value) {
            continue;
        }
        found
            .faults
            .push(format!("the row {space:?} {} names the blob {digest}, which is missing", key.escape_ascii()));
    }
    found.unused = sound.into_iter().filter(|digest| !named.contains_key(digest)).collect();
    Ok(found)
}

/// A row, by all it has.
type Place = (Space, Bytes, Bytes);

/// Reads all rows; answers which blobs they name.
fn rows(kv: &dyn Kv, found: &mut Checked) -> Result<BTreeMap<Digest, Place>, Error> {
    let moment = kv.snapshot()?;
    let mut named = BTreeMap::new();
    if let Err(error) = Sweeps::load(moment.as_ref()) {
        found.faults.push(error.to_string());
    }
    for space in Space::ALL {
        let mut range = Range::all();
        loop {
            let rows = match moment.range(space, range.clone(), PAGE_ROWS, false) {
                Ok(rows) => rows,
                Err(error @ (Error::Poisoned(_) | Error::Closed)) => return Err(error),
                Err(error) => {
                    // What comes behind it in this space cannot be reached.
                    found.faults.push(format!("the rows of {space:?} cannot all be read: {error}"));
                    break;
                }
            };
            let Some((last, _)) = rows.last() else { break };
            range = range.after(last.clone());
            for (key, value) in rows {
                found.rows += 1;
                let mut digests = Vec::new();
                if let Ok(json) = serde_json::from_slice(&value) {
                    collect(&json, &mut digests);
                }
                for digest in digests {
                    named.entry(digest).or_insert_with(|| (space, key.clone(), value.clone()));
                }
            }
        }
    }
    Ok(named)
}

/// The digests that `json` names.
fn collect(json: &serde_json::Value, digests: &mut Vec<Digest>) {
    match json {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(text) if name == "sha256" => digests.extend(text.parse::<Digest>()),
                    _ => collect(value, digests),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, digests)),
        _ => {}
    }
}

/// Reads a blob to its end; answers its size in bytes, none if it is gone.
async fn hash(blobs: &Blobs, digest: Digest) -> Result<Option<u64>, Error> {
    let Some((mut file, _)) = blobs.file(&digest).await? else { return Ok(None) };
    crate::blocking::blocking(move || {
        let (mut hasher, mut size_bytes, mut buffer) = (Hasher::new(), 0, vec![0; 128 * 1024]);
        loop {
            let read = file.read(&mut buffer).map_err(|cause| Error::Io {
                what: format!("cannot read the blob {digest}").into(),
                cause: cause.to_string().into(),
            })?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            size_bytes += read as u64;
        }
        if hasher.finish() != digest {
            return Err(Error::Corrupt(format!("the blob {digest}")));
        }
        Ok(Some(size_bytes))
    })
    .await
}
