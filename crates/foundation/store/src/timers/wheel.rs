//! What is in memory of the timers: the nearest of each owner. No store, no clock: pure.

use std::collections::{BTreeSet, HashMap, VecDeque};

use base::Timestamp;
use bytes::Bytes;

use super::Place;

/// All owners' nearest timers.
pub(super) struct Wheel {
    pub(super) lanes: Vec<Lane>,
}

/// What the loop does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This is due, and its owner has room for it; it counts as under way from now on.
    Due { lane: usize, key: Bytes },
    /// What comes from this key on is known to the disk only.
    Unknown { lane: usize, from: Bytes },
    /// Nothing before this moment; none: nothing until something new is said.
    Later(Option<Timestamp>),
}

/// The nearest timers of one owner.
pub(super) struct Lane {
    place: Place,
    at_once: usize,
    most: usize,
    // All rows before `beyond` that are not under way, parked or resting; all rows there are if there is no such key.
    window: BTreeSet<Bytes>,
    beyond: Option<Bytes>,
    pub(super) loading: Option<Loading>,
    // Those whose work failed, by the moment at which they are tried again.
    resting: BTreeSet<(Timestamp, Bytes)>,
    under_way: usize,
    parts: HashMap<String, Part>,
    parked: usize,
}

/// What was written, at or after the first key that is not known, while a page was read.
#[derive(Debug, Default)]
pub(super) struct Loading {
    came: BTreeSet<Bytes>,
    // The first of those for which there was no room.
    lost: Option<Bytes>,
}

/// A part of an owner's work that has timers under way.
#[derive(Default)]
struct Part {
    under_way: usize,
    // Due, in order; there is no room for them now.
    parked: VecDeque<Bytes>,
}

impl Lane {
    pub(super) fn new(place: Place, at_once: usize, most: usize) -> Self {
        Self {
            place,
            at_once,
            most,
            window: BTreeSet::new(),
            beyond: Some(Bytes::from_static(place.prefix.as_bytes())),
            loading: None,
            resting: BTreeSet::new(),
            under_way: 0,
            parts: HashMap::new(),
            parked: 0,
        }
    }

    /// A row was written; whether it is now the first.
    pub(super) fn insert(&mut self, key: Bytes) -> bool {
        if self.beyond.as_ref().is_some_and(|beyond| key >= *beyond) {
            if let Some(loading) = &mut self.loading {
                loading.note(key, self.most);
            }
            return false;
        }
        let first = self.window.first().is_none_or(|first| key < *first);
        self.window.insert(key);
        if self.window.len() > self.most
            && let Some(last) = self.window.pop_last()
        {
            // The page being read knows nothing of it.
            if let Some(loading) = &mut self.loading {
                loading.lose(last.clone());
            }
            self.beyond = Some(last);
        }
        first
    }

    /// A row is gone.
    pub(super) fn remove(&mut self, key: &Bytes) {
        self.window.remove(key);
        if let Some(loading) = &mut self.loading {
            loading.came.remove(key);
        }
    }

    /// A page was read from the first unknown key on; `more` if there may be rows after it.
    pub(super) fn loaded(&mut self, keys: Vec<Bytes>, more: bool) {
        let Loading { came, lost } = self.loading.take().unwrap_or_default();
        let after_last = keys.last().filter(|_| more).map(|last| [&last[..], &[0]].concat().into());
        self.beyond = match (after_last, lost) {
            (Some(after), Some(lost)) => Some(std::cmp::min::<Bytes>(after, lost)),
            (after, lost) => after.or(lost),
        };
        for key in keys.into_iter().chain(came) {
            self.insert(key);
        }
    }

    /// One under way has ended: the next of its part may go. `again` if its work failed: when to do it anew.
    pub(super) fn ended(&mut self, part: Option<&str>, again: Option<(Timestamp, Bytes)>) {
        self.under_way -= 1;
        self.resting.extend(again);
        let Some(name) = part else { return };
        let Some(part) = self.parts.get_mut(name) else { return };
        part.under_way -= 1;
        let next = part.parked.pop_front();
        if part.under_way == 0 && part.parked.is_empty() {
            self.parts.remove(name);
        }
        if let Some(next) = next {
            self.parked -= 1;
            self.window.insert(next);
        }
    }

    fn has_room(&self) -> bool {
        self.under_way < self.at_once && self.parked < self.most
    }

    /// The first moment for which something is known here.
    fn first_due(&self) -> Option<Timestamp> {
        let window = self.window.first().map(|key| self.place.read(key).map_or(Timestamp(0), |(due, _)| due));
        let resting = self.resting.first().map(|(again, _)| *again);
        [window, resting].into_iter().flatten().min()
    }

    /// Takes the first; its part's name if it belongs to one.
    fn pop(&mut self, due: Timestamp) -> Option<Bytes> {
        if self.resting.first().is_some_and(|(again, _)| *again <= due) {
            return self.resting.pop_first().map(|(_, key)| key);
        }
        self.window.pop_first()
    }

    /// Counts a timer as under way, or parks it if its part has no room.
    fn admit(&mut self, key: &Bytes, part: Option<(String, usize)>) -> bool {
        if let Some((name, most)) = part {
            let part = self.parts.entry(name).or_default();
            if part.under_way >= most.max(1) {
                part.parked.push_back(key.clone());
                self.parked += 1;
                return false;
            }
            part.under_way += 1;
        }
        self.under_way += 1;
        true
    }

    /// How many are held in memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.window.len() + self.resting.len() + self.parked
    }
}

impl Loading {
    fn note(&mut self, key: Bytes, most: usize) {
        self.came.insert(key);
        if self.came.len() > most
            && let Some(last) = self.came.pop_last()
        {
            self.lose(last);
        }
    }

    fn lose(&mut self, key: Bytes) {
        if self.lost.as_ref().is_none_or(|lost| key < *lost) {
            self.lost = Some(key);
        }
    }
}

impl Wheel {
    /// What to do at this moment. `strictly`: what is due of one owner ends before another's begins. `part` says to which
    /// part of a lane's work an id belongs, and how many of it may be under way.
    pub(super) fn next(
        &mut self,
        now: Timestamp,
        strictly: bool,
        part: impl Fn(usize, &str) -> Option<(String, usize)>,
    ) -> Next {
        loop {
            let unknown = self.lanes.iter().position(|lane| lane.window.is_empty() && lane.beyond.is_some());
            if let Some(lane) = unknown
                && let Some(from) = self.lanes[lane].beyond.clone()
            {
                return Next::Unknown { lane, from };
            }
            let busy = self.lanes.iter().position(|lane| lane.under_way > 0).filter(|_| strictly);
            let open = |(at, lane): &(usize, &Lane)| lane.has_room() && busy.is_none_or(|busy| busy == *at);
            let known = self.lanes.iter().enumerate().filter(open);
            let first = known.filter_map(|(at, lane)| Some((lane.first_due()?, at))).min();
            let Some((due, at)) = first else { return Next::Later(None) };
            if due > now {
                return Next::Later(Some(due));
            }
            let lane = &mut self.lanes[at];
            let Some(key) = lane.pop(due) else { return Next::Later(None) };
            let place = lane.place;
            let of = place.read(&key).and_then(|(_, id)| part(at, id));
            if lane.admit(&key, of) {
                return Next::Due { lane: at, key };
            }
        }
    }
}

#[cfg(test)]
mod tests;
