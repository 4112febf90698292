//! Values that wait to be stored: merged as they come, in bounded room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base::Fault;
use bytes::Bytes;
use store::{Batch, Error, Key, Kv, Space, transact_with};

use super::cell::Cell;
use super::rows::{Entry, Id, Tier};
use super::{Point, Series, Unit};

/// Cells that may wait; what would make more is not taken.
const CELLS: usize = 50_000;
/// Bytes that may wait, names and values: a series' names may be a thousand times longer than its value.
const BYTES: usize = 32 * 1024 * 1024;
/// What a series takes in memory besides its texts and cells, about: the room of its map of cells, mostly.
const SERIES_BYTES: usize = 1024;
/// What a dimension takes besides its texts.
const DIMENSION_BYTES: usize = 64;
/// What a cell takes besides its values.
const CELL_BYTES: usize = 96;
/// Cells stored in one transaction.
const AT_ONCE: usize = 256;
/// Bytes of one transaction. Far below what the store takes: what is stored already is merged into it, and as large again.
const AT_ONCE_BYTES: usize = 4 * 1024 * 1024;
/// How exactly the directory knows when values last came in.
pub(crate) const SEEN_MS: i64 = 5 * 60_000;
/// Series of which it is remembered that the directory has them.
const REMEMBERED: usize = 20_000;

/// Which cell of a series.
type Place = (Tier, i64, Unit);

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    series: HashMap<Series, BTreeMap<Place, Cell>>,
    cells: usize,
    // What `series` takes, about.
    bytes: usize,
    /// Values that found no room.
    pub(crate) dropped: u64,
}

/// When the directory last heard of a series.
#[derive(Debug, Default)]
pub(crate) struct Remembered(HashMap<Id, i64>);

/// What became of what waited.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Whether the directory heard of a series.
    pub(crate) news: bool,
    /// What a store that will take it later did not take now.
    pub(crate) back: Pending,
}

impl Pending {
    /// Whether all that waits in another one finds room.
    pub(crate) fn has_room_for(&self, other: &Self) -> bool {
        self.has_room(other.cells, other.bytes)
    }

    fn has_room(&self, cells: usize, bytes: usize) -> bool {
        self.cells + cells <= CELLS && self.bytes + bytes <= BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty() && self.dropped == 0
    }

    /// Takes a value; without room it is counted as dropped.
    pub(crate) fn add(&mut self, point: Point) {
        let Point { series, unit, at_ms, high, cell } = point;
        let second = at_ms.div_euclid(1000);
        let tiers: &[Tier] = if high { &[Tier::Second, Tier::Minute] } else { &[Tier::Minute] };
        let place = |tier: &Tier| (*tier, second - second.rem_euclid(tier.period_s()), unit);
        self.take(series, tiers.iter().map(|tier| (place(tier), cell.clone())).collect());
    }

