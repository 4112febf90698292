//! Page tokens: places between events.
//!
//! A place is a half-open bound: reading forward gives events at or after it, reading backward events before it. So a
//! forward and a backward token with the same digits meet without a gap, and the token at the end of a stream is the same
//! for as long as nothing was added, as CloudWatch Logs promises.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A place in one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// Number in the stream.
    pub seq: u64,
}

impl Place {
    /// Before everything at or after `at_ms`.
    pub fn before(at_ms: i64) -> Self {
        Self { at_ms, seq: 0 }
    }
}

/// Which way a token reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Later events.
    Forward,
    /// Earlier events.
    Backward,
}

/// GetLogEvents' token: `f/` or `b/`, 56 digits, `/s`.
pub fn print(way: Way, place: Place) -> String {
    let letter = if way == Way::Forward { 'f' } else { 'b' };
    format!("{letter}/{:020}{:036}/s", place.at_ms.max(0), place.seq)
}

/// Reads GetLogEvents' token; none if it is none of ours.
pub fn read(token: &str) -> Option<(Way, Place)> {
    let body = token.strip_suffix("/s")?;
    let (way, digits) = match body.split_once('/')? {
        ("f", digits) => (Way::Forward, digits),
        ("b", digits) => (Way::Backward, digits),
        _ => return None,
    };
    if digits.len() != 56 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((way, Place { at_ms: digits[..20].parse().ok()?, seq: digits[20..].parse().ok()? }))
}

/// A place among the events of all streams of a group: time, then stream, then number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupPlace {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// The stream's id.
    pub stream: u64,
    /// Number in the stream.
    pub seq: u64,
}

impl GroupPlace {
    /// The same place as a bound within one stream.
    pub fn within(self, stream: u64) -> Place {
        match stream.cmp(&self.stream) {
            // Its events of that millisecond stand before the place.
            std::cmp::Ordering::Less => Place::before(self.at_ms.saturating_add(1)),
            std::cmp::Ordering::Equal => Place { at_ms: self.at_ms, seq: self.seq },
            std::cmp::Ordering::Greater => Place::before(self.at_ms),
        }
    }
}

/// FilterLogEvents' token.
pub fn print_group(way: Way, place: GroupPlace) -> String {
    let mut raw = vec![if way == Way::Forward { 1 } else { 2 }];
    raw.extend_from_slice(&place.at_ms.to_be_bytes());
    raw.extend_from_slice(&place.stream.to_be_bytes());
    raw.extend_from_slice(&place.seq.to_be_bytes());
    URL_SAFE_NO_PAD.encode(raw)
}

/// Reads FilterLogEvents' token; none if it is none of ours.
pub fn read_group(token: &str) -> Option<(Way, GroupPlace)> {
    let raw = URL_SAFE_NO_PAD.decode(token).ok()?;
    let raw: [u8; 25] = raw.try_into().ok()?;
    let way = match raw[0] {
        1 => Way::Forward,
        2 => Way::Backward,
        _ => return None,
    };
    let number = |at: usize| -> [u8; 8] { raw[at..at + 8].try_into().unwrap_or_default() };
    let place = GroupPlace {
        at_ms: i64::from_be_bytes(number(1)),
        stream: u64::from_be_bytes(number(9)),
        seq: u64::from_be_bytes(number(17)),
    };
    Some((way, place))
}

/// The token of a listing by name: the last name, hidden.
pub fn print_name(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

/// Reads the token of a listing by name.
pub fn read_name(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_read_back(at_ms in 0i64..=i64::MAX, seq: u64, stream: u64, forward: bool, text in "\\PC{0,80}") {
            let way = if forward { Way::Forward } else { Way::Backward };
            let place = Place { at_ms, seq };
            prop_assert_eq!(read(&print(way, place)), Some((way, place)));
            let place = GroupPlace { at_ms, stream, seq };
            prop_assert_eq!(read_group(&print_group(way, place)), Some((way, place)));
            prop_assert_eq!(read_name(&print_name(&text)), Some(text.clone()));
            let _ = (read(&text), read_group(&text), read_name(&text));
        }

        #[test]
        fn a_group_place_cuts_every_stream_at_the_same_event(
            at in 0i64..4, stream in 0u64..4, seq in 0u64..4, cut_at in 0i64..4, cut_stream in 0u64..4, cut_seq in 0u64..4,
        ) {
            let event = GroupPlace { at_ms: at, stream, seq };
            let cut = GroupPlace { at_ms: cut_at, stream: cut_stream, seq: cut_seq };
            prop_assert_eq!(event >= cut, Place { at_ms: at, seq } >= cut.within(stream));
        }
    }
}
