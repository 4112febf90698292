//! Reads a stretch of one series in periods of one's own choice.

use std::collections::BTreeMap;

use base::Fault;
use store::{Kv, Range, Space};

use super::cell::Cell;
use super::rows::{self, Id, Tier};
use super::{Series, Unit};

/// Rows read at a time.
const PAGE: usize = 500;

/// Periods of which the cells are held at a time.
const SLICE: i64 = 200;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    /// The first second, inclusive: the first period begins here.
    pub(crate) from_s: i64,
    /// The end, exclusive.
    pub(crate) to_s: i64,
    pub(crate) period_s: i64,
    /// Only values of this unit.
    pub(crate) unit: Option<Unit>,
    pub(crate) now_s: i64,
}

/// What was seen, by the period's first second and unit.
pub(crate) type Seen = BTreeMap<(i64, Unit), Cell>;

impl Stretch {
    /// A stretch whose start is rounded down as CloudWatch rounds it: to the minute, to five for data older than 15 days,
    /// to the hour for data older than 63; to the period itself below a minute.
    pub(crate) fn rounded(from_ms: i64, to_ms: i64, period_s: i64, unit: Option<Unit>, now_ms: i64) -> Self {
        let (from_s, now_s) = (from_ms.div_euclid(1000), now_ms.div_euclid(1000));
        let step_s = match now_s - from_s {
            _ if period_s < 60 => period_s,
            age_s if age_s <= Tier::Minute.kept_s() => 60,
            age_s if age_s <= Tier::Five.kept_s() => 300,
            _ => 3600,
        };
        let to_s = to_ms.div_euclid(1000) + i64::from(to_ms.rem_euclid(1000) > 0);
        Self { from_s: from_s - from_s.rem_euclid(step_s), to_s, period_s, unit, now_s }
    }

    /// Whether a period of such a tier, beginning then, may be seen: neither finer than what is kept of its age, nor older
    /// than anything is kept. The same before and after the sweep.
    fn shows(&self, tier: Tier, second: i64) -> bool {
        let age_s = self.now_s - second;
        if tier == Tier::Second {
            return self.period_s < 60 && age_s <= tier.kept_s();
        }
        let finest_s = Tier::ALL.iter().skip(1).find(|tier| age_s <= tier.kept_s()).map(|tier| tier.period_s());
        finest_s.is_some_and(|finest_s| self.period_s % finest_s.max(tier.period_s()) == 0)
    }

    /// The periods in which something was seen.
    pub(crate) fn read(&self, kv: &dyn Kv, series: &Series) -> Result<Seen, Fault> {
        let id = series.id();
        let mut seen = Seen::new();
        for tier in self.tiers() {
            self.read_tier(kv, id, tier, &mut seen)?;
        }
        Ok(seen)
    }

    /// As [`read`](Self::read), some periods at a time and in their order, so that the distributions of a long stretch are
    /// never held together. Ends early when `take` says that it wants no more.
    pub(crate) fn slices(&self, kv: &dyn Kv, series: &Series, mut take: impl FnMut(Seen) -> bool) -> Result<(), Fault> {
        let mut rest = *self;
        while let Some(first) = rest.first(kv, series.id())? {
            // Empty periods are passed over, and the slices keep the places of the periods.
            rest.from_s = first - (first - self.from_s).rem_euclid(self.period_s);
            let to_s = rest.from_s.saturating_add(self.period_s.saturating_mul(SLICE)).min(self.to_s);
            if !take(Self { to_s, ..rest }.read(kv, series)?) {
                break;
            }
            rest.from_s = to_s;
        }
        Ok(())
    }

    /// The second of its first row.
    fn first(&self, kv: &dyn Kv, id: Id) -> Result<Option<i64>, Fault> {
        let mut first = None;
        for tier in self.tiers() {
            let range = Range::between(id.from(tier, self.from_s), id.from(tier, self.to_s));
            let rows = kv.range(Space::Usage, range, 1, false)?;
            let second = rows.first().and_then(|(row, _)| rows::place(row)).map(|(second, _)| second);
            first = first.into_iter().chain(second).min();
        }
        Ok(first)
    }

    /// The tiers that such periods can be made of.
    fn tiers(&self) -> impl Iterator<Item = Tier> {
        Tier::ALL.into_iter().filter(|tier| match tier {
            Tier::Second => self.period_s < 60,
            tier => self.period_s % tier.period_s() == 0,
        })
    }

    fn read_tier(&self, kv: &dyn Kv, id: Id, tier: Tier, seen: &mut Seen) -> Result<(), Fault> {
        let mut range = Range::between(id.from(tier, self.from_s), id.from(tier, self.to_s));
        loop {
            let rows = kv.range(Space::Usage, range.clone(), PAGE, false)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range = range.after(last.clone());
            for (row, value) in &rows {
                let Some((second, unit)) = rows::place(row) else { continue };
                if !self.shows(tier, second) || self.unit.is_some_and(|wanted| wanted != unit) {
                    continue;
                }
                let cell = Cell::decode(value)?;
                let begin = second - (second - self.from_s).rem_euclid(self.period_s);
                seen.entry((begin, unit)).and_modify(|there| there.merge(&cell)).or_insert(cell);
            }
        }
    }
}
