//! Values that wait to be stored: merged as they come, in bounded room.

use std::collections::{BTreeMap, HashMap};

use base::Fault;
use bytes::Bytes;
use store::{Batch, Key, Kv, Space, transact_with};

use super::cell::Cell;
use super::rows::{Entry, Id, Tier};
use super::{Point, Series, Unit};

/// Cells that may wait; what would make more is not taken.
const CELLS: usize = 50_000;
/// Cells stored in one transaction: well below what the store takes.
const AT_ONCE: usize = 256;
/// How exactly the directory knows when values last came in.
pub(crate) const SEEN_MS: i64 = 5 * 60_000;
/// Series of which it is remembered that the directory has them.
const REMEMBERED: usize = 20_000;

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    series: HashMap<Series, BTreeMap<(Tier, i64, Unit), Cell>>,
    cells: usize,
    /// Values that found no room.
    pub(crate) dropped: u64,
}

/// When the directory last heard of a series.
#[derive(Debug, Default)]
pub(crate) struct Remembered(HashMap<Id, i64>);

impl Pending {
    /// Whether so many more series or periods surely find room.
    pub(crate) fn has_room(&self, for_points: usize) -> bool {
        self.cells + 2 * for_points <= CELLS
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty() && self.dropped == 0
    }

    /// Takes a value; without room it is counted as dropped.
    pub(crate) fn add(&mut self, point: Point) {
        let Point { series, unit, at_ms, high, cell } = point;
        if !self.has_room(1) {
            self.dropped += 1;
            return;
        }
        let cells = self.series.entry(series).or_default();
        let second = at_ms.div_euclid(1000);
        let tiers: &[Tier] = if high { &[Tier::Second, Tier::Minute] } else { &[Tier::Minute] };
        for tier in tiers {
            let begin = second - second.rem_euclid(tier.period_s());
            match cells.entry((*tier, begin, unit)) {
                std::collections::btree_map::Entry::Occupied(mut there) => there.get_mut().merge(&cell),
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(cell.clone());
                    self.cells += 1;
                }
            }
        }
    }

    /// Merges everything into what is stored; whether the directory heard of a series. What a failing store does not take
    /// is gone.
    pub(crate) async fn store(self, kv: &dyn Kv, known: &mut Remembered, now_ms: i64) -> Result<bool, Fault> {
        let mut news = false;
        let (mut cells, mut entries) = (Vec::new(), Vec::new());
        for (series, values) in self.series {
            let id = series.id();
            if known.is_news(id, now_ms) {
                news = true;
                entries.push((series.row(id), Entry { metric: series.metric, seen_ms: now_ms }));
            }
            for ((tier, second, unit), cell) in values {
                cells.push((id.cell(tier, second, unit), cell));
            }
            if cells.len() >= AT_ONCE {
                merge(kv, std::mem::take(&mut cells), std::mem::take(&mut entries)).await?;
            }
        }
        merge(kv, cells, entries).await?;
        Ok(news)
    }
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
}

/// One transaction.
async fn merge(kv: &dyn Kv, cells: Vec<(Bytes, Cell)>, entries: Vec<(Vec<u8>, Entry)>) -> Result<(), Fault> {
    if cells.is_empty() {
        return Ok(());
    }
    let keys = cells.iter().map(|(row, _)| Key::new(Space::Usage, row.clone())).collect();
    transact_with(kv, keys, move |rows| {
        let mut batch = Batch::new();
        for (row, more) in &cells {
            let cell = match rows.get(Space::Usage, row) {
                Some(stored) => {
                    let mut cell = Cell::decode(&stored)?;
                    cell.merge(more);
                    cell.encode()
                }
                None => more.encode(),
            };
            batch.put(Space::Usage, row.clone(), cell);
        }
        for (row, entry) in &entries {
            batch.put_json(Space::Usage, row.clone(), entry)?;
        }
        Ok((batch, ()))
    })
    .await?;
    Ok(())
}
