//! How rows stand in a backup: space (1 byte), key and value lengths (4 bytes each, little-endian), key, value.

use bytes::Bytes;

use crate::batch::{KEY_BYTES, VALUE_BYTES};
use crate::{Error, Space, Write};

/// Bytes after which a part is closed.
pub(super) const PART_BYTES: usize = 4 * 1024 * 1024;
/// The largest part: one that was almost full, and the largest row.
pub(super) const LARGEST_PART_BYTES: u64 = (PART_BYTES + HEAD_BYTES + KEY_BYTES + VALUE_BYTES) as u64;
const HEAD_BYTES: usize = 9;

pub(super) fn append(part: &mut Vec<u8>, space: Space, key: &[u8], value: &[u8]) {
    let length =
        |bytes: &[u8]| u32::try_from(bytes.len()).expect("no row is near 4 GiB: a batch refuses it").to_le_bytes();
    part.push(space.tag());
    part.extend_from_slice(&length(key));
    part.extend_from_slice(&length(value));
    part.extend_from_slice(key);
    part.extend_from_slice(value);
}

/// The rows of a part, as writes.
///
/// # Errors
/// [`Error::Backup`] if the bytes do not read as rows.
pub(super) fn read(part: Bytes) -> Result<Vec<Write>, Error> {
    let mut rows = Vec::new();
    let mut rest = part;
    while !rest.is_empty() {
        let row = next(&mut rest).ok_or_else(|| Error::Backup("its rows do not read as rows".into()))?;
        rows.push(row);
    }
    Ok(rows)
}

fn next(rest: &mut Bytes) -> Option<Write> {
    if rest.len() < HEAD_BYTES {
        return None;
    }
    let head = rest.split_to(HEAD_BYTES);
    let length = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
    let (key_bytes, value_bytes) = (length(1), length(5));
    if key_bytes > KEY_BYTES || value_bytes > VALUE_BYTES || key_bytes + value_bytes > rest.len() {
        return None;
    }
    let (key, value) = (rest.split_to(key_bytes), rest.split_to(value_bytes));
    Some(Write { space: Space::of_tag(head[0])?, key, value: Some(value) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_read_back(rows in prop::collection::vec((0..7_usize, any::<Vec<u8>>(), any::<Vec<u8>>()), 0..5)) {
            let mut part = Vec::new();
            for (space, key, value) in &rows {
                append(&mut part, Space::ALL[*space], key, value);
            }
            let found = read(part.into()).unwrap();
            let found: Vec<_> = found.into_iter().map(|row| (row.space, row.key.to_vec(), row.value.unwrap().to_vec())).collect();
            let expected: Vec<_> = rows.into_iter().map(|(space, key, value)| (Space::ALL[space], key, value)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_harm(bytes: Vec<u8>) {
            let _ = read(bytes.into());
        }
    }
}
