//! What CloudWatch takes as metric data, in its words.
//!
//! Source: Amazon CloudWatch API reference, `PutMetricData`; messages as the service gives them.

use base::Fault;
use model::cloudwatch::{self, Dimension, MetricDatum};

use crate::metrics::cell::Cell;
use crate::metrics::{Metric, Unit, emf};

/// How far back a value may lie: two weeks.
const BACK_MS: i64 = 14 * 86_400_000;
/// How far ahead.
const AHEAD_MS: i64 = 2 * 3_600_000;
/// Values of one datum at most.
const VALUES: usize = 150;

/// What one datum says, but for its series' account and region.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Datum {
    pub(crate) metric: Metric,
    pub(crate) unit: Unit,
    pub(crate) at_ms: i64,
    pub(crate) high: bool,
    pub(crate) cell: Cell,
}

/// Whether a value of that time is taken now.
pub(crate) fn in_time(at_ms: i64, now_ms: i64) -> bool {
    at_ms >= now_ms - BACK_MS && at_ms <= now_ms + AHEAD_MS
}

/// Whether callers may write into a namespace: those of AWS's services are not theirs.
pub(crate) fn free(namespace: &str) -> bool {
    let plain = namespace.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    plain && (1..=255).contains(&namespace.len()) && !namespace.starts_with(':') && !namespace.starts_with("AWS/")
}

/// `InvalidParameterValue`.
pub(crate) fn invalid(message: impl Into<String>) -> Fault {
    cloudwatch::invalid_parameter_value_exception(message)
}

/// `InvalidParameterCombination`.
pub(crate) fn combination(message: impl Into<String>) -> Fault {
    cloudwatch::invalid_parameter_combination_exception(message)
}

/// `MissingParameter`.
pub(crate) fn missing(message: impl Into<String>) -> Fault {
    cloudwatch::missing_required_parameter_exception(message)
}

/// A metric's dimensions, sorted; each name once.
pub(crate) fn dimensions(given: Option<Vec<Dimension>>, at: &str) -> Result<Vec<(String, String)>, Fault> {
    let given = given.unwrap_or_default();
    let pairs = given.into_iter().map(|one| (one.name.unwrap_or_default(), one.value.unwrap_or_default()));
    let mut pairs: Vec<(String, String)> = pairs.collect();
    let plain = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.trim().is_empty();
    for (index, (name, value)) in pairs.iter().enumerate() {
        let place = format!("{at}Dimensions.member.{}", index + 1);
        if !plain(name) || name.starts_with(':') {
            return Err(invalid(format!("The value {name} for parameter {place}.Name is invalid.")));
        }
        if !plain(value) {
            return Err(invalid(format!("The value {value} for parameter {place}.Value is invalid.")));
        }
    }
    pairs.sort();
    if let Some([(name, _), _]) = pairs.windows(2).find(|two| matches!(two, [a, b] if a.0 == b.0)) {
        return Err(invalid(format!("The parameter {at}Dimensions names {name} more than once.")));
    }
    Ok(pairs)
}

/// Reads one datum; `index` counts from one.
pub(crate) fn datum(namespace: &str, given: MetricDatum, index: usize, now_ms: i64) -> Result<Datum, Fault> {
    let at = format!("MetricData.member.{index}.");
    let at_ms = given.timestamp.map_or(now_ms, |at| at.0);
    if !in_time(at_ms, now_ms) {
        let words = if at_ms < now_ms { "within the past two weeks" } else { "no more than two hours in the future" };
        return Err(invalid(format!("The parameter {at}Timestamp must specify a time {words}.")));
    }
    let resolution = given.storage_resolution.unwrap_or(60);
    if resolution != 1 && resolution != 60 {
        return Err(invalid(format!("The parameter {at}StorageResolution must be a value in the set [ 1, 60 ].")));
    }
    let unit = given.unit.as_deref().map_or(Some(Unit::NONE), Unit::of);
    let unit = unit.ok_or_else(|| invalid(format!("The parameter {at}Unit is invalid.")))?;
    let dimensions = dimensions(given.dimensions.clone(), &at)?;
    let name = given.metric_name.clone().unwrap_or_default();
    let metric = Metric { namespace: namespace.to_owned(), name, dimensions };
    Ok(Datum { metric, unit, at_ms, high: resolution == 1, cell: cell(given, &at)? })
}

fn number(value: f64, place: &str) -> Result<f64, Fault> {
    if value.is_finite() && value.abs() <= emf::largest() {
        // Never minus zero: it would be a value of its own.
        return Ok(value + 0.0);
    }
    Err(invalid(format!("The value {value} for parameter {place} is invalid.")))
}

fn cell(given: MetricDatum, at: &str) -> Result<Cell, Fault> {
    let forms = [
        ("Value", given.value.is_some()),
        ("StatisticValues", given.statistic_values.is_some()),
        ("Values", given.values.is_some()),
    ];
    let mut named = forms.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name);
    if let (Some(one), Some(two)) = (named.next(), named.next()) {
        return Err(combination(format!(
            "The parameters {at}{one} and {at}{two} are mutually exclusive and you have specified both."
        )));
    }
    if let Some(value) = given.value {
        return Ok(Cell::of(number(value, &format!("{at}Value"))?, 1.0));
    }
    if let Some(set) = given.statistic_values {
        let read =
            |value: Option<f64>, name: &str| number(value.unwrap_or(0.0), &format!("{at}StatisticValues.{name}"));
        let (count, sum) = (read(set.sample_count, "SampleCount")?, read(set.sum, "Sum")?);
        let (min, max) = (read(set.minimum, "Minimum")?, read(set.maximum, "Maximum")?);
        if count <= 0.0 {
            return Err(invalid(format!(
                "The value {count} for parameter {at}StatisticValues.SampleCount is invalid."
            )));
        }
        if min > max {
            let words = "must not be greater than the parameter";
            return Err(invalid(format!(
                "The parameter {at}StatisticValues.Minimum {words} {at}StatisticValues.Maximum."
            )));
        }
        return Ok(Cell::of_set(count, sum, min, max));
    }
    let values = given.values.unwrap_or_default();
    if values.is_empty() {
        return Err(missing(format!("The parameter {at}Value is required.")));
    }
    if values.len() > VALUES {
        return Err(invalid(format!("The collection {at}Values must not have a size greater than {VALUES}.")));
    }
    let counts = given.counts.unwrap_or_else(|| vec![1.0; values.len()]);
    if counts.len() != values.len() {
        return Err(invalid(format!("The parameters {at}Values and {at}Counts must be of the same size.")));
    }
    let mut all: Option<Cell> = None;
    for (index, (value, count)) in values.into_iter().zip(counts).enumerate() {
        let value = number(value, &format!("{at}Values.member.{}", index + 1))?;
        let place = format!("{at}Counts.member.{}", index + 1);
        let count = number(count, &place)?;
        if count <= 0.0 {
            return Err(invalid(format!("The value {count} for parameter {place} is invalid.")));
        }
        let one = Cell::of(value, count);
        match &mut all {
            Some(all) => all.merge(&one),
            None => all = Some(one),
        }
    }
    all.ok_or_else(|| missing(format!("The parameter {at}Value is required.")))
}
