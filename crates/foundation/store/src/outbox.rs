//! The rows of outboxes: what is due, in order, and what was parked. Their values are the door's; here they are bytes.
//!
//! A service puts a row into the same batch as the change that others must hear of. Everything stands in
//! [`Space::Outbox`], due rows under their time, so that the next one is always the first.

use std::ops::Bound;

use bytes::Bytes;

use crate::{Batch, Error, Key, Kv, Range, Space, transact_with};

const DUE: &str = "due/";
const PARKED: &str = "parked/";

/// What becomes of a row after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// It goes.
    Gone,
    /// It is due at this time, with this value.
    Due(i64, Bytes),
    /// It is set aside, with this value.
    Parked(Bytes),
}

fn due_key(due_ms: i64, id: &str) -> String {
    format!("{DUE}{:016x}/{id}", due_ms.max(0))
}

fn parked_key(id: &str) -> String {
    format!("{PARKED}{id}")
}

/// Adds a row that is due at a time (ms since the epoch, not before it) to a batch. The id must be unique.
pub fn put(batch: &mut Batch, due_ms: i64, id: &str, value: Bytes) {
    batch.put(Space::Outbox, due_key(due_ms, id), value);
}

/// The first rows in order that are due at `from_ms` or later, at most `limit`: time, id and value. Rows that went leave
/// traces in the engine for a while, which a reader who knows where the head is need not pass.
///
/// # Errors
/// The store's, or [`Error::Corrupt`] for a key that is none.
pub fn first(kv: &dyn Kv, from_ms: i64, limit: usize) -> Result<Vec<(i64, String, Bytes)>, Error> {
    let mut range = Range::prefix(DUE);
    range.start = Bound::Included(due_key(from_ms, "").into());
    let rows = kv.range(Space::Outbox, range, limit, false)?;
    let read = |(key, value): (Bytes, Bytes)| {
        let wrong = || Error::Corrupt(format!("the row {}", key.escape_ascii()));
        let text = std::str::from_utf8(&key).map_err(|_| wrong())?;
        let (time, id) = text[DUE.len()..].split_once('/').ok_or_else(wrong)?;
        let due_ms = i64::from_str_radix(time, 16).map_err(|_| wrong())?;
        Ok((due_ms, id.to_owned(), value))
    };
    rows.into_iter().map(read).collect()
}

/// Ends an attempt at a due row; durable when it answers.
///
/// # Errors
/// The store's.
pub async fn settle(kv: &dyn Kv, due_ms: i64, id: &str, after: After) -> Result<(), Error> {
    let id = id.to_owned();
    transact_with(kv, Vec::new(), move |_| {
        let mut batch = Batch::new();
        batch.delete(Space::Outbox, due_key(due_ms, &id));
        match &after {
            After::Gone => {}
            After::Due(at, value) => put(&mut batch, *at, &id, value.clone()),
            After::Parked(value) => drop(batch.put(Space::Outbox, parked_key(&id), value.clone())),
        }
        Ok((batch, ()))
    })
    .await
}

/// The parked rows by id, after one of them if it is named, at most `limit`.
///
/// # Errors
/// The store's.
pub fn parked(kv: &dyn Kv, after: Option<&str>, limit: usize) -> Result<Vec<(String, Bytes)>, Error> {
    let mut range = Range::prefix(PARKED);
    if let Some(id) = after {
        range = range.after(parked_key(id));
    }
    let rows = kv.range(Space::Outbox, range, limit, false)?;
    Ok(rows
        .into_iter()
        .map(|(key, value)| (String::from_utf8_lossy(&key[PARKED.len()..]).into_owned(), value))
        .collect())
}

/// Makes a parked row due with this value; whether it was parked still. Durable when it answers.
///
/// # Errors
/// The store's.
pub async fn replay(kv: &dyn Kv, id: &str, due_ms: i64, value: Bytes) -> Result<bool, Error> {
    let id = id.to_owned();
    let keys = vec![Key::new(Space::Outbox, parked_key(&id))];
    transact_with(kv, keys, move |rows| {
        let mut batch = Batch::new();
        let was = rows.get(Space::Outbox, parked_key(&id).as_bytes()).is_some();
        if was {
            batch.delete(Space::Outbox, parked_key(&id));
            put(&mut batch, due_ms, &id, value.clone());
        }
        Ok((batch, was))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    #[tokio::test]
    async fn rows_are_due_in_order_and_parked_by_id() {
        let kv = memory();
        transact_with(&*kv, Vec::new(), |_| {
            let mut batch = Batch::new();
            for (due_ms, id) in [(300, "c"), (20, "b"), (20, "a")] {
                put(&mut batch, due_ms, id, Bytes::from(format!("value of {id}")));
            }
            Ok((batch, ()))
        })
        .await
        .unwrap();
        let order = || first(&*kv, 0, 10).unwrap().into_iter().map(|(due_ms, id, _)| (due_ms, id)).collect::<Vec<_>>();
        let row = |due_ms: i64, id: &str| (due_ms, id.to_owned());
        assert_eq!(order(), [row(20, "a"), row(20, "b"), row(300, "c")]);
        assert_eq!(first(&*kv, 21, 10).unwrap().len(), 1);
        settle(&*kv, 20, "a", After::Gone).await.unwrap();
        settle(&*kv, 20, "b", After::Due(400, Bytes::from_static(b"again"))).await.unwrap();
        settle(&*kv, 300, "c", After::Parked(Bytes::from_static(b"why"))).await.unwrap();
        assert_eq!(first(&*kv, 0, 10).unwrap(), [(400, "b".to_owned(), Bytes::from_static(b"again"))]);
        assert_eq!(parked(&*kv, None, 10).unwrap(), [("c".to_owned(), Bytes::from_static(b"why"))]);
        assert!(parked(&*kv, Some("c"), 10).unwrap().is_empty());
        assert!(replay(&*kv, "c", 10, Bytes::from_static(b"new")).await.unwrap());
        assert!(!replay(&*kv, "c", 10, Bytes::from_static(b"new")).await.unwrap(), "only once");
        assert_eq!(order(), [row(10, "c"), row(400, "b")]);
        assert!(parked(&*kv, None, 10).unwrap().is_empty());
    }
}