    /// Takes what waits in another one; what finds no room is counted as dropped.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.dropped += other.dropped;
        for (series, cells) in other.series {
            self.take(series, cells.into_iter().collect());
        }
    }

    /// Takes cells of one series, all or none.
    fn take(&mut self, series: Series, cells: Vec<(Place, Cell)>) {
        let (names, values) = (series_bytes(&series), cells.iter().map(|(_, cell)| cell_bytes(cell)).sum::<usize>());
        // As if all were new: it is not worth a look-up.
        if !self.has_room(cells.len(), names + values) {
            // What is kept by the second is in a minute, too.
            self.dropped += cells.iter().filter(|((tier, ..), _)| *tier != Tier::Second).count() as u64;
            return;
        }
        let there = match self.series.entry(series) {
            std::collections::hash_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => {
                self.bytes += names;
                free.insert(BTreeMap::new())
            }
        };
        for (place, cell) in cells {
            match there.entry(place) {
                std::collections::btree_map::Entry::Occupied(mut there) => {
                    self.bytes -= cell_bytes(there.get());
                    there.get_mut().merge(&cell);
                    self.bytes += cell_bytes(there.get());
                }
                std::collections::btree_map::Entry::Vacant(free) => {
                    self.bytes += cell_bytes(&cell);
                    free.insert(cell);
                    self.cells += 1;
                }
            }
        }
    }

    /// Merges everything into what is stored, in transactions of bounded size. One that fails takes none of the others
    /// with it: its part comes back if the store will take it later, else it is gone, with a word in the log.
    pub(crate) async fn store(self, kv: &dyn Kv, known: &mut Remembered, now_ms: i64) -> Stored {
        let mut stored = Stored::default();
        let mut chunk = Chunk::default();
        for (series, cells) in self.series {
            let id = series.id();
            let series = Arc::new(series);
            if known.is_news(id, now_ms)
                && let Err(fault) = chunk.tell(id, &series, now_ms)
            {
                known.forget(id);
                tracing::error!(%fault, "a series has no row in the directory");
            }
            let mut part = Part { id, series, cells: Vec::new() };
            for (place, cell) in cells {
                chunk.grow(&cell);
                part.cells.push((place, cell));
                if chunk.is_full() {
                    let rest = Part { id, series: Arc::clone(&part.series), cells: Vec::new() };
                    chunk.parts.push(std::mem::replace(&mut part, rest));
                    std::mem::take(&mut chunk).store(kv, known, &mut stored).await;
                }
            }
            if !part.cells.is_empty() {
                chunk.parts.push(part);
            }
        }
        chunk.store(kv, known, &mut stored).await;
        if stored.back.cells > 0 {
            tracing::error!(cells = stored.back.cells, "metrics wait in memory: the store did not take them");
        }
        stored
    }
}

/// What a series takes, about.
fn series_bytes(series: &Series) -> usize {
    let metric = &series.metric;
    let dimension = |(name, value): &(String, String)| name.len() + value.len() + DIMENSION_BYTES;
    let dimensions: usize = metric.dimensions.iter().map(dimension).sum();
    SERIES_BYTES + metric.namespace.len() + metric.name.len() + dimensions
}

/// What a cell takes, about.
fn cell_bytes(cell: &Cell) -> usize {
    CELL_BYTES + cell.bytes()
}

impl Remembered {
    fn is_news(&mut self, id: Id, now_ms: i64) -> bool {
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        let seen_ms = self.0.entry(id).or_insert(i64::MIN);
        if *seen_ms > now_ms.saturating_sub(SEEN_MS) {
            return false;
        }
        *seen_ms = now_ms;
        true
    }

    /// The directory has not heard of it after all.
    fn forget(&mut self, id: Id) {
        self.0.remove(&id);
    }
}

/// Cells of one series that are stored together.
#[derive(Debug)]
struct Part {
    id: Id,
    series: Arc<Series>,
    cells: Vec<(Place, Cell)>,
}

/// What one transaction stores.
#[derive(Debug, Default)]
struct Chunk {
    // A series with many cells has parts in several chunks.
    parts: Vec<Part>,
    // What the directory hears: row and value. The first part of a series brings it.
    told: Vec<(Id, Vec<u8>, Vec<u8>)>,
    cells: usize,
    // Of rows and values, what is stored already aside.
    bytes: usize,
}

impl Chunk {
    /// Every cell with its row.
    fn rows(&self) -> impl Iterator<Item = (Bytes, &Cell)> {
        let row = |id: Id, (tier, second, unit): Place| id.cell(tier, second, unit);
        self.parts.iter().flat_map(move |part| part.cells.iter().map(move |(place, cell)| (row(part.id, *place), cell)))
    }

    fn is_full(&self) -> bool {
        self.cells >= AT_ONCE || self.bytes >= AT_ONCE_BYTES
    }

    fn grow(&mut self, cell: &Cell) {
        self.cells += 1;
        self.bytes += cell_bytes(cell);
    }

