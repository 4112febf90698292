//! What the names in expressions stand for: the other queries of the same request.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

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

/// The queries of one request, each carried out once.
pub(super) struct Queries<'a> {
    queries: &'a [Query],
    kv: &'a dyn Kv,
    done: RefCell<HashMap<String, Value>>,
    // Which are under way: one that asks for itself is wrong.
    open: RefCell<Vec<String>>,
    fault: Cell<Option<Fault>>,
}

impl<'a> Queries<'a> {
    pub(super) fn new(queries: &'a [Query], kv: &'a dyn Kv) -> Self {
        Self { queries, kv, done: RefCell::default(), open: RefCell::default(), fault: Cell::default() }
    }

    /// A fault of the store, which ends the request.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.take()
    }

    fn carry_out(&self, query: &Query) -> Result<Value, Error> {
        match &query.what {
            What::Math(expression) => math::evaluate(expression, self),
            What::Stat { series, stretch, statistic, .. } => {
                let seen = stretch.read(self.kv, series).map_err(|fault| {
                    self.fault.set(Some(fault));
                    Error::Wrong("the store failed".into())
                })?;
                let mut cells = std::collections::BTreeMap::new();
                for ((second, _), cell) in seen {
                    cells
                        .entry(second)
                        .and_modify(|there: &mut crate::metrics::cell::Cell| there.merge(&cell))
                        .or_insert(cell);
                }
                let values = cells.iter().filter_map(|(second, cell)| Some((*second, statistic.of(cell)?)));
                Ok(Value::Line(Line {
                    name: query.id.clone(),
                    period_s: stretch.period_s,
                    from_s: stretch.from_s,
                    to_s: stretch.to_s,
                    values: values.collect(),
                }))
            }
        }
    }
}

impl Names for Queries<'_> {
    fn find(&self, name: &str) -> Result<Value, Error> {
        if let Some(value) = self.done.borrow().get(name) {
            return Ok(value.clone());
        }
        let query = self.queries.iter().find(|query| query.id == name);
        let query = query.ok_or_else(|| Error::Wrong(format!("Undefined variable(s): {name}")))?;
        if self.open.borrow().iter().any(|open| open == name) {
            return Err(Error::Wrong(format!("{name} depends on itself")));
        }
        self.open.borrow_mut().push(name.to_owned());
        let value = self.carry_out(query);
        self.open.borrow_mut().pop();
        let value = value?;
        self.done.borrow_mut().insert(name.to_owned(), value.clone());
        Ok(value)
    }

    fn metrics(&self, part: &str) -> Vec<Line> {
        let stats =
            self.queries.iter().filter(|query| matches!(query.what, What::Stat { .. }) && query.id.contains(part));
        let lines = stats.filter_map(|query| match self.find(&query.id) {
            Ok(Value::Line(line)) => Some(line),
            // A fault of the store is kept, and ends the request.
            _ => None,
        });
        lines.collect()
    }
}
