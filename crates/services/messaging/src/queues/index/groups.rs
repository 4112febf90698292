//! The groups of a FIFO queue: while a message of one is handed out, the others of it wait.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Index, Place};

/// The messages of one group that are in memory.
#[derive(Debug, Default)]
pub(super) struct Group {
    // Handed out or leaving.
    out: usize,
    // Those not handed out, in order.
    waiting: BTreeSet<u64>,
    // Which of them is among the index's heads.
    head: Option<u64>,
}

impl Index {
    /// A fresh message joins its group; the group's own name is given back, so that it is in memory once.
    pub(super) fn join_group(&mut self, number: u64, group: Option<Arc<str>>) -> Option<Arc<str>> {
        let group = group.filter(|_| self.fifo)?;
        let name = self.groups.get_key_value(&group).map_or(group, |(name, _)| Arc::clone(name));
        self.regroup(Some(&name), number, false);
        self.refresh(Some(&name));
        Some(name)
    }

    /// A fresh message is no longer in memory.
    pub(super) fn leave_group(&mut self, number: u64, group: Option<&Arc<str>>) {
        self.ungroup(group, number, false);
        self.refresh(group);
    }

    pub(super) fn ungroup(&mut self, group: Option<&Arc<str>>, number: u64, is_out: bool) {
        let Some(group) = group.and_then(|group| self.groups.get_mut(group)) else { return };
        match is_out {
            true => group.out = group.out.saturating_sub(1),
            false => drop(group.waiting.remove(&number)),
        }
    }

    pub(super) fn regroup(&mut self, group: Option<&Arc<str>>, number: u64, is_out: bool) {
        let Some(name) = group.filter(|_| self.fifo) else { return };
        let group = self.groups.entry(Arc::clone(name)).or_default();
        match is_out {
            true => group.out += 1,
            false => drop(group.waiting.insert(number)),
        }
    }

    /// Finds anew which message of a group may be received.
    pub(super) fn refresh(&mut self, group: Option<&Arc<str>>) {
        let Some(name) = group else { return };
        let Some(group) = self.groups.get_mut(name) else { return };
        let first = group.waiting.first().copied().filter(|_| group.out == 0);
        let is_delayed = |number: &u64| self.known.get(number).is_some_and(|known| known.place == Place::Delayed);
        let first = first.filter(|number| !is_delayed(number));
        if group.head != first {
            if let Some(old) = std::mem::replace(&mut group.head, first) {
                self.heads.remove(&old);
            }
            self.heads.extend(first);
        }
        if group.out == 0 && group.waiting.is_empty() {
            self.groups.remove(name);
        }
    }

    /// The next message of a group of which some were just handed out.
    pub(super) fn next_of(&self, group: &Arc<str>) -> Option<u64> {
        let number = self.groups.get(group)?.waiting.first()?;
        let is_delayed = self.known.get(number).is_some_and(|known| known.place == Place::Delayed);
        (!is_delayed).then_some(*number)
    }
}
