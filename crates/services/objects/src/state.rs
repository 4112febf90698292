//! Layout over the store: which row holds what.
//!
//! - [`Space::Control`] `s3/bucket/<name>`: a bucket, JSON; `s3/owned/<account>/<name>`: that it is the account's, empty;
//!   `s3/key`: the platform's own key, 32 bytes, never shown.
//! - [`Space::Object`] under a bucket's generation (8 bytes): `o<key>` the newest version of a key with what else there is ([`Head`]);
//!   `v<key>00 00<number>` an older version, newest first; `d<id>` bytes of a small object, encrypted; `u<key>00 00<upload>` an upload under way; `t<upload><number>` one of its parts.
//! - The same under generation 0: `h<sha256><id>` that some content uses this blob, empty; `b<sha256>` a blob of this room
//!   ([`Stored`]); `c<fingerprint>` the blob that holds these bytes; `p<id>` the parts of an object; `g<id>` what nothing names any more ([`Garbage`]).
//!
//! Keys are escaped so that their order is kept and none is the beginning of another's rows: `00` is written `00 FF`.

use base::{Account, Fault};
use bytes::Bytes;
use store::{Digest, Error, Kv, Range, Space};

use crate::types::Bucket;

/// The prefix of all buckets.
pub(crate) const BUCKETS: &str = "s3/bucket/";
/// The row of the platform's own key.
pub(crate) const MASTER: &str = "s3/key";
/// The prefix of rows that belong to no bucket.
const NOBODY: u64 = 0;

/// A bucket's row.
pub(crate) fn bucket_row(name: &str) -> String {
    format!("{BUCKETS}{name}")
}

/// The prefix of an account's buckets.
pub(crate) fn owned(account: Account) -> String {
    format!("s3/owned/{account}/")
}

/// The row that says whose a bucket is.
pub(crate) fn owned_row(account: &str, name: &str) -> String {
    format!("s3/owned/{account}/{name}")
}

/// The id of some content or upload: 16 bytes.
pub(crate) type Id = [u8; 16];

/// `00112233…`: 32 hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// What 32 hexadecimal digits say.
pub(crate) fn id_of(text: &str) -> Option<Id> {
    let mut id = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(id)
}

fn row(generation: u64, kind: u8, rest: &[&[u8]]) -> Vec<u8> {
    let mut row = Vec::with_capacity(9 + rest.iter().map(|part| part.len()).sum::<usize>());
    row.extend_from_slice(&generation.to_be_bytes());
    row.push(kind);
    rest.iter().for_each(|part| row.extend_from_slice(part));
    row
}

/// A key, or the beginning of one, as rows have it.
pub(crate) fn escaped(key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len());
    for &byte in key.as_bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out
}

/// The key of an escaped one; none if it is none.
pub(crate) fn unescaped(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        out.push(byte);
        if byte == 0 && rest.next() != Some(&0xff) {
            return None;
        }
    }
    String::from_utf8(out).ok()
}

/// The prefix of everything in a bucket.
pub(crate) fn everything(generation: u64) -> Vec<u8> {
    generation.to_be_bytes().to_vec()
}

/// The prefix of the heads of keys that begin with `prefix`.
pub(crate) fn heads(generation: u64, prefix: &str) -> Vec<u8> {
    row(generation, b'o', &[&escaped(prefix)])
}

/// The row of a key's head.
pub(crate) fn head(generation: u64, key: &str) -> Vec<u8> {
    heads(generation, key)
}

/// The key of a head's row.
pub(crate) fn key_of_head(row: &[u8]) -> Option<String> {
    unescaped(row.get(9..)?)
}

/// The prefix of the older versions of a key.
pub(crate) fn older_of(generation: u64, key: &str) -> Vec<u8> {
    row(generation, b'v', &[&escaped(key), &[0, 0]])
}

/// The row of an older version.
pub(crate) fn older(generation: u64, key: &str, seq: u64) -> Vec<u8> {
    row(generation, b'v', &[&escaped(key), &[0, 0], &(!seq).to_be_bytes()])
}

/// The row of a small object's bytes.
pub(crate) fn data(generation: u64, id: &Id) -> Vec<u8> {
    row(generation, b'd', &[id])
}

