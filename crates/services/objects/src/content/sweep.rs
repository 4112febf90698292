//! Bytes that nothing names any more are given back.
//!
//! Whoever takes an object away leaves a row ([`Garbage`]) in the same transaction. The sweep goes through these rows, lets go of
//! the blobs they used, and removes a blob that nobody uses any more.

use std::sync::Arc;

use base::Fault;
use bytes::Bytes;
use store::{Batch, Digest, Key, Space};

use super::outflow::parts_of;
use crate::engine::Objects;
use crate::state::{self, Id};
use crate::types::{Content, Garbage, Stored, Where};

/// Rows read at a time.
const PAGE: usize = 64;
/// Blobs looked through at a time.
const BLOBS: usize = 1000;

/// Adds to a batch what is to become of a content that the batch takes out of every row. Whether the sweep has to be told.
pub(crate) fn give_back(batch: &mut Batch, generation: u64, content: &Content) -> Result<bool, Fault> {
    let id = state::id_of(&content.id).ok_or_else(|| Fault::internal("an object's content has no id"))?;
    match content.place {
        Where::Nowhere => {}
        Where::Row => drop(batch.delete(Space::Object, state::data(generation, &id))),
        Where::Blob { .. } | Where::Parts => {
            let garbage = Garbage { generation, content: content.clone() };
            batch.put_json(Space::Object, state::garbage(&id), &garbage)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Runs until it is dropped.
pub(crate) async fn run(objects: &Arc<Objects>) {
    if let Err(fault) = leftovers(objects).await {
        tracing::warn!(%fault, "blobs that nothing uses could not be looked for");
    }
    let mut turn = objects.clocks.turn().called("the sweep of objects");
    loop {
        if let Err(fault) = all(objects).await {
            tracing::warn!(%fault, "bytes that nothing uses could not be given back; the next change tries again");
        }
        drop(turn);
        turn = objects.garbage.heard().await;
    }
}

/// What an upload that a crash cut off left behind.
async fn leftovers(objects: &Arc<Objects>) -> Result<(), Fault> {
    let mut last: Option<Bytes> = None;
    loop {
        let rows = objects.kv.range(Space::Object, state::after(state::blobs(), last), BLOBS, false)?;
        let Some((row, _)) = rows.last() else { return Ok(()) };
        last = Some(row.clone());
        for (row, value) in &rows {
            let stored: Stored = state::parse(row, value)?;
            if let Ok(digest) = stored.blob.parse() {
                remove(objects, digest).await?;
            }
        }
    }
}

/// Everything there is to give back now.
async fn all(objects: &Arc<Objects>) -> Result<(), Fault> {
    for digest in objects.readers.left() {
        remove(objects, digest).await?;
    }
    loop {
        let rows = objects.kv.range(Space::Object, state::after(state::all_garbage(), None), PAGE, false)?;
        if rows.is_empty() {
            return Ok(());
        }
        for (row, value) in rows {
            let Garbage { generation, content } = state::parse(&row, &value)?;
            let (mut batch, mut blobs) = (Batch::new(), Vec::new());
            batch.delete(Space::Object, row);
            let view = objects.kv.snapshot()?;
            if content.place == Where::Parts {
                for part in parts_of(&*view, &content)? {
                    let_go(&mut batch, generation, &part.content, &mut blobs)?;
                }
            }
            let_go(&mut batch, generation, &content, &mut blobs)?;
            drop(view);
            objects.kv.transact(Vec::new(), Box::new(move |_| Ok(batch.clone()))).await?;
            for blob in blobs {
                remove(objects, blob).await?;
            }
        }
    }
}

/// Adds the end of one content's own rows.
fn let_go(batch: &mut Batch, generation: u64, content: &Content, blobs: &mut Vec<Digest>) -> Result<(), Fault> {
    let id: Id = state::id_of(&content.id).ok_or_else(|| Fault::internal("an object's content has no id"))?;
    match &content.place {
        Where::Nowhere => {}
        Where::Row => drop(batch.delete(Space::Object, state::data(generation, &id))),
        Where::Parts => drop(batch.delete(Space::Object, state::parts(&id))),
        Where::Blob { sha256, .. } => {
            let digest: Digest = sha256.parse().map_err(|_| Fault::internal("an object's blob has no digest"))?;
            batch.delete(Space::Object, state::hold(&digest, &id));
            blobs.push(digest);
        }
    }
    Ok(())
}

/// Removes a blob, unless something uses it.
async fn remove(objects: &Arc<Objects>, digest: Digest) -> Result<(), Fault> {
    let _nobody_names = objects.naming.write().await;
    if objects.readers.keeps(&digest) {
        return Ok(());
    }
    let used = objects.kv.range(Space::Object, store::Range::prefix(state::holds(&digest)), 1, false)?;
    if !used.is_empty() {
        return Ok(());
    }
    let stored: Option<Stored> = store::get_json(&*objects.kv, Space::Object, &state::blob(&digest))?;
    objects.blobs.remove(&digest).await?;
    let same = stored.map(|stored| stored.fingerprint).filter(|it| !it.is_empty()).map(|it| state::same(&it));
    let mut keys = vec![Key::new(Space::Object, state::blob(&digest))];
    keys.extend(same.iter().map(|row| Key::new(Space::Object, row.clone())));
    let forget = move |rows: &store::Rows| {
        let mut batch = Batch::new();
        batch.delete(Space::Object, state::blob(&digest));
        if let Some(row) = &same {
            let named: Option<Stored> = rows.json(Space::Object, row)?;
            if named.is_some_and(|named| named.blob == digest.to_string()) {
                batch.delete(Space::Object, row.clone());
            }
        }
        Ok(batch)
    };
    Ok(objects.kv.transact(keys, Box::new(forget)).await?)
}
