//! Layout over the store: which row holds what.
//!
//! - [`Space::Control`] `logs/group/<account>/<region>/<name>`: the group, JSON.
//! - [`Space::Log`] `<generation 8>s<name>`: a stream, JSON; `<generation 8>b`: the group's stored bytes, 8 bytes;
//!   `<generation 8>e<stream 8><time 8><number 8>`: a chunk of events.
//! - [`Space::Usage`] `<account>/<day>/<region>/<arn>`: what was used, JSON; `receipt/<request>/<time>`: what one
//!   invocation used and is still to be counted, JSON; `metric/…` and `cell/…`: see `metrics/rows.rs`.
//!
//! A group's rows share the generation's prefix and a stream's chunks the stream's, so that both are given up at once.

use base::{Account, Region};
use store::{Error, Kv, Snapshot, Space};

use crate::rules::token::Place;
use crate::types::{Group, Stream};

/// The prefix of all groups.
pub(crate) const GROUPS: &str = "logs/group/";

/// A group's full name: account, region, name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupName {
    pub(crate) account: Account,
    pub(crate) region: Region,
    pub(crate) name: String,
}

impl GroupName {
    /// Its row.
    pub(crate) fn row(&self) -> Vec<u8> {
        let mut row = groups_prefix(self.account, &self.region);
        row.extend_from_slice(self.name.as_bytes());
        row
    }

    /// `arn:aws:logs:region:account:log-group:name`
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:logs:{}:{}:log-group:{}", self.region, self.account, self.name)
    }
}

/// The prefix of an account's groups in a region.
pub(crate) fn groups_prefix(account: Account, region: &Region) -> Vec<u8> {
    format!("{GROUPS}{account}/{region}/").into_bytes()
}

/// The prefix of everything in a group.
pub(crate) fn generation(generation: u64) -> Vec<u8> {
    generation.to_be_bytes().to_vec()
}

/// The prefix of a group's streams.
pub(crate) fn streams(of: u64) -> Vec<u8> {
    let mut row = generation(of);
    row.push(b's');
    row
}

/// A stream's row.
pub(crate) fn stream(of: u64, name: &str) -> Vec<u8> {
    let mut row = streams(of);
    row.extend_from_slice(name.as_bytes());
    row
}

/// The row of a group's stored bytes.
pub(crate) fn stored(of: u64) -> Vec<u8> {
    let mut row = generation(of);
    row.push(b'b');
    row
}

/// The prefix of a stream's chunks.
pub(crate) fn chunks(of: u64, stream: u64) -> Vec<u8> {
    let mut row = generation(of);
    row.push(b'e');
    row.extend_from_slice(&stream.to_be_bytes());
    row
}

/// Moves the sign so that byte order is the order of numbers.
fn ordered(number: i64) -> [u8; 8] {
    ((number as u64) ^ (1 << 63)).to_be_bytes()
}

/// The row of the chunk that begins at `place`.
pub(crate) fn chunk(of: u64, stream: u64, place: Place) -> Vec<u8> {
    let mut row = chunks(of, stream);
    row.extend_from_slice(&ordered(place.at_ms));
    row.extend_from_slice(&place.seq.to_be_bytes());
    row
}

/// Where a chunk begins, from its row.
pub(crate) fn chunk_place(row: &[u8]) -> Option<Place> {
    let tail: [u8; 16] = row.get(row.len().checked_sub(16)?..)?.try_into().ok()?;
    let (time, seq) = tail.split_at(8);
    let time = u64::from_be_bytes(time.try_into().ok()?) ^ (1 << 63);
    Some(Place { at_ms: time as i64, seq: u64::from_be_bytes(seq.try_into().ok()?) })
}

/// A group, if it exists.
pub(crate) fn group(kv: &dyn Kv, name: &GroupName) -> Result<Option<Group>, Error> {
    store::get_json(kv, Space::Control, &name.row())
}

/// A stream, if it exists.
pub(crate) fn find_stream(view: &dyn Snapshot, of: u64, name: &str) -> Result<Option<Stream>, Error> {
    let row = stream(of, name);
    view.get(Space::Log, &row)?.map(|value| parse(&row, &value)).transpose()
}

/// A row's JSON.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(row: &[u8], value: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|_| Error::Corrupt(format!("the row {}", row.escape_ascii())))
}

/// A counter's value; absent is 0.
pub(crate) fn number(value: Option<&[u8]>) -> u64 {
    value.and_then(|raw| raw.try_into().ok()).map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chunk_rows_sort_as_their_places(a: i64, b: i64, m: u64, n: u64) {
            let (one, two) = (Place { at_ms: a, seq: m }, Place { at_ms: b, seq: n });
            prop_assert_eq!(chunk(1, 2, one).cmp(&chunk(1, 2, two)), one.cmp(&two));
            prop_assert_eq!(chunk_place(&chunk(1, 2, one)), Some(one));
        }
    }
}
