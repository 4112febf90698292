use std::collections::VecDeque;

use bytes::Bytes;

use crate::staged::Staged;
use crate::{Error, Range, Snapshot, Space};

/// Rows deleted in one step: small enough that no transaction waits noticeably behind it.
const STEP_ROWS: usize = 256;

/// The generations given up and not yet deleted. Each is a row, so that a restart goes on where it stopped.
#[derive(Default)]
pub(crate) struct Sweeps {
    pending: VecDeque<Sweep>,
}

struct Sweep {
    space: Space,
    prefix: Bytes,
    /// The last key deleted: the next step begins behind it instead of walking over the tombstones again.
    done_to: Option<Bytes>,
}

const ROW_PREFIX: &[u8] = b"sweep/";

impl Sweeps {
    /// What an earlier run left to do.
    pub(crate) fn load(from: &dyn Snapshot) -> Result<Self, Error> {
        let mut pending = VecDeque::new();
        for (key, _) in from.range(Space::Meta, Range::prefix(ROW_PREFIX), usize::MAX, false)? {
            let named = key.get(ROW_PREFIX.len()).copied().and_then(Space::of_tag);
            let Some(space) = named else {
                return Err(Error::Corrupt(format!("the sweep row {}", key.escape_ascii())));
            };
            pending.push_back(Sweep { space, prefix: key.slice(ROW_PREFIX.len() + 1..), done_to: None });
        }
        Ok(Self { pending })
    }

    /// The row that remembers a sweep.
    pub(crate) fn row(space: Space, prefix: &[u8]) -> Bytes {
        [ROW_PREFIX, &[space.tag()], prefix].concat().into()
    }

    /// Takes on a sweep whose row is committed.
    pub(crate) fn add(&mut self, space: Space, prefix: Bytes) {
        self.pending.push_back(Sweep { space, prefix, done_to: None });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Stages the next bounded step of the oldest sweep.
    pub(crate) fn step(&mut self, staged: &mut Staged) -> Result<(), Error> {
        let Some(sweep) = self.pending.front_mut() else { return Ok(()) };
        let mut range = Range::prefix(sweep.prefix.clone());
        if let Some(done_to) = &sweep.done_to {
            range = range.after(done_to.clone());
        }
        let rows = staged.published().range(sweep.space, range, STEP_ROWS, false)?;
        let finished = rows.len() < STEP_ROWS;
        for (key, _) in rows {
            sweep.done_to = Some(key.clone());
            staged.write(sweep.space, key, None);
        }
        if finished {
            staged.write(Space::Meta, Self::row(sweep.space, &sweep.prefix), None);
            self.pending.pop_front();
        }
        Ok(())
    }
}