/// The row that lists an object's parts. It outlives its bucket until the parts are given back.
pub(crate) fn parts(id: &Id) -> Vec<u8> {
    row(NOBODY, b'p', &[id])
}

/// The prefix of uploads of keys that begin with `prefix`.
pub(crate) fn uploads(generation: u64, prefix: &str) -> Vec<u8> {
    row(generation, b'u', &[&escaped(prefix)])
}

/// The row of an upload.
pub(crate) fn upload(generation: u64, key: &str, id: &Id) -> Vec<u8> {
    row(generation, b'u', &[&escaped(key), &[0, 0], id])
}

/// The key and id of an upload's row.
pub(crate) fn key_of_upload(row: &[u8]) -> Option<(String, Id)> {
    let end = row.len().checked_sub(18)?;
    Some((unescaped(row.get(9..end)?)?, row.get(end + 2..)?.try_into().ok()?))
}

/// The prefix of an upload's parts.
pub(crate) fn parts_of_upload(generation: u64, id: &Id) -> Vec<u8> {
    row(generation, b't', &[id])
}

/// The row of an upload's part.
pub(crate) fn part_of_upload(generation: u64, id: &Id, number: u32) -> Vec<u8> {
    row(generation, b't', &[id, &number.to_be_bytes()])
}

/// The prefix of the uses of a blob.
pub(crate) fn holds(blob: &Digest) -> Vec<u8> {
    row(NOBODY, b'h', &[blob.as_bytes()])
}

/// The row that says that a content uses a blob.
pub(crate) fn hold(blob: &Digest, id: &Id) -> Vec<u8> {
    row(NOBODY, b'h', &[blob.as_bytes(), id])
}

/// The row of a blob.
pub(crate) fn blob(blob: &Digest) -> Vec<u8> {
    row(NOBODY, b'b', &[blob.as_bytes()])
}

/// The prefix of all blobs.
pub(crate) fn blobs() -> Vec<u8> {
    row(NOBODY, b'b', &[])
}

/// The row of the blob that holds bytes with this fingerprint.
pub(crate) fn same(fingerprint: &str) -> Vec<u8> {
    row(NOBODY, b'c', &[fingerprint.as_bytes()])
}

/// The prefix of what nothing names any more.
pub(crate) fn all_garbage() -> Vec<u8> {
    row(NOBODY, b'g', &[])
}

/// The row of something that nothing names any more.
pub(crate) fn garbage(id: &Id) -> Vec<u8> {
    row(NOBODY, b'g', &[id])
}

/// A bucket, if it exists.
pub(crate) fn find_bucket(kv: &dyn Kv, name: &str) -> Result<Option<Bucket>, Fault> {
    Ok(store::get_json(kv, Space::Control, bucket_row(name).as_bytes())?)
}

/// A row's JSON.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(row: &[u8], value: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(value).map_err(|_| Error::Corrupt(format!("the row {}", row.escape_ascii())).into())
}

/// The rows under a prefix that come after one of them.
pub(crate) fn after(prefix: Vec<u8>, last: Option<Bytes>) -> Range {
    let range = Range::prefix(prefix);
    match last {
        Some(last) => range.after(last),
        None => range,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_keep_the_order_of_keys_and_give_them_back(a in ".{0,20}|[\\x00-\\x02]{0,6}", b in ".{0,20}|[\\x00-\\x02]{0,6}", m: u64, n: u64) {
            prop_assert_eq!(heads(1, &a).cmp(&heads(1, &b)), a.as_bytes().cmp(b.as_bytes()));
            prop_assert_eq!(key_of_head(&head(7, &a)), Some(a.clone()));
            prop_assert_eq!(key_of_upload(&upload(7, &a, &[3; 16])), Some((a.clone(), [3; 16])));
            // All versions of one key stand before those of the next, newest first.
            let order = a.as_bytes().cmp(b.as_bytes()).then(n.cmp(&m));
            prop_assert_eq!(older(1, &a, m).cmp(&older(1, &b, n)), order);
            prop_assert_eq!(older(1, &a, m).starts_with(&older_of(1, &b)), a == b);
        }
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        assert_eq!(id_of(&hex(&[0xab; 16])), Some([0xab; 16]));
        for wrong in ["", "ab", "zz000000000000000000000000000000", "é000000000000000000000000000000"] {
            assert_eq!(id_of(wrong), None);
        }
    }
}
