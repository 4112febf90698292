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
    /// Set while a step cannot succeed, so that the sequencer does not spin on it: until the next group is written.
    paused: bool,
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
        Ok(Self { pending, paused: false })
    }

    /// The row that remembers a sweep.
    pub(crate) fn row(space: Space, prefix: &[u8]) -> Bytes {
        [ROW_PREFIX, &[space.tag()], prefix].concat().into()
    }

    /// Takes on a sweep whose row is committed.
    pub(crate) fn add(&mut self, space: Space, prefix: Bytes) {
        self.pending.push_back(Sweep { space, prefix, done_to: None });
    }

    /// True if there is nothing to do now.
    pub(crate) fn idle(&self) -> bool {
        self.paused || self.pending.is_empty()
    }

    /// Rests until [`Sweeps::resume`].
    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    /// Goes on: a group was written.
    pub(crate) fn resume(&mut self) {
        self.paused = false;
    }

    /// Stages the next bounded step of the oldest sweep.
    pub(crate) fn step(&mut self, staged: &mut Staged) -> Result<(), Error> {
        if self.paused {
            return Ok(());
        }
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
