//! Metrics: numbers over time, as CloudWatch keeps them.

pub(crate) mod cell;
pub(crate) mod emf;
pub(crate) mod lambda;
pub(crate) mod pending;
pub(crate) mod read;
pub(crate) mod retention;
pub(crate) mod rows;
pub(crate) mod statistic;

use base::{Account, Region};
use serde::{Deserialize, Serialize};

/// Every unit, in the order of the model; a unit's place in it is what is stored.
pub(crate) const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// A unit by its place in [`UNITS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Unit(pub(crate) u8);

impl Unit {
    pub(crate) const MILLISECONDS: Self = Self(2);
    pub(crate) const BYTES: Self = Self(3);
    pub(crate) const COUNT: Self = Self(14);
    pub(crate) const NONE: Self = Self(26);

    pub(crate) fn of(name: &str) -> Option<Self> {
        UNITS.iter().position(|unit| *unit == name).map(|at| Self(at as u8))
    }

    pub(crate) fn as_str(self) -> &'static str {
        UNITS.get(usize::from(self.0)).copied().unwrap_or("None")
    }
}

/// The largest dimensions of one series: their number.
pub(crate) const DIMENSIONS: usize = 30;

/// What names a series besides its account and region.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Metric {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Sorted by name.
    pub(crate) dimensions: Vec<(String, String)>,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Series {
    pub(crate) account: Account,
    pub(crate) region: Region,
    pub(crate) metric: Metric,
}

/// What was seen of one series at one time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    pub(crate) series: Series,
    pub(crate) unit: Unit,
    pub(crate) at_ms: i64,
    /// Whether it is kept by the second too.
    pub(crate) high: bool,
    pub(crate) cell: cell::Cell,
}
