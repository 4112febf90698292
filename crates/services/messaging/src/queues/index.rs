//! What may be received from a queue next: the index of its messages in memory. Pure: no store, no clock.
//!
//! It holds the nearest messages that were never touched (*fresh*), and all that have a state (*known*): delayed, handed out,
//! visible again, leaving. What comes after is on the disk alone, from one number on (*beyond*), and is read in pages. A number that was
//! given and whose message is not durable yet is *pending*: in a FIFO queue nothing after it may be received.

mod groups;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use super::rules::stored::State;
use super::state::{COUNT_BITS, given_ms};
use groups::Group;

/// Fresh messages of a standard queue in memory.
const WINDOW: usize = 4096;
/// Fresh messages of a FIFO queue in memory: as far as one group's backlog may hide the others, as on AWS.
const FIFO_WINDOW: usize = 120_000;
/// Rows of fresh messages that are kept beside the index, bytes.
const HELD_BYTES: usize = 512 * 1024;
/// Dead letters set aside at once.
const DEAD: usize = 32;

/// Where a message with a state stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Delayed,
    InFlight,
    Visible,
    /// It is being deleted or moved: in memory until that is durable.
    Leaving,
}

#[derive(Debug)]
struct Fresh {
    row: Option<Bytes>,
    group: Option<Arc<str>>,
    large: bool,
}

#[derive(Debug)]
struct Known {
    state: State,
    group: Option<Arc<str>>,
    place: Place,
    /// A change of it is on its way to the disk.
    busy: bool,
}

/// The index of one queue.
#[derive(Debug)]
pub(crate) struct Index {
    fifo: bool,
    fresh: BTreeMap<u64, Fresh>,
    held_bytes: usize,
    beyond: Option<u64>,
    known: BTreeMap<u64, Known>,
    // Delayed and in flight, by when that ends.
    due: BTreeSet<(i64, u64)>,
    // Visible again; of standard queues.
    again: BTreeSet<u64>,
    groups: HashMap<Arc<str>, Group>,
    // The first of each group that may be received.
    heads: BTreeSet<u64>,
    pending: BTreeSet<u64>,
    // Whose retention counts from before their number was given: moved here from another queue.
    early: BTreeSet<(i64, u64)>,
    // Something became visible by itself, and whoever waits has not been told.
    ripe: bool,
    total: u64,
    in_flight: u64,
    delayed: u64,
    last: u64,
}

/// A message that has become durable.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    pub(crate) row: Option<Bytes>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) large: bool,
    /// If it has one from the beginning.
    pub(crate) state: Option<State>,
}

/// A message that is handed out.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) number: u64,
    pub(crate) state: State,
    pub(crate) before: Option<State>,
    pub(crate) row: Option<Bytes>,
    pub(crate) group: Option<Arc<str>>,
}

/// What a receiver wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    pub(crate) most: usize,
    pub(crate) visible_ms: i64,
    /// Receives after which a message is a dead letter.
    pub(crate) maximum: Option<u32>,
}

/// What a deletion meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// Nothing: it is gone, or was received anew since.
    Nothing,
    /// A FIFO queue has given it back.
    Expired,
    /// A message, which leaves.
    Leaves { large: bool },
}

/// What a change of visibility meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// There is no such message.
    Missing,
    /// It was received anew since.
    Superseded,
    /// A FIFO queue has given it back.
    Expired,
    /// Its state before and after.
    Made(State, State),
}

impl Index {
    /// An index over `total` messages, those with a state, and those on the disk from `head` on.
    pub(crate) fn new(
        fifo: bool,
        total: u64,
        head: u64,
        states: Vec<(u64, State, Option<Arc<str>>)>,
        now: i64,
    ) -> Self {
        let mut index = Self {
            fifo,
            fresh: BTreeMap::new(),
            held_bytes: 0,
            // Whatever is counted: what is there is found by looking.
            beyond: Some(head),
            known: BTreeMap::new(),
            due: BTreeSet::new(),
            again: BTreeSet::new(),
            groups: HashMap::new(),
            heads: BTreeSet::new(),
            pending: BTreeSet::new(),
            early: BTreeSet::new(),
            ripe: false,
            total,
            in_flight: 0,
            delayed: 0,
            last: head,
        };
        for (number, state, group) in states {
            index.last = index.last.max(number);
            index.know(number, state, group, now);
        }
        index
    }

