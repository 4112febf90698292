//! Bytes into log lines, and the tail of a log. Pure.

/// Longest line handed on in one piece, bytes: a longer one is cut into fragments.
pub(crate) const FRAGMENT_BYTES: usize = 256 * 1024;

/// Splits a stream of bytes at newlines, whatever the sizes in which they arrive. Carriage returns stay; bytes that are
/// no UTF-8 become the replacement character.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    // The line that has not ended yet; shorter than FRAGMENT_BYTES between calls.
    partial: Vec<u8>,
}

impl Splitter {
    /// Takes bytes and gives each line that is now complete, without its newline.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(String)) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.extend(&bytes[..end], &mut line);
            line(take_text(&mut self.partial));
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes, &mut line);
    }

    /// Gives what has come since the last newline, if anything.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(String)) {
        if !self.partial.is_empty() {
            line(take_text(&mut self.partial));
        }
    }

    fn extend(&mut self, mut bytes: &[u8], line: &mut impl FnMut(String)) {
        while self.partial.len() + bytes.len() >= FRAGMENT_BYTES {
            let take = FRAGMENT_BYTES - self.partial.len();
            self.partial.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            let rest = self.partial.split_off(boundary(&self.partial));
            line(take_text(&mut self.partial));
            self.partial = rest;
        }
        self.partial.extend_from_slice(bytes);
    }
}

/// Where to cut `bytes` so that no UTF-8 character is torn: before a character that has begun but not ended.
fn boundary(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    for at in (from..bytes.len()).rev() {
        let needed = match bytes[at] {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            0x80..=0xbf => continue,
            _ => 1,
        };
        return if at + needed > bytes.len() { at } else { bytes.len() };
    }
    bytes.len()
}

fn take_text(bytes: &mut Vec<u8>) -> String {
    String::from_utf8(std::mem::take(bytes)).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

/// The last bytes of a log: what `LogType=Tail` answers.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    const KEEP: usize = base::limits::LOG_TAIL_BYTES;

    /// Adds a line and its newline.
    pub(crate) fn push(&mut self, line: &str) {
        let line = &line.as_bytes()[line.len().saturating_sub(Self::KEEP)..];
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        // Trimmed seldom, so that many short lines cost no more than their bytes.
        if self.bytes.len() > 4 * Self::KEEP {
            self.trim();
        }
    }

    /// At most the last [`base::limits::LOG_TAIL_BYTES`].
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.trim();
        self.bytes
    }

    fn trim(&mut self) {
        let extra = self.bytes.len().saturating_sub(Self::KEEP);
        self.bytes.drain(..extra);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(pieces: &[&[u8]]) -> Vec<String> {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        for piece in pieces {
            splitter.push(piece, |line| lines.push(line));
        }
        splitter.finish(|line| lines.push(line));
        lines
    }

    #[test]
    fn lines_end_at_newlines_and_keep_their_carriage_returns() {
        assert_eq!(split(&[b"a\r\n\nb", b"c\n", b"d"]), ["a\r", "", "bc", "d"]);
        assert_eq!(split(&[b"\xff\xfea\n"]), ["\u{fffd}\u{fffd}a"]);
        assert!(split(&[b""]).is_empty());
    }

    #[test]
    fn a_long_line_comes_in_fragments_that_tear_no_character() {
        let text = format!("x{}", "é".repeat(FRAGMENT_BYTES));
        let lines = split(&[text.as_bytes()]);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= FRAGMENT_BYTES));
        assert_eq!(lines.concat(), text);
    }

    #[test]
    fn the_tail_is_the_last_bytes() {
        let mut tail = Tail::default();
        let mut all = String::new();
        for i in 0..5000 {
            tail.push(&format!("line {i}"));
            all.push_str(&format!("line {i}\n"));
        }
        assert_eq!(tail.finish(), &all.as_bytes()[all.len() - 4096..]);
        let mut tail = Tail::default();
        tail.push(&"y".repeat(10_000));
        assert_eq!(tail.finish().len(), 4096);
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..400) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(split(&[&bytes[..cut], &bytes[cut..]]), split(&[&bytes]));
        }
    }
}
