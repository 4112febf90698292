//! What the names in expressions stand for: the other queries of the same request.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use base::Fault;
use store::Kv;

use crate::metrics::Series;
use crate::metrics::read::Stretch;
use crate::metrics::statistic::Statistic;
use crate::rules::math::{self, Error, Expression, Line, Names, Value};

/// A query, read and checked.
pub(super) struct Query {
    pub(super) id: String,
    pub(super) label: Option<String>,
    pub(super) shown: bool,
    pub(super) what: What,
}

/// What a query asks for.
pub(super) enum What {
    Stat { series: Series, stretch: Stretch, statistic: Statistic, name: String },
    Math(Expression),
}

/// Values that one request keeps at most. CloudWatch documents no such limit: it is what our memory allows.
pub(super) const KEPT: usize = 1_000_000;
/// The room that a series takes beside its values, in values.
const LINE: usize = 50;
/// Values that the expressions of one request go through at most.
const WORK: usize = 5_000_000;
/// Expressions that build on one another at most. CloudWatch documents no such limit.
const CHAIN: usize = 10;

/// The queries of one request, each carried out once.
pub(super) struct Queries<'a> {
    queries: &'a [Query],
    by_id: HashMap<&'a str, &'a Query>,
    kv: &'a dyn Kv,
    done: RefCell<HashMap<&'a str, Value>>,
    // How much `done` holds, of KEPT.
    kept: Cell<usize>,
    // How much the expressions went through, of WORK.
    work: Cell<usize>,
    fault: Cell<Option<Fault>>,
}

fn too_much() -> Error {
    Error::Wrong(
        "The request reads more values than one request may: ask for a shorter time, a longer period or fewer metrics"
            .into(),
    )
}

impl<'a> Queries<'a> {
    pub(super) fn new(queries: &'a [Query], kv: &'a dyn Kv) -> Self {
        let by_id = queries.iter().map(|query| (query.id.as_str(), query)).collect();
        let (kept, work) = (Cell::default(), Cell::default());
        Self { queries, by_id, kv, done: RefCell::default(), kept, work, fault: Cell::default() }
    }

    /// A fault of the store, which ends the request.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.take()
    }

    /// Another query that must be carried out before this one.
    fn before(&self, query: &Query) -> Option<&'a Query> {
        let What::Math(expression) = &query.what else { return None };
        let done = self.done.borrow();
        let mut open = expression.names().into_iter().filter(|name| !done.contains_key(name));
        open.find_map(|name| self.by_id.get(name).copied())
    }

    fn carry_out(&self, query: &'a Query) -> Result<(), Error> {
        let value = match &query.what {
            What::Math(expression) => math::evaluate(expression, self)?,
            What::Stat { series, stretch, statistic, .. } => {
                let values = self.read(series, stretch, *statistic)?;
                let (period_s, from_s, to_s) = (stretch.period_s, stretch.from_s, stretch.to_s);
                Value::Line(Rc::new(Line { name: query.id.clone(), period_s, from_s, to_s, values }))
            }
        };
        // The values of a series that another query keeps too take no room again.
        let own = |line: &Rc<Line>| if Rc::strong_count(line) == 1 { line.values.len() } else { 0 };
        let more: usize = value.lines().iter().map(|line| LINE + own(line)).sum();
        self.kept.set(self.kept.get() + more);
        if self.kept.get() > KEPT {
            return Err(too_much());
        }
        self.done.borrow_mut().insert(&query.id, value);
        Ok(())
    }

    fn read(&self, series: &Series, stretch: &Stretch, statistic: Statistic) -> Result<BTreeMap<i64, f64>, Error> {
        let room = KEPT.saturating_sub(self.kept.get());
        let mut values = BTreeMap::new();
        let read = stretch.slices(self.kv, series, |seen| {
            let mut cells = BTreeMap::new();
            for ((second, _), cell) in seen {
                cells
                    .entry(second)
                    .and_modify(|there: &mut crate::metrics::cell::Cell| there.merge(&cell))
                    .or_insert(cell);
            }
            values.extend(cells.iter().filter_map(|(second, cell)| Some((*second, statistic.of(cell)?))));
            values.len() <= room
        });
        read.map_err(|fault| {
            self.fault.set(Some(fault));
            Error::Wrong("the store failed".into())
        })?;
        if values.len() > room { Err(too_much()) } else { Ok(values) }
    }
}

impl Names for Queries<'_> {
    fn find(&self, name: &str) -> Result<Value, Error> {
        if let Some(value) = self.done.borrow().get(name) {
            return Ok(value.clone());
        }
        let query = self.by_id.get(name).copied();
        let query = query.ok_or_else(|| Error::Wrong(format!("Undefined variable(s): {name}")))?;
        // What a query builds on is carried out before it, not within it: however long the chain, the stack stays as deep
        // as one expression makes it.
        let mut open = vec![query];
        while let Some(query) = open.last().copied() {
            match self.before(query) {
                None => {
                    self.carry_out(query)?;
                    open.pop();
                }
                Some(next) if open.iter().any(|one| one.id == next.id) => {
                    return Err(Error::Wrong(format!("{} depends on itself", next.id)));
                }
                Some(next) if open.len() >= CHAIN && matches!(next.what, What::Math(_)) => {
                    return Err(Error::Wrong(format!("More than {CHAIN} expressions build on one another")));
                }
                Some(next) => open.push(next),
            }
        }
        self.done.borrow().get(name).cloned().ok_or_else(|| Error::Wrong(format!("Undefined variable(s): {name}")))
    }

    fn metrics(&self, part: &str) -> Result<Vec<Rc<Line>>, Error> {
        let stats =
            self.queries.iter().filter(|query| matches!(query.what, What::Stat { .. }) && query.id.contains(part));
        let mut lines = Vec::new();
        for query in stats {
            lines.extend_from_slice(self.find(&query.id)?.lines());
        }
        Ok(lines)
    }

    fn spend(&self, values: usize) -> Result<(), Error> {
        self.work.set(self.work.get().saturating_add(values));
        if self.work.get() > WORK { Err(too_much()) } else { Ok(()) }
    }
}
