//! How events lie in the store: a few seconds of one stream's events in one row.
//!
//! A row per event would cost the store as much as the invocation that wrote it. A chunk covers at most [`SPAN_MS`], so a
//! reader that wants events from a moment on knows how far back a chunk may begin that still holds some.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

/// The longest time between a chunk's first and last event.
pub const SPAN_MS: i64 = 5_000;
/// Bytes of messages after which a chunk is closed; one event may be larger than that.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// What CloudWatch counts for each event besides its message.
pub const EVENT_OVERHEAD: usize = 26;

const HEAD: usize = 24;

/// Events of one stream, made ready to be stored: sorted by time, numbered in that order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Time of the first event.
    pub first_ms: i64,
    /// Number of the first event; the others follow.
    pub first_seq: u64,
    /// The row's value.
    pub value: Bytes,
}

/// What a chunk's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Time of the last event.
    pub last_ms: i64,
    /// When the batch came in.
    pub ingested_ms: i64,
    /// How many events.
    pub count: u32,
    /// What they count in `storedBytes`.
    pub stored_bytes: u32,
}

/// Packs events (time and message), numbered from `first_seq` on. They are sorted here, stably: what came first in one
/// millisecond stays first.
pub fn pack(mut events: Vec<(i64, Bytes)>, first_seq: u64, ingested_ms: i64) -> Vec<Chunk> {
    events.sort_by_key(|(at_ms, _)| *at_ms);
    let mut chunks = Vec::new();
    let mut rest = events.as_slice();
    let mut seq = first_seq;
    while let Some((first_ms, _)) = rest.first() {
        let mut bytes = 0;
        let taken = rest.iter().take_while(|(at_ms, message)| {
            let fits = bytes == 0 || bytes + message.len() <= CHUNK_BYTES;
            bytes += message.len().max(1);
            fits && at_ms - first_ms <= SPAN_MS
        });
        let taken = taken.count();
        let (now, later) = rest.split_at(taken);
        chunks.push(Chunk { first_ms: *first_ms, first_seq: seq, value: encode(now, ingested_ms) });
        seq += taken as u64;
        rest = later;
    }
    chunks
}

fn encode(events: &[(i64, Bytes)], ingested_ms: i64) -> Bytes {
    let stored: usize = events.iter().map(|(_, message)| message.len() + EVENT_OVERHEAD).sum();
    let mut out = BytesMut::with_capacity(HEAD + stored);
    out.put_i64(events.last().map_or(0, |(at_ms, _)| *at_ms));
    out.put_i64(ingested_ms);
    out.put_u32(events.len() as u32);
    out.put_u32(stored as u32);
    let mut before = events.first().map_or(0, |(at_ms, _)| *at_ms);
    for (at_ms, message) in events {
        varint(&mut out, (at_ms - before) as u64);
        varint(&mut out, message.len() as u64);
        out.extend_from_slice(message);
        before = *at_ms;
    }
    out.freeze()
}

fn varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Reads the head; none if the row is damaged.
pub fn head(value: &[u8]) -> Option<Head> {
    let number = |at: usize| value.get(at..at + 8).map(|raw| i64::from_be_bytes(raw.try_into().unwrap_or_default()));
    let small = |at: usize| value.get(at..at + 4).map(|raw| u32::from_be_bytes(raw.try_into().unwrap_or_default()));
    Some(Head { last_ms: number(0)?, ingested_ms: number(8)?, count: small(16)?, stored_bytes: small(20)? })
}

/// The bytes in which all messages of a chunk stand; none if the row is damaged.
pub fn messages(value: &[u8]) -> Option<&[u8]> {
    value.get(HEAD..)
}

/// Shows each event of a chunk: its time, its number, and where in the row its message stands. None if the row is
/// damaged.
pub fn each(first_ms: i64, first_seq: u64, value: &[u8], mut show: impl FnMut(i64, u64, Range<usize>)) -> Option<Head> {
    let head = head(value)?;
    let mut at = HEAD;
    let mut at_ms = first_ms;
    for index in 0..u64::from(head.count) {
        at_ms = at_ms.checked_add_unsigned(read_varint(value, &mut at)?)?;
        let size = usize::try_from(read_varint(value, &mut at)?).ok()?;
        let end = at.checked_add(size).filter(|end| *end <= value.len())?;
        show(at_ms, first_seq.checked_add(index)?, at..end);
        at = end;
    }
    Some(head)
}

fn read_varint(value: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *value.get(*at)?;
        *at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back_in_order(
            times in proptest::collection::vec(0i64..60_000, 0..60),
            large in 0usize..60,
            first_seq in 0u64..1000,
        ) {
            let events: Vec<(i64, Bytes)> = times
                .iter()
                .enumerate()
                .map(|(at, ms)| (*ms, Bytes::from(if at == large { "x".repeat(CHUNK_BYTES) } else { format!("m{at}") })))
                .collect();
            let mut expected = events.clone();
            expected.sort_by_key(|(ms, _)| *ms);
            let chunks = pack(events, first_seq, 7);
            let mut seq = first_seq;
            let mut seen = Vec::new();
            for chunk in &chunks {
                prop_assert_eq!(chunk.first_seq, seq);
                let head = head(&chunk.value).unwrap();
                prop_assert!(head.last_ms - chunk.first_ms <= SPAN_MS);
                each(chunk.first_ms, chunk.first_seq, &chunk.value, |at_ms, number, message| {
                    assert_eq!(number, seq);
                    seq += 1;
                    seen.push((at_ms, chunk.value.slice(message)));
                })
                .unwrap();
            }
            prop_assert_eq!(seen, expected);
        }

        #[test]
        fn a_damaged_row_is_no_panic(bytes: Vec<u8>) {
            let _ = each(0, 0, &bytes, |_, _, _| {});
        }
    }
}