    /// No number up to this one is given again.
    pub(crate) fn reached(&mut self, number: u64) {
        self.last = self.last.max(number);
    }

    /// A number for a message that is sent now. It is pending until it arrives or is abandoned.
    pub(crate) fn next_number(&mut self, now: i64) -> u64 {
        self.last = (self.last + 1).max((now.max(0) as u64) << COUNT_BITS);
        self.pending.insert(self.last);
        self.last
    }

    /// Nothing came under this number.
    pub(crate) fn abandon(&mut self, number: u64) {
        self.pending.remove(&number);
    }

    /// A message is durable.
    pub(crate) fn arrive(&mut self, number: u64, arrival: Arrival, now: i64) {
        let Arrival { row, group, large, state } = arrival;
        self.pending.remove(&number);
        self.total += 1;
        if let Some(state) = state {
            return self.know(number, state, group, now);
        }
        if self.beyond.is_some_and(|beyond| number >= beyond) {
            return;
        }
        self.refresh_with(number, Fresh { row, group, large });
        if self.fresh.len() > if self.fifo { FIFO_WINDOW } else { WINDOW }
            && let Some((last, fresh)) = self.fresh.pop_last()
        {
            self.held_bytes -= fresh.row.as_ref().map_or(0, Bytes::len);
            self.beyond = Some(last);
            self.leave_group(last, fresh.group.as_ref());
        }
    }

    fn refresh_with(&mut self, number: u64, mut fresh: Fresh) {
        let bytes = fresh.row.as_ref().map_or(0, Bytes::len);
        if self.held_bytes + bytes > HELD_BYTES {
            fresh.row = None;
        } else {
            self.held_bytes += bytes;
        }
        fresh.group = self.join_group(number, fresh.group);
        self.fresh.insert(number, fresh);
    }

    fn take_fresh(&mut self, number: u64) -> Option<Fresh> {
        let fresh = self.fresh.remove(&number)?;
        self.held_bytes -= fresh.row.as_ref().map_or(0, Bytes::len);
        Some(fresh)
    }

    fn know(&mut self, number: u64, state: State, group: Option<Arc<str>>, now: i64) {
        if !self.fifo && state.sent_ms < given_ms(number) {
            self.early.insert((state.sent_ms, number));
        }
        let place = Self::place(&state, now);
        self.known.insert(number, Known { state, group: group.clone(), place, busy: false });
        self.attach(number, place);
        self.refresh(group.as_ref());
    }

    fn place(state: &State, now: i64) -> Place {
        match state.visible_ms > now {
            true if state.receipt == 0 => Place::Delayed,
            true => Place::InFlight,
            false => Place::Visible,
        }
    }

    /// Takes a known message out of the lists of its place.
    fn detach(&mut self, number: u64) {
        let Some(known) = self.known.get(&number) else { return };
        let (place, visible_ms, group) = (known.place, known.state.visible_ms, known.group.clone());
        match place {
            Place::Delayed => self.delayed -= 1,
            Place::InFlight => self.in_flight -= 1,
            Place::Visible | Place::Leaving => {}
        }
        self.due.remove(&(visible_ms, number));
        self.again.remove(&number);
        self.ungroup(group.as_ref(), number, matches!(place, Place::InFlight | Place::Leaving));
    }

