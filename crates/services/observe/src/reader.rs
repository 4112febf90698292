//! Reads events in order: of one stream, and of many at once.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::Bound;

use store::{Error, Range, Row, Snapshot, Space};

use crate::rules::chunk::{self, SPAN_MS};
use crate::rules::pattern::Pattern;
use crate::rules::token::{GroupPlace, Place, Way};
use crate::state;
use crate::types::{Event, Stream};

/// Chunks of a stream fetched at a time at most. The first fetch takes one, each later one twice as many: of many streams
/// that are merged most give little.
const FETCH: usize = 8;
/// Chunks that wait in memory when many streams are merged, one a stream excepted.
const FETCH_ALL: usize = 512;

/// Bounds of a read within a stream: `from` included, `to` not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Place,
    pub(crate) to: Place,
}

impl Window {
    /// The first place inside, in reading order.
    fn first(self, way: Way) -> Place {
        match (way, self.to.seq.checked_sub(1)) {
            (Way::Forward, _) => self.from,
            (Way::Backward, Some(seq)) => Place { seq, ..self.to },
            (Way::Backward, None) => Place { at_ms: self.to.at_ms.saturating_sub(1), seq: u64::MAX },
        }
    }
}

/// One stream's events, one after the other.
pub(crate) struct Scan<'a> {
    view: &'a dyn Snapshot,
    // What is left to fetch; none when nothing is.
    range: Option<Range>,
    window: Window,
    way: Way,
    // Which events are wanted; none wants all.
    pattern: Option<&'a Pattern>,
    fetched: VecDeque<Row>,
    // How many to fetch next, and at most.
    batch: usize,
    batch_most: usize,
    // Chunks may overlap in time: an event waits here until no chunk to come can hold one that stands before it.
    waiting: BTreeMap<Place, Event>,
    /// Bytes of chunks read so far, those that begin before the window excepted: a reader that goes on where the last page
    /// ended finds them again, and in a flood they alone may be more than a page may read.
    pub(crate) read_bytes: usize,
}

/// What a step of a [`Scan`] came to.
#[derive(Debug)]
pub(crate) enum Found {
    /// The next event that is wanted.
    Event(Event),
    /// None yet, and none will stand before this place.
    NotBefore(Place),
    /// There is none.
    Nothing,
}

impl<'a> Scan<'a> {
    /// Begins to read a stream.
    pub(crate) fn new(
        view: &'a dyn Snapshot,
        generation: u64,
        stream: u64,
        window: Window,
        way: Way,
        pattern: Option<&'a Pattern>,
    ) -> Self {
        let bound = |place| state::chunk(generation, stream, place);
        // A chunk that begins up to a span earlier may hold events of the window.
        let start = bound(Place::before(window.from.at_ms.saturating_sub(SPAN_MS)));
        let range = Range { start: Bound::Included(start.into()), end: Bound::Excluded(bound(window.to).into()) };
        Self {
            view,
            range: Some(range),
            window,
            way,
            pattern,
            fetched: VecDeque::new(),
            batch: 1,
            batch_most: FETCH,
            waiting: BTreeMap::new(),
            read_bytes: 0,
        }
    }

