//! Receipt handles: which queue, which message, which receipt.

use base::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::queues::faults;

/// What every handle begins with.
const VERSION: u8 = 1;

/// One receipt of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) queue: u64,
    pub(crate) number: u64,
    /// Never the same for two receipts.
    pub(crate) receipt: u64,
}

impl Handle {
    /// The text clients keep.
    pub(crate) fn text(self) -> String {
        let mut raw = [VERSION; 27];
        for (at, part) in [self.queue, self.number, self.receipt].into_iter().enumerate() {
            raw[3 + at * 8..11 + at * 8].copy_from_slice(&part.to_be_bytes());
        }
        STANDARD.encode(raw)
    }

    /// What a text means.
    ///
    /// # Errors
    /// ReceiptHandleIsInvalid: it is none, or another queue's.
    pub(crate) fn read(text: &str, queue: u64) -> Result<Self, Fault> {
        let raw = STANDARD.decode(text).ok().filter(|raw| raw.len() == 27 && raw.starts_with(&[VERSION; 3]));
        let raw = raw.ok_or_else(|| faults::bad_handle(text))?;
        let part = |at: usize| raw[3 + at * 8..11 + at * 8].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let handle = Self { queue: part(0), number: part(1), receipt: part(2) };
        if handle.queue == queue { Ok(handle) } else { Err(faults::bad_handle(text)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_handle_reads_as_it_was_written(queue: u64, number: u64, receipt: u64, other: u64) {
            let handle = Handle { queue, number, receipt };
            prop_assert_eq!(Handle::read(&handle.text(), queue).unwrap(), handle);
            prop_assert!(other == queue || Handle::read(&handle.text(), other).is_err());
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC*") {
            prop_assert!(Handle::read(&text, 1).is_err());
        }
    }
}