    /// Puts a known message into the lists of a place.
    fn attach(&mut self, number: u64, place: Place) {
        let Some(known) = self.known.get_mut(&number) else { return };
        known.place = place;
        let (visible_ms, group) = (known.state.visible_ms, known.group.clone());
        match place {
            Place::Delayed => self.delayed += 1,
            Place::InFlight => self.in_flight += 1,
            Place::Visible if !self.fifo => drop(self.again.insert(number)),
            Place::Visible | Place::Leaving => {}
        }
        if matches!(place, Place::Delayed | Place::InFlight) {
            self.due.insert((visible_ms, number));
        }
        self.regroup(group.as_ref(), number, matches!(place, Place::InFlight | Place::Leaving));
    }

    fn put(&mut self, number: u64, place: Place) {
        self.detach(number);
        self.attach(number, place);
        let group = self.known.get(&number).and_then(|known| known.group.clone());
        self.refresh(group.as_ref());
    }

    /// What is due by now becomes visible. Whoever waits is told by who asks [`Index::has_ripened`].
    pub(crate) fn advance(&mut self, now: i64) {
        if self.due.first().is_none_or(|(at, _)| *at > now) {
            return;
        }
        let due = self.due.range(..=(now, u64::MAX)).map(|(_, number)| *number);
        let due: Vec<u64> = due.filter(|number| self.known.get(number).is_some_and(|known| !known.busy)).collect();
        for number in &due {
            self.put(*number, Place::Visible);
        }
        self.ripe |= !due.is_empty();
    }

    /// Whether anything became visible by itself since this was last asked, and may be received.
    pub(crate) fn has_ripened(&mut self) -> bool {
        std::mem::take(&mut self.ripe) && self.is_available()
    }

    /// From which number on a page is to be read before `most` can be taken.
    pub(crate) fn wants_page(&self, most: usize) -> Option<u64> {
        let enough = match self.fifo {
            true => self.near_heads().take(most).count() >= most || self.fresh.len() >= FIFO_WINDOW,
            false => self.fresh.len() >= most,
        };
        self.beyond.filter(|_| !enough)
    }

    /// The first of each group of a FIFO queue that may be received. What comes after a number whose messages are on the disk alone
    /// waits: others of its group may stand before it.
    fn near_heads(&self) -> impl Iterator<Item = u64> {
        self.heads.range(..self.beyond.unwrap_or(u64::MAX)).copied()
    }

    /// Takes in a page from the first number that was not known; `more` if there may be others after it.
    pub(crate) fn page(&mut self, rows: Vec<(u64, Bytes, Option<Arc<str>>, bool)>, more: bool) {
        self.beyond = rows.last().filter(|_| more).map(|(last, ..)| last + 1);
        for (number, row, group, large) in rows {
            self.last = self.last.max(number);
            let elsewhere = self.pending.contains(&number) || self.known.contains_key(&number);
            if !elsewhere && !self.fresh.contains_key(&number) {
                self.refresh_with(number, Fresh { row: Some(row), group, large });
            }
        }
    }

    /// Hands out messages, and sets dead letters aside, which then leave.
    pub(crate) fn take(&mut self, now: i64, want: Want, receipt: &mut dyn FnMut() -> u64) -> (Vec<Taken>, Vec<Taken>) {
        let (mut taken, mut dead) = (Vec::new(), Vec::new());
        let mut group: Option<Arc<str>> = None;
        while taken.len() < want.most && dead.len() < DEAD {
            let Some(number) = self.first(group.as_ref()) else {
                match group.take() {
                    Some(_) => continue,
                    None => break,
                }
            };
            let one = self.hand_out(now, number, want, receipt);
            let Some((one, is_dead)) = one else { break };
            // What comes after a dead letter in its group waits until that has gone.
            group = one.group.clone().filter(|_| self.fifo && !is_dead);
            if is_dead { dead.push(one) } else { taken.push(one) }
        }
        (taken, dead)
    }