    /// The next event in reading order.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            match self.step()? {
                Found::Event(event) => return Ok(Some(event)),
                Found::NotBefore(_) => {}
                Found::Nothing => return Ok(None),
            }
        }
    }

    /// The next event in reading order if it is at hand, else reads one chunk to find it.
    pub(crate) fn step(&mut self) -> Result<Found, Error> {
        self.fetch()?;
        if let Some(event) = self.ready() {
            return Ok(Found::Event(event));
        }
        if self.fetched.is_empty() {
            return Ok(Found::Nothing);
        }
        self.open_chunk()?;
        self.fetch()?;
        if let Some(event) = self.ready() {
            return Ok(Found::Event(event));
        }
        let next = self.fetched.front().and_then(|(row, _)| state::chunk_place(row));
        let first = self.window.first(self.way);
        Ok(next.map_or(Found::Nothing, |chunk| {
            Found::NotBefore(match self.way {
                Way::Forward => chunk.max(first),
                Way::Backward => Place { at_ms: chunk.at_ms.saturating_add(SPAN_MS), seq: u64::MAX }.min(first),
            })
        }))
    }

    /// The first event that waits, if no chunk to come can hold one before it.
    fn ready(&mut self) -> Option<Event> {
        let (place, _) = match self.way {
            Way::Forward => self.waiting.first_key_value(),
            Way::Backward => self.waiting.last_key_value(),
        }?;
        let next = self.fetched.front().and_then(|(row, _)| state::chunk_place(row));
        let is_ready = next.is_none_or(|chunk| match self.way {
            Way::Forward => *place < chunk,
            Way::Backward => place.at_ms > chunk.at_ms.saturating_add(SPAN_MS),
        });
        if !is_ready {
            return None;
        }
        let taken = match self.way {
            Way::Forward => self.waiting.pop_first(),
            Way::Backward => self.waiting.pop_last(),
        };
        taken.map(|(_, event)| event)
    }

    fn fetch(&mut self) -> Result<(), Error> {
        if !self.fetched.is_empty() {
            return Ok(());
        }
        let Some(range) = self.range.take() else { return Ok(()) };
        if range.is_empty() {
            return Ok(());
        }
        let rows = self.view.range(Space::Log, range.clone(), self.batch, self.way == Way::Backward)?;
        if let (true, Some((last, _))) = (rows.len() == self.batch, rows.last()) {
            let last = last.clone();
            self.range = Some(if self.way == Way::Forward { range.after(last) } else { range.before(last) });
        }
        self.batch = (self.batch * 2).min(self.batch_most);
        self.fetched = rows.into();
        Ok(())
    }

    fn open_chunk(&mut self) -> Result<(), Error> {
        let Some((row, value)) = self.fetched.pop_front() else { return Ok(()) };
        let corrupt = || Error::Corrupt(format!("the row {}", row.escape_ascii()));
        let first = state::chunk_place(&row).ok_or_else(corrupt)?;
        let is_new = match self.way {
            Way::Forward => first >= self.window.from,
            Way::Backward => first.at_ms.saturating_add(SPAN_MS) < self.window.to.at_ms,
        };
        if is_new {
            self.read_bytes += value.len();
        }
        let head = chunk::head(&value).ok_or_else(corrupt)?;
        let messages = chunk::messages(&value).ok_or_else(corrupt)?;
        let is_over = head.last_ms < self.window.from.at_ms;
        if is_over || self.pattern.is_some_and(|pattern| !pattern.may_match(messages)) {
            return Ok(());
        }
        let (window, pattern, waiting) = (self.window, self.pattern, &mut self.waiting);
        let read = chunk::each(first.at_ms, first.seq, &value, |at_ms, seq, message| {
            let place = Place { at_ms, seq };
            let is_inside = place >= window.from && place < window.to;
            if is_inside && pattern.is_none_or(|pattern| pattern.matches(&value[message.clone()])) {
                let message = value.slice(message);
                waiting.insert(place, Event { at_ms, seq, ingested_ms: head.ingested_ms, message });
            }
        });
        read.map(drop).ok_or_else(corrupt)
    }
}

/// A stream that takes part in a merged read.
pub(crate) struct Source {
    /// Its name.
    pub(crate) name: String,
    /// Its row.
    pub(crate) stream: Stream,
}

/// The events of many streams in the order of their time. A stream is opened only when its turn may have come: a group
/// has one stream for each environment that ever was.
pub(crate) struct Merge<'a> {
    view: &'a dyn Snapshot,
    generation: u64,
    sources: Vec<Source>,
    window: Box<dyn Fn(u64) -> Window + Send + 'a>,
    way: Way,
    pattern: Option<&'a Pattern>,
    heap: BinaryHeap<Turn>,
    // The streams that were begun, each with its next event if that is known.
    open: BTreeMap<usize, (Scan<'a>, Option<Event>)>,
    /// Bytes of chunks read so far, as [`Scan::read_bytes`].
    pub(crate) read_bytes: usize,
}

