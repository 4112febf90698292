//! Reads events in order: of one stream, and of many at once.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::ops::Bound;

use store::{Error, Range, Row, Snapshot, Space};

use crate::rules::chunk::{self, SPAN_MS};
use crate::rules::token::{GroupPlace, Place, Way};
use crate::state;
use crate::types::{Event, Stream};

/// Chunks fetched at a time at most. The first fetch takes one, each later one twice as many: of many streams that are
/// merged most give little.
const FETCH: usize = 8;

/// Bounds of a read within a stream: `from` included, `to` not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Place,
    pub(crate) to: Place,
}

/// One stream's events, one after the other.
pub(crate) struct Scan<'a> {
    view: &'a dyn Snapshot,
    // What is left to fetch; none when nothing is.
    range: Option<Range>,
    window: Window,
    way: Way,
    fetched: VecDeque<Row>,
    // How many to fetch next.
    batch: usize,
    // Chunks may overlap in time: an event waits here until no chunk to come can hold one that stands before it.
    waiting: BTreeMap<Place, Event>,
    /// Bytes of chunks read so far.
    pub(crate) read_bytes: usize,
}

impl<'a> Scan<'a> {
    /// Begins to read a stream.
    pub(crate) fn new(view: &'a dyn Snapshot, generation: u64, stream: u64, window: Window, way: Way) -> Self {
        let bound = |place| state::chunk(generation, stream, place);
        // A chunk that begins up to a span earlier may hold events of the window.
        let start = bound(Place::before(window.from.at_ms.saturating_sub(SPAN_MS)));
        let range = Range { start: Bound::Included(start.into()), end: Bound::Excluded(bound(window.to).into()) };
        Self {
            view,
            range: Some(range),
            window,
            way,
            fetched: VecDeque::new(),
            batch: 1,
            waiting: BTreeMap::new(),
            read_bytes: 0,
        }
    }

    /// The next event in reading order.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            self.fetch()?;
            let next_chunk = self.fetched.front().and_then(|(row, _)| state::chunk_place(row));
            let head = match self.way {
                Way::Forward => self.waiting.first_key_value(),
                Way::Backward => self.waiting.last_key_value(),
            };
            let ready = match (head, next_chunk) {
                (None, None) => return Ok(None),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some((place, _)), Some(chunk)) => match self.way {
                    Way::Forward => *place < chunk,
                    Way::Backward => place.at_ms > chunk.at_ms.saturating_add(SPAN_MS),
                },
            };
            if ready {
                let taken = match self.way {
                    Way::Forward => self.waiting.pop_first(),
                    Way::Backward => self.waiting.pop_last(),
                };
                return Ok(taken.map(|(_, event)| event));
            }
            self.open_chunk()?;
        }
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
        self.batch = (self.batch * 2).min(FETCH);
        self.fetched = rows.into();
        Ok(())
    }

    fn open_chunk(&mut self) -> Result<(), Error> {
        let Some((row, value)) = self.fetched.pop_front() else { return Ok(()) };
        self.read_bytes += value.len();
        let corrupt = || Error::Corrupt(format!("the row {}", row.escape_ascii()));
        let place = state::chunk_place(&row).ok_or_else(corrupt)?;
        for event in chunk::unpack(place.at_ms, place.seq, &value).ok_or_else(corrupt)? {
            let place = Place { at_ms: event.at_ms, seq: event.seq };
            if place >= self.window.from && place < self.window.to {
                self.waiting.insert(place, event);
            }
        }
        Ok(())
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
    heap: BinaryHeap<Turn>,
    open: BTreeMap<usize, (Scan<'a>, Event)>,
    /// Bytes of chunks read so far.
    pub(crate) read_bytes: usize,
}

/// When a stream's next event comes, or could come at the earliest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    // Inverted when reading forward, since the heap gives the greatest first.
    rank: (u64, u64, u64),
    // Sources that only may have an event come before those that have it.
    unopened: bool,
    source: usize,
}

impl<'a> Merge<'a> {
    /// Begins a merged read; `window` gives each stream's bounds by its id.
    pub(crate) fn new(
        view: &'a dyn Snapshot,
        generation: u64,
        sources: Vec<Source>,
        window: impl Fn(u64) -> Window + Send + 'a,
        way: Way,
    ) -> Self {
        let mut merge = Self {
            view,
            generation,
            sources,
            window: Box::new(window),
            way,
            heap: BinaryHeap::new(),
            open: BTreeMap::new(),
            read_bytes: 0,
        };
        for source in 0..merge.sources.len() {
            let Stream { id, first_ms, last_ms, .. } = merge.sources[source].stream;
            let (Some(first_ms), Some(last_ms)) = (first_ms, last_ms) else { continue };
            let Window { from, to } = (merge.window)(id);
            if last_ms < from.at_ms || first_ms > to.at_ms {
                continue;
            }
            let earliest = match way {
                Way::Forward => GroupPlace { at_ms: first_ms.max(from.at_ms), stream: 0, seq: 0 },
                Way::Backward => GroupPlace { at_ms: last_ms.min(to.at_ms), stream: u64::MAX, seq: u64::MAX },
            };
            merge.heap.push(Turn { rank: merge.rank(earliest), unopened: true, source });
        }
        merge
    }

    fn rank(&self, place: GroupPlace) -> (u64, u64, u64) {
        let at = place.at_ms as u64 ^ (1 << 63);
        match self.way {
            Way::Forward => (!at, !place.stream, !place.seq),
            Way::Backward => (at, place.stream, place.seq),
        }
    }

    /// Where the next event stands, without taking it: from here a later call may go on.
    pub(crate) fn peek(&mut self) -> Result<Option<GroupPlace>, Error> {
        while let Some(turn) = self.heap.peek() {
            if !turn.unopened {
                let source = turn.source;
                let id = self.sources[source].stream.id;
                return Ok(self.open.get(&source).map(|(_, event)| place(event, id)));
            }
            let source = turn.source;
            self.heap.pop();
            let id = self.sources[source].stream.id;
            let scan = Scan::new(self.view, self.generation, id, (self.window)(id), self.way);
            self.advance(source, scan)?;
        }
        Ok(None)
    }

    /// The next event and its stream's name.
    pub(crate) fn next(&mut self) -> Result<Option<(&str, GroupPlace, Event)>, Error> {
        let Some(at) = self.peek()? else { return Ok(None) };
        let Some(turn) = self.heap.pop() else { return Ok(None) };
        let Some((scan, event)) = self.open.remove(&turn.source) else { return Ok(None) };
        self.advance(turn.source, scan)?;
        Ok(Some((&self.sources[turn.source].name, at, event)))
    }

    fn advance(&mut self, source: usize, mut scan: Scan<'a>) -> Result<(), Error> {
        let before = scan.read_bytes;
        let event = scan.next()?;
        self.read_bytes += scan.read_bytes - before;
        let Some(event) = event else { return Ok(()) };
        let rank = self.rank(place(&event, self.sources[source].stream.id));
        self.heap.push(Turn { rank, unopened: false, source });
        self.open.insert(source, (scan, event));
        Ok(())
    }
}

fn place(event: &Event, stream: u64) -> GroupPlace {
    GroupPlace { at_ms: event.at_ms, stream, seq: event.seq }
}
