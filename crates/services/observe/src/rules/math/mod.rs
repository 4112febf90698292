//! Metric math: expressions over time series.
//!
//! Arithmetic (`+ - * / ^`, parentheses) over series and numbers, and [`FUNCTIONS`]. Everything else that CloudWatch knows
//! (SEARCH, Metrics Insights, anomaly bands, comparisons) is refused by name.
//! Source: Amazon CloudWatch User Guide, "Using math expressions with CloudWatch metrics".

mod evaluate;
mod parse;

pub(crate) use evaluate::{Line, Names, Value, evaluate};
pub(crate) use parse::{Expression, parse};

/// What can be called.
pub(crate) const FUNCTIONS: [&str; 14] = [
    "ABS",
    "AVG",
    "CEIL",
    "DIFF",
    "FILL",
    "FLOOR",
    "MAX",
    "METRICS",
    "METRIC_COUNT",
    "MIN",
    "PERIOD",
    "RATE",
    "RUNNING_SUM",
    "SUM",
];

/// Why an expression gives nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// It is wrong.
    Wrong(String),
    /// It is right on AWS, and not carried out here.
    NotHere(String),
}