/// When a stream's next event comes, or could come at the earliest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    // Inverted when reading forward, since the heap gives the greatest first.
    rank: (u64, u64, u64),
    // Sources that only may have an event come before those that have it.
    is_unknown: bool,
    source: usize,
    place: GroupPlace,
}

impl<'a> Merge<'a> {
    /// Begins a merged read; `window` gives each stream's bounds by its id.
    pub(crate) fn new(
        view: &'a dyn Snapshot,
        generation: u64,
        sources: Vec<Source>,
        window: impl Fn(u64) -> Window + Send + 'a,
        way: Way,
        pattern: Option<&'a Pattern>,
    ) -> Self {
        let mut merge = Self {
            view,
            generation,
            sources,
            window: Box::new(window),
            way,
            pattern,
            heap: BinaryHeap::new(),
            open: BTreeMap::new(),
            read_bytes: 0,
        };
        for source in 0..merge.sources.len() {
            let Stream { id, first_ms, last_ms, .. } = merge.sources[source].stream;
            let (Some(first_ms), Some(last_ms)) = (first_ms, last_ms) else { continue };
            let window = (merge.window)(id);
            if last_ms < window.from.at_ms || first_ms > window.to.at_ms {
                continue;
            }
            let first = window.first(way);
            let earliest = match way {
                Way::Forward => first.max(Place::before(first_ms)),
                Way::Backward => first.min(Place { at_ms: last_ms, seq: u64::MAX }),
            };
            let earliest = GroupPlace { at_ms: earliest.at_ms, stream: id, seq: earliest.seq };
            merge.push(source, earliest, true);
        }
        merge
    }

    fn push(&mut self, source: usize, place: GroupPlace, is_unknown: bool) {
        let at = place.at_ms as u64 ^ (1 << 63);
        let rank = match self.way {
            Way::Forward => (!at, !place.stream, !place.seq),
            Way::Backward => (at, place.stream, place.seq),
        };
        self.heap.push(Turn { rank, is_unknown, source, place });
    }

    /// Before which place there is nothing more: from here a later call may go on. None at the end.
    pub(crate) fn stands(&self) -> Option<GroupPlace> {
        self.heap.peek().map(|turn| turn.place)
    }

    /// The next event and its stream's name, if it is at hand; else reads one chunk to find it.
    pub(crate) fn step(&mut self) -> Result<Option<(&str, GroupPlace, Event)>, Error> {
        let Some(Turn { source, place, .. }) = self.heap.pop() else { return Ok(None) };
        let id = self.sources[source].stream.id;
        let (scan, event) = self.open.remove(&source).unwrap_or_else(|| {
            let mut scan = Scan::new(self.view, self.generation, id, (self.window)(id), self.way, self.pattern);
            scan.batch_most = (FETCH_ALL / self.sources.len()).clamp(1, FETCH);
            (scan, None)
        });
        self.advance(source, scan, place)?;
        Ok(event.map(|event| (self.sources[source].name.as_str(), place, event)))
    }

