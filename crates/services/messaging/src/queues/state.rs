//! Layout over the store: which row holds what.
//!
//! - [`store::Space::Control`] `sqs/queue/<account>/<region>/<name>`: the queue, JSON; `sqs/gone/…`: when one was deleted, JSON.
//! - [`store::Space::Queue`] `sqs/<generation 8>` and then `c`: how many messages there are, and a number below which there is
//!   none; `m<number 8>`: a message; `b<number 8>`: the body of a large one; `s<number 8>`: its state, once it has one;
//!   `d<span 8><hash 32>`: what a deduplication id stands for, by the spans of five minutes in which it was sent.
//!
//! A number holds the moment at which it was given in its upper bits, so that numbers grow over restarts too.

use base::{Account, Region};
use bytes::{BufMut, Bytes, BytesMut};
use store::{Error, Kv, Space};

use super::types::{Definition, QueueName};

/// The prefix of all queues.
pub(crate) const QUEUES: &str = "sqs/queue/";

/// Bits of a number that count within one millisecond.
pub(crate) const COUNT_BITS: u32 = 20;

/// How long a deduplication id is remembered, ms.
pub(crate) const DEDUPLICATION_MS: i64 = 300_000;

/// The moment at which a number was given, ms.
pub(crate) fn given_ms(number: u64) -> i64 {
    (number >> COUNT_BITS) as i64
}

/// A queue's row.
pub(crate) fn queue_row(name: &QueueName) -> Vec<u8> {
    let QueueName { account, region, name } = name;
    format!("{QUEUES}{account}/{region}/{name}").into_bytes()
}

/// The row that says when a queue was deleted.
pub(crate) fn gone_row(name: &QueueName) -> Vec<u8> {
    let QueueName { account, region, name } = name;
    format!("sqs/gone/{account}/{region}/{name}").into_bytes()
}

/// The prefix of an account's queues in a region.
pub(crate) fn queues_of(account: Account, region: &Region) -> String {
    format!("{QUEUES}{account}/{region}/")
}

/// A queue, if it exists.
pub(crate) fn find(kv: &dyn Kv, name: &QueueName) -> Result<Option<Definition>, Error> {
    store::get_json(kv, Space::Control, &queue_row(name))
}

/// The prefix of everything in a generation.
pub(crate) fn generation(of: u64) -> Bytes {
    let mut row = BytesMut::with_capacity(12);
    row.put_slice(b"sqs/");
    row.put_u64(of);
    row.freeze()
}

fn kind(of: u64, kind: u8, room: usize) -> BytesMut {
    let mut row = BytesMut::with_capacity(13 + room);
    row.put_slice(b"sqs/");
    row.put_u64(of);
    row.put_u8(kind);
    row
}

fn numbered(of: u64, letter: u8, number: u64) -> Bytes {
    let mut row = kind(of, letter, 8);
    row.put_u64(number);
    row.freeze()
}

/// How many messages there are.
pub(crate) fn count(of: u64) -> Bytes {
    kind(of, b'c', 0).freeze()
}

/// A message.
pub(crate) fn message(of: u64, number: u64) -> Bytes {
    numbered(of, b'm', number)
}

/// The body of a large message.
pub(crate) fn body(of: u64, number: u64) -> Bytes {
    numbered(of, b'b', number)
}

/// A message's state.
pub(crate) fn state(of: u64, number: u64) -> Bytes {
    numbered(of, b's', number)
}

/// The prefix of the messages, or of the states.
pub(crate) fn all(of: u64, letter: u8) -> Bytes {
    kind(of, letter, 0).freeze()
}

/// What a deduplication id stands for, in one span of time.
pub(crate) fn duplicate(of: u64, span: u64, hash: &[u8]) -> Bytes {
    let mut row = kind(of, b'd', 8 + hash.len());
    row.put_u64(span);
    row.put_slice(hash);
    row.freeze()
}

/// The prefix of all deduplication ids of one span.
pub(crate) fn span(of: u64, span: u64) -> Bytes {
    numbered(of, b'd', span)
}

/// The number at the end of a row's key.
pub(crate) fn number(row: &[u8]) -> Option<u64> {
    let tail: [u8; 8] = row.get(row.len().checked_sub(8)?..)?.try_into().ok()?;
    Some(u64::from_be_bytes(tail))
}

/// How many messages there are, and the number below which there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) total: u64,
    pub(crate) head: u64,
}

impl Count {
    pub(crate) fn read(value: Option<&[u8]>) -> Self {
        let value: Option<[u8; 16]> = value.and_then(|value| value.try_into().ok());
        let Some(value) = value.map(u128::from_be_bytes) else { return Self::default() };
        Self { total: (value >> 64) as u64, head: value as u64 }
    }

    pub(crate) fn write(self) -> Bytes {
        Bytes::copy_from_slice(&(u128::from(self.total) << 64 | u128::from(self.head)).to_be_bytes())
    }
}

/// A row that does not read.
pub(crate) fn damaged(row: &[u8]) -> Error {
    Error::Corrupt(format!("the row {}", row.escape_ascii()))
}