    /// The next message that may be handed out; of this group, if one is named.
    fn first(&self, group: Option<&Arc<str>>) -> Option<u64> {
        if !self.fifo {
            let firsts = self.again.first().copied().into_iter().chain(self.fresh.keys().next().copied());
            return firsts.min();
        }
        let first = match group {
            Some(group) => self.next_of(group),
            None => self.near_heads().next(),
        };
        let first = first.filter(|first| self.beyond.is_none_or(|beyond| *first < beyond));
        first.filter(|first| self.pending.first().is_none_or(|pending| first < pending))
    }

    fn hand_out(
        &mut self,
        now: i64,
        number: u64,
        want: Want,
        receipt: &mut dyn FnMut() -> u64,
    ) -> Option<(Taken, bool)> {
        let mut row = None;
        let before = if let Some(fresh) = self.take_fresh(number) {
            let Fresh { row: held, group, large } = fresh;
            row = held;
            self.ungroup(group.as_ref(), number, false);
            let state = State { sent_ms: given_ms(number), large, ..State::default() };
            self.known.insert(number, Known { state, group, place: Place::Leaving, busy: true });
            None
        } else {
            self.detach(number);
            Some(self.known.get(&number)?.state)
        };
        let known = self.known.get_mut(&number)?;
        known.busy = true;
        let group = known.group.clone();
        let is_dead = want.maximum.is_some_and(|maximum| known.state.receives >= maximum);
        let place = if is_dead {
            Place::Leaving
        } else {
            let first_ms = if known.state.receives + known.state.earlier == 0 { now } else { known.state.first_ms };
            let receives = known.state.receives + 1;
            known.state = State {
                visible_ms: want.visible_ms,
                receives,
                first_ms,
                taken_ms: now,
                receipt: receipt(),
                ..known.state
            };
            Place::InFlight
        };
        let state = known.state;
        self.attach(number, place);
        self.refresh(group.as_ref());
        Some((Taken { number, state, before, row, group }, is_dead))
    }

    /// What was handed out is as it was before.
    pub(crate) fn give_back(&mut self, taken: Taken, now: i64) {
        let Taken { number, before, row, group, .. } = taken;
        self.detach(number);
        match (before, self.known.get_mut(&number)) {
            (Some(before), Some(known)) => {
                known.state = before;
                known.busy = false;
                self.attach(number, Self::place(&before, now));
            }
            (_, Some(known)) => {
                let large = known.state.large;
                self.known.remove(&number);
                self.refresh_with(number, Fresh { row, group: group.clone(), large });
            }
            (_, None) => {}
        }
        self.refresh(group.as_ref());
    }

    /// A change of a message is durable.
    pub(crate) fn settle(&mut self, number: u64) {
        if let Some(known) = self.known.get_mut(&number) {
            known.busy = false;
        }
    }

    /// A receiver deletes.
    pub(crate) fn remove(&mut self, number: u64, receipt: u64, now: i64) -> Removal {
        match self.known.get(&number) {
            Some(known) if known.place == Place::Leaving || known.state.receipt != receipt => Removal::Nothing,
            Some(known) if self.fifo && known.state.visible_ms <= now => Removal::Expired,
            Some(known) => {
                let large = known.state.large;
                self.leave(number);
                Removal::Leaves { large }
            }
            None => Removal::Nothing,
        }
    }

    fn leave(&mut self, number: u64) {
        self.put(number, Place::Leaving);
        if let Some(known) = self.known.get_mut(&number) {
            known.busy = true;
        }
    }

    /// What was leaving has left.
    pub(crate) fn gone(&mut self, number: u64) {
        self.detach(number);
        if let Some(known) = self.known.remove(&number) {
            self.early.remove(&(known.state.sent_ms, number));
            self.total = self.total.saturating_sub(1);
            self.refresh(known.group.as_ref());
        }
    }

    /// What was leaving stays.
    pub(crate) fn stay(&mut self, number: u64, now: i64) {
        let Some(known) = self.known.get_mut(&number) else { return };
        known.busy = false;
        let place = Self::place(&known.state, now);
        self.put(number, place);
    }