    /// Finds out when the turn of a stream comes next, of which nothing stands before `after`.
    fn advance(&mut self, source: usize, mut scan: Scan<'a>, after: GroupPlace) -> Result<(), Error> {
        let before = scan.read_bytes;
        let found = scan.step()?;
        self.read_bytes += scan.read_bytes - before;
        let stream = self.sources[source].stream.id;
        let within = |place: Place| GroupPlace { at_ms: place.at_ms, stream, seq: place.seq };
        match found {
            Found::Event(event) => {
                self.push(source, within(Place { at_ms: event.at_ms, seq: event.seq }), false);
                self.open.insert(source, (scan, Some(event)));
            }
            Found::NotBefore(place) => {
                let place = match self.way {
                    Way::Forward => within(place).max(after),
                    Way::Backward => within(place).min(after),
                };
                self.push(source, place, true);
                self.open.insert(source, (scan, None));
            }
            Found::Nothing => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use store::{Batch, transact_with};

    const GENERATION: u64 = 1;

    /// Stores batches of (stream, moments), each as one write does.
    async fn stored(batches: &[(u64, Vec<i64>)]) -> (std::sync::Arc<dyn store::Kv>, Vec<Source>) {
        let kv = store::memory();
        let mut streams: BTreeMap<u64, Stream> = BTreeMap::new();
        let mut batch = Batch::new();
        let mut name = 0;
        for (id, times) in batches {
            let stream = streams.entry(*id).or_insert_with(|| Stream::new(*id, 0));
            let event = |at: &i64| {
                name += 1;
                (*at, Bytes::from(format!("event {name}")))
            };
            let events: Vec<_> = times.iter().map(event).collect();
            for (at, _) in &events {
                stream.first_ms = Some(stream.first_ms.map_or(*at, |first| first.min(*at)));
                stream.last_ms = Some(stream.last_ms.map_or(*at, |last| last.max(*at)));
            }
            let first = stream.next_seq;
            stream.next_seq += events.len() as u64;
            for chunk in chunk::pack(events, first, 0) {
                let place = Place { at_ms: chunk.first_ms, seq: chunk.first_seq };
                batch.put(Space::Log, state::chunk(GENERATION, *id, place), chunk.value);
            }
        }
        transact_with(&*kv, Vec::new(), move |_| Ok((batch.clone(), ()))).await.unwrap();
        let sources = streams.into_iter().map(|(id, stream)| Source { name: format!("s{id}"), stream });
        (kv, sources.collect())
    }

    /// Reads everything, in pages of about so many events or chunks.
    fn pages(view: &dyn Snapshot, sources: &[Source], way: Way, pattern: &Pattern, size: usize) -> Vec<GroupPlace> {
        let mut seen = Vec::new();
        let mut from: Option<GroupPlace> = None;
        loop {
            let window = |stream: u64| {
                let (first, last) = (Place::before(i64::MIN), Place::before(i64::MAX));
                let within = from.map(|place| place.within(stream));
                match way {
                    Way::Forward => Window { from: within.unwrap_or(first), to: last },
                    Way::Backward => Window { from: first, to: within.unwrap_or(last) },
                }
            };
            let again = sources.iter().map(|one| Source { name: one.name.clone(), stream: one.stream.clone() });
            let mut merge = Merge::new(view, GENERATION, again.collect(), window, way, Some(pattern));
            // As FilterLogEvents does: a page ends when it found enough or read enough that is new, but each comes further.
            let (begun, found) = (merge.stands(), seen.len());
            let most_bytes = size.saturating_mul(40);
            while merge.stands().is_some()
                && (merge.stands() == begun || seen.len() - found < size && merge.read_bytes <= most_bytes)
            {
                if let Some((_, place, _)) = merge.step().unwrap() {
                    seen.push(place);
                }
            }
            let stands = merge.stands();
            drop(merge);
            let Some(place) = stands else { return seen };
            from = Some(match way {
                Way::Forward => place,
                Way::Backward => GroupPlace { seq: place.seq.saturating_add(1), ..place },
            });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// However the events lie in chunks and wherever pages end: together they are what the pattern wants, in order.
        #[test]
        fn a_search_that_pauses_anywhere_misses_nothing_and_repeats_nothing(
            batches in proptest::collection::vec((1u64..4, proptest::collection::vec((0i64..8).prop_map(|at| at * 1_900), 1..8)), 1..12),
            size in 1usize..6,
            wanted in "[0-9]",
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (kv, sources) = runtime.block_on(stored(&batches));
            let view = kv.snapshot().unwrap();
            let everything = Pattern::parse("").unwrap();
            let pattern = Pattern::parse(&wanted).unwrap();
            for way in [Way::Forward, Way::Backward] {
                let all = pages(&*view, &sources, way, &everything, usize::MAX);
                prop_assert_eq!(all.len(), batches.iter().map(|(_, times)| times.len()).sum::<usize>());
                let mut sorted = all.clone();
                sorted.sort();
                if way == Way::Backward {
                    sorted.reverse();
                }
                prop_assert_eq!(&all, &sorted);
                prop_assert_eq!(&pages(&*view, &sources, way, &everything, size), &all);
                let some = pages(&*view, &sources, way, &pattern, usize::MAX);
                prop_assert_eq!(pages(&*view, &sources, way, &pattern, size), some);
            }
        }
    }
}
