//! How a message and its state are written in rows.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The first byte of a message's row.
const VERSION: u8 = 1;
/// Bodies above this size have a row of their own, so that a page of messages stays small. Bytes.
pub(crate) const INLINE_BYTES: usize = 16 * 1024;

/// A user's attribute of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    /// `String`, `Number` or `Binary`, with a label behind a dot if the sender gave one.
    pub(crate) data_type: String,
    pub(crate) value: Bytes,
}

impl Attribute {
    /// Whether its value is bytes, and no text.
    pub(crate) fn is_binary(&self) -> bool {
        self.data_type == "Binary" || self.data_type.starts_with("Binary.")
    }
}

/// A message as it is kept, without its number and state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: [u8; 16],
    pub(crate) sent_ms: i64,
    pub(crate) body_md5: [u8; 16],
    /// None where the body has a row of its own.
    pub(crate) body: Option<Bytes>,
    pub(crate) sender: String,
    pub(crate) group: Option<String>,
    pub(crate) deduplication: Option<String>,
    pub(crate) trace: Option<String>,
    /// The queue from which it was given up.
    pub(crate) source: Option<String>,
    pub(crate) attributes: Vec<Attribute>,
}

impl Stored {
    /// Its row.
    pub(crate) fn write(&self) -> Bytes {
        let inline = self.body.as_ref().map_or(0, Bytes::len);
        let mut out = BytesMut::with_capacity(inline + 160);
        out.put_u8(VERSION);
        // First, so that an index can be read without the rest.
        text(&mut out, self.group.as_deref());
        out.put_u8(u8::from(self.body.is_none()));
        out.put_slice(&self.id);
        out.put_i64(self.sent_ms);
        out.put_slice(&self.body_md5);
        piece(&mut out, self.sender.as_bytes());
        text(&mut out, self.deduplication.as_deref());
        text(&mut out, self.trace.as_deref());
        text(&mut out, self.source.as_deref());
        out.put_u32(self.attributes.len() as u32);
        for attribute in &self.attributes {
            piece(&mut out, attribute.name.as_bytes());
            piece(&mut out, attribute.data_type.as_bytes());
            piece(&mut out, &attribute.value);
        }
        if let Some(body) = &self.body {
            out.put_slice(body);
        }
        out.freeze()
    }

    /// What a row says; none if it does not read.
    pub(crate) fn read(mut row: Bytes) -> Option<Self> {
        let (group, large) = Self::peek(&mut row)?;
        if row.remaining() < 40 {
            return None;
        }
        let mut stored = Self { group, ..Self::default() };
        row.copy_to_slice(&mut stored.id);
        stored.sent_ms = row.get_i64();
        row.copy_to_slice(&mut stored.body_md5);
        stored.sender = String::from_utf8(take(&mut row)?.into()).ok()?;
        stored.deduplication = take_text(&mut row)?;
        stored.trace = take_text(&mut row)?;
        stored.source = take_text(&mut row)?;
        for _ in 0..row.try_get_u32().ok()? {
            let (name, data_type, value) = (take(&mut row)?, take(&mut row)?, take(&mut row)?);
            let read = |raw: Bytes| String::from_utf8(raw.into()).ok();
            stored.attributes.push(Attribute { name: read(name)?, data_type: read(data_type)?, value });
        }
        stored.body = (!large).then_some(row);
        Some(stored)
    }

    /// The group of a message, and whether its body has a row of its own, from the begin of its row.
    pub(crate) fn peek(row: &mut Bytes) -> Option<(Option<String>, bool)> {
        if row.try_get_u8().ok()? != VERSION {
            return None;
        }
        let group = take_text(row)?;
        let large = row.try_get_u8().ok()? == 1;
        Some((group, large))
    }
}