    fn tell(&mut self, id: Id, series: &Series, seen_ms: i64) -> Result<(), Fault> {
        let entry = Entry { metric: series.metric.clone(), seen_ms };
        let value = serde_json::to_vec(&entry).map_err(Fault::internal)?;
        let row = series.row(id);
        self.bytes += row.len() + value.len();
        self.told.push((id, row, value));
        Ok(())
    }

    async fn store(self, kv: &dyn Kv, known: &mut Remembered, stored: &mut Stored) {
        if self.parts.is_empty() {
            return;
        }
        let chunk = Arc::new(self);
        let Err(error) = merge(kv, Arc::clone(&chunk)).await else {
            stored.news |= !chunk.told.is_empty();
            return;
        };
        chunk.told.iter().for_each(|(id, ..)| known.forget(*id));
        // Of these, nothing was written. Anything else would fail again, or may have been written: twice is worse than never.
        if matches!(error, Error::Full | Error::Io { .. }) {
            for Part { series, cells, .. } in &chunk.parts {
                stored.back.take(Series::clone(series), cells.clone());
            }
        } else {
            tracing::error!(%error, cells = chunk.cells, "metrics were lost: the store did not take them");
        }
    }
}

/// One transaction.
async fn merge(kv: &dyn Kv, chunk: Arc<Chunk>) -> Result<(), Error> {
    let keys = chunk.rows().map(|(row, _)| Key::new(Space::Usage, row)).collect();
    transact_with(kv, keys, move |there| {
        let mut batch = Batch::new();
        for (row, more) in chunk.rows() {
            let cell = match there.get(Space::Usage, &row) {
                Some(stored) => {
                    let mut cell = Cell::decode(&stored)?;
                    cell.merge(more);
                    cell.encode()
                }
                None => more.encode(),
            };
            batch.put(Space::Usage, row, cell);
        }
        for (_, row, entry) in &chunk.told {
            batch.put(Space::Usage, row.clone(), entry.clone());
        }
        Ok((batch, ()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use base::{Account, BoxFuture, Region};
    use store::{Range, Row, Snapshot, Told, Transaction};

    use super::*;
    use crate::metrics::Metric;
    use crate::metrics::rows::DIRECTORY;

    /// A store of which one write fails: that of the number in `fails`, counted down.
    struct Failing {
        rows: Arc<dyn Kv>,
        fails: AtomicUsize,
        error: Error,
    }

    impl Kv for Failing {
        fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
            self.rows.get(space, key)
        }
        fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
            self.rows.range(space, range, limit, reverse)
        }
        fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
            self.rows.snapshot()
        }
        fn transact(&self, keys: Vec<Key>, f: Transaction) -> BoxFuture<'_, Result<(), Error>> {
            if self.fails.fetch_sub(1, Ordering::Relaxed) == 1 {
                let error = self.error.clone();
                return Box::pin(async move { Err(error) });
            }
            self.rows.transact(keys, f)
        }
        fn follow(&self, space: Space, prefix: Bytes, told: Told) {
            self.rows.follow(space, prefix, told);
        }
        fn failed(&self) -> BoxFuture<'static, Error> {
            self.rows.failed()
        }
        fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
            self.rows.close()
        }
    }

    fn point(name: usize, value: &str, minute: i64, cell: Cell) -> Point {
        let dimensions = (0..30).map(|n| (format!("d{n:02}"), value.to_owned())).collect();
        let metric = Metric { namespace: "N".into(), name: name.to_string(), dimensions };
        let series = Series { account: Account::DEFAULT, region: Region::default_region(), metric };
        Point { series, unit: Unit::NONE, at_ms: minute * 60_000, high: false, cell }
    }

    fn one(name: usize) -> Point {
        point(name, "v", 0, Cell::of(1.0, 1.0))
    }

    /// Rows of the directory and cells that are stored.
    fn stored(kv: &dyn Kv) -> (usize, usize) {
        let count = |prefix: &str| {
            let range = Range::prefix(prefix.as_bytes().to_vec());
            kv.range(Space::Usage, range, 100_000, false).unwrap().len()
        };
        (count(DIRECTORY), count("cell/"))
    }

    #[test]
    fn long_names_find_no_more_room_than_there_is() {
        let mut pending = Pending::default();
        let value = "x".repeat(1024);
        (0..3000).for_each(|name| pending.add(point(name, &value, 0, Cell::of(1.0, 1.0))));
        let texts: usize = pending.series.len() * 30 * (3 + 1024);
        assert!(texts <= BYTES && pending.dropped > 1000, "{texts} bytes, {} dropped", pending.dropped);
    }

    #[test]
    fn what_is_counted_is_what_is_there() {
        let mut pending = Pending::default();
        for n in 0..2000 {
            pending.add(point(n % 3, "v", (n % 7) as i64, Cell::of(1.1_f64.powi((n % 500) as i32), 1.0)));
        }
        let cells = pending.series.values().flat_map(BTreeMap::values).map(cell_bytes);
        let all = pending.series.keys().map(series_bytes).sum::<usize>() + cells.sum::<usize>();
        assert_eq!((pending.bytes, pending.cells), (all, 21));
    }

    #[tokio::test]
    async fn one_series_with_many_large_cells_is_stored() {
        let kv = store::memory();
        let mut large = Cell::of(1.0, 1.0);
        (0..1024).for_each(|n| large.push(1.03_f64.powi(n)));
        let mut pending = Pending::default();
        (0..2000).for_each(|minute| pending.add(point(0, "v", minute, large.clone())));
        assert!(large.bytes() * 2000 > 16 * 1024 * 1024 && pending.dropped == 0);
        let left = pending.store(&*kv, &mut Remembered::default(), 0).await;
        assert!(left.news && left.back.is_empty());
        assert_eq!(stored(&*kv), (1, 2000));
    }

    #[tokio::test]
    async fn series_whose_names_grow_in_the_directory_are_stored() {
        let kv = store::memory();
        let mut pending = Pending::default();
        // As JSON each of these is six bytes.
        let value = "\u{1}".repeat(1024);
        (0..120).for_each(|name| pending.add(point(name, &value, 0, Cell::of(1.0, 1.0))));
        pending.store(&*kv, &mut Remembered::default(), 0).await;
        assert_eq!(stored(&*kv), (120, 120));
    }

    #[tokio::test]
    async fn a_write_that_fails_takes_only_its_own_part() {
        let kv = Failing { rows: store::memory(), fails: AtomicUsize::new(1), error: Error::Panicked };
        let mut known = Remembered::default();
        let fresh = || {
            let mut pending = Pending::default();
            (0..600).for_each(|name| pending.add(one(name)));
            pending
        };
        let left = fresh().store(&kv, &mut known, 0).await;
        assert!(left.news && left.back.is_empty());
        assert_eq!(stored(&kv), (600 - AT_ONCE, 600 - AT_ONCE));
        // The directory hears of them with the next values, not five minutes later.
        assert!(fresh().store(&kv, &mut known, 1).await.news);
        assert_eq!(stored(&kv), (600, 600));
        assert!(!fresh().store(&kv, &mut known, 2).await.news);
    }

    #[tokio::test]
    async fn what_a_full_store_does_not_take_comes_back() {
        let kv = Failing { rows: store::memory(), fails: AtomicUsize::new(2), error: Error::Full };
        let mut known = Remembered::default();
        let mut pending = Pending::default();
        (0..600).for_each(|name| pending.add(one(name)));
        let left = pending.store(&kv, &mut known, 0).await;
        assert_eq!((left.back.cells, left.back.dropped), (AT_ONCE, 0));
        let mut next = Pending::default();
        next.add(one(600));
        next.absorb(left.back);
        assert!(next.store(&kv, &mut known, 1).await.back.is_empty());
        assert_eq!(stored(&kv), (601, 601));
    }
}