    /// A receiver changes until when a message is its own.
    pub(crate) fn change(&mut self, number: u64, receipt: u64, visible_ms: i64, now: i64) -> Change {
        let Some(known) = self.known.get(&number).filter(|known| known.place != Place::Leaving) else {
            return Change::Missing;
        };
        if known.state.receipt != receipt {
            return Change::Superseded;
        }
        if self.fifo && known.state.visible_ms <= now {
            return Change::Expired;
        }
        let before = known.state;
        let after = State { visible_ms, ..before };
        self.restate(number, after, Place::InFlight, true);
        Change::Made(before, after)
    }

    /// A change could not be made.
    pub(crate) fn unchange(&mut self, number: u64, before: State, now: i64) {
        if self.known.get(&number).is_some_and(|known| known.place != Place::Leaving) {
            self.restate(number, before, Self::place(&before, now), false);
        }
    }

    fn restate(&mut self, number: u64, state: State, place: Place, busy: bool) {
        self.detach(number);
        if let Some(known) = self.known.get_mut(&number) {
            known.state = state;
            known.busy = busy;
        }
        self.attach(number, place);
        let group = self.known.get(&number).and_then(|known| known.group.clone());
        self.refresh(group.as_ref());
    }

    /// The state of a message that is in flight with this receipt.
    pub(crate) fn held(&self, number: u64, receipt: u64, now: i64) -> Option<State> {
        let known = self.known.get(&number)?;
        let held = known.place == Place::InFlight && known.state.receipt == receipt && known.state.visible_ms > now;
        held.then_some(known.state)
    }

    /// Messages from before a moment, which now leave; each with whether it is large.
    pub(crate) fn expire(&mut self, before_ms: i64, most: usize) -> Vec<(u64, bool)> {
        let old = |number: &&u64| given_ms(**number) <= before_ms;
        let fresh: Vec<u64> = self.fresh.keys().take_while(old).take(most).copied().collect();
        let stands =
            |number: &u64| self.known.get(number).is_some_and(|known| known.place != Place::Leaving && !known.busy);
        let known = self.known.keys().take_while(old).copied().filter(stands);
        let early = self.early.range(..=(before_ms, u64::MAX)).map(|(_, number)| *number).filter(stands);
        let mut leaving: BTreeSet<u64> = known.chain(early).take(most).collect();
        for number in fresh {
            if let Some(Fresh { group, large, .. }) = self.take_fresh(number) {
                self.ungroup(group.as_ref(), number, false);
                let state = State { sent_ms: given_ms(number), large, ..State::default() };
                self.known.insert(number, Known { state, group, place: Place::Visible, busy: true });
                self.attach(number, Place::Visible);
                leaving.insert(number);
            }
        }
        leaving
            .into_iter()
            .map(|number| {
                self.leave(number);
                (number, self.known.get(&number).is_some_and(|known| known.state.large))
            })
            .collect()
    }

    /// The moment from which the oldest message's retention counts, as far as is known.
    pub(crate) fn oldest_ms(&self) -> Option<i64> {
        let numbers = [self.fresh.keys().next(), self.known.keys().next(), self.beyond.as_ref()];
        let early = self.early.first().map(|(sent, _)| *sent);
        numbers.into_iter().flatten().map(|number| given_ms(*number)).chain(early).min()
    }

    /// When a message next becomes visible by itself.
    pub(crate) fn next_due(&self) -> Option<i64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A number below which there is no message.
    pub(crate) fn head(&self) -> u64 {
        let firsts = [self.fresh.keys().next(), self.known.keys().next(), self.pending.first(), self.beyond.as_ref()];
        firsts.into_iter().flatten().min().copied().unwrap_or(self.last + 1)
    }

    /// Whether a message may be received now.
    pub(crate) fn is_available(&self) -> bool {
        self.first(None).is_some() || self.beyond.is_some()
    }

    /// Messages that are visible, in flight, and delayed.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        (self.total.saturating_sub(self.in_flight + self.delayed), self.in_flight, self.delayed)
    }
}

#[cfg(test)]
mod tests;