fn piece(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

fn text(out: &mut BytesMut, text: Option<&str>) {
    out.put_u8(u8::from(text.is_some()));
    if let Some(text) = text {
        piece(out, text.as_bytes());
    }
}

fn take(row: &mut Bytes) -> Option<Bytes> {
    let length = row.try_get_u32().ok()? as usize;
    (row.remaining() >= length).then(|| row.split_to(length))
}

fn take_text(row: &mut Bytes) -> Option<Option<String>> {
    match row.try_get_u8().ok()? {
        0 => Some(None),
        _ => Some(Some(String::from_utf8(take(row)?.into()).ok()?)),
    }
}

/// What became of a message that was delayed, handed out or moved. Moments in ms since the epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// When it may be received.
    pub(crate) visible_ms: i64,
    /// How often it was received from this queue, and from others before.
    pub(crate) receives: u32,
    pub(crate) earlier: u32,
    pub(crate) first_ms: i64,
    /// When it was last received.
    pub(crate) taken_ms: i64,
    /// The last receipt; 0 if there was none.
    pub(crate) receipt: u64,
    /// From when on its retention counts.
    pub(crate) sent_ms: i64,
    /// Its body has a row of its own.
    pub(crate) large: bool,
}

/// Bytes of a state, without the group.
const STATE_BYTES: usize = 49;

impl State {
    /// Its row; the group is that of a message in a FIFO queue.
    pub(crate) fn write(&self, group: Option<&str>) -> Bytes {
        let group = group.unwrap_or_default();
        let mut out = BytesMut::with_capacity(STATE_BYTES + group.len());
        out.put_i64(self.visible_ms);
        out.put_u32(self.receives);
        out.put_u32(self.earlier);
        out.put_i64(self.first_ms);
        out.put_i64(self.taken_ms);
        out.put_u64(self.receipt);
        out.put_i64(self.sent_ms);
        out.put_u8(u8::from(self.large));
        out.put_slice(group.as_bytes());
        out.freeze()
    }

    /// What a row says; none if it does not read.
    pub(crate) fn read(mut row: &[u8]) -> Option<(Self, Option<Arc<str>>)> {
        if row.len() < STATE_BYTES {
            return None;
        }
        let state = Self {
            visible_ms: row.get_i64(),
            receives: row.get_u32(),
            earlier: row.get_u32(),
            first_ms: row.get_i64(),
            taken_ms: row.get_i64(),
            receipt: row.get_u64(),
            sent_ms: row.get_i64(),
            large: row.get_u8() == 1,
        };
        let group = std::str::from_utf8(row).ok()?;
        Some((state, (!group.is_empty()).then(|| group.into())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute() -> impl Strategy<Value = Attribute> {
        ("\\PC{0,8}", "\\PC{0,8}", any::<Vec<u8>>()).prop_map(|(name, data_type, value)| Attribute {
            name,
            data_type,
            value: value.into(),
        })
    }

    proptest! {
        #[test]
        fn messages_read_as_they_were_written(
            id: [u8; 16], sent_ms: i64, body: Option<Vec<u8>>, sender in "\\PC{0,9}", group in prop::option::of("\\PC{0,9}"),
            deduplication in prop::option::of("\\PC{0,9}"), trace in prop::option::of("\\PC{0,9}"),
            source in prop::option::of("\\PC{0,9}"), attributes in prop::collection::vec(attribute(), 0..4),
        ) {
            let stored = Stored {
                id, sent_ms, body_md5: id, body: body.map(Into::into), sender, group, deduplication, trace, source, attributes,
            };
            let row = stored.write();
            prop_assert_eq!(Stored::peek(&mut row.clone()).unwrap(), (stored.group.clone(), stored.body.is_none()));
            prop_assert_eq!(Stored::read(row).unwrap(), stored);
        }

        #[test]
        fn states_read_as_they_were_written(
            visible_ms: i64, receives: u32, earlier: u32, receipt: u64, large: bool, group in prop::option::of("\\PC{1,9}"),
        ) {
            let state = State { visible_ms, receives, earlier, receipt, large, first_ms: 1, taken_ms: 2, sent_ms: 3 };
            let (read, of) = State::read(&state.write(group.as_deref())).unwrap();
            prop_assert_eq!((read, of.as_deref()), (state, group.as_deref()));
        }

        #[test]
        fn no_row_breaks_it(row: Vec<u8>) {
            let _ = State::read(&row);
            let _ = Stored::read(row.into());
        }
    }
}
