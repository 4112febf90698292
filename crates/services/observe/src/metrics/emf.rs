//! Metrics in log lines: the embedded metric format.
//!
//! A line that is not one is a line like any other, and one that is wrong in part gives what is right in it.
//! Source: Amazon CloudWatch User Guide, "Specification: Embedded metric format".

use base::{Account, Region};
use serde_json::{Map, Value};

use super::cell::Cell;
use super::{DIMENSIONS, Metric, Point, Series, Unit};

/// Metrics of one directive at most.
const METRICS: usize = 100;
/// Values of one metric at most.
const VALUES: usize = 100;
/// Sets of dimensions of one directive at most. Each makes series of its own.
const SETS: usize = 30;
/// The largest value, either way.
pub(crate) fn largest() -> f64 {
    2f64.powi(360)
}

/// Whether a line may be one: cheap, for every line there is.
pub(crate) fn looks_like(line: &[u8]) -> bool {
    line.first() == Some(&b'{') && contains(line, b"\"_aws\"") && contains(line, b"\"CloudWatchMetrics\"")
}

fn contains(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|part| part == word)
}

/// The points in a line; none if it is not of this format.
pub(crate) fn points(account: Account, region: &Region, line: &[u8], at_ms: i64, now_ms: i64) -> Vec<Point> {
    if !looks_like(line) {
        return Vec::new();
    }
    let Ok(Value::Object(root)) = serde_json::from_slice::<Value>(line) else { return Vec::new() };
    let Some(about) = root.get("_aws").and_then(Value::as_object) else { return Vec::new() };
    let at_ms = about.get("Timestamp").and_then(Value::as_i64).unwrap_or(at_ms);
    if !crate::rules::metric::in_time(at_ms, now_ms) {
        return Vec::new();
    }
    let mut points = Vec::new();
    for directive in about.get("CloudWatchMetrics").and_then(Value::as_array).into_iter().flatten() {
        let Some(namespace) = directive["Namespace"].as_str().filter(|name| crate::rules::metric::free(name)) else {
            continue;
        };
        let sets = sets(directive, &root);
        for metric in directive["Metrics"].as_array().into_iter().flatten().take(METRICS) {
            let Some((name, unit, high, cell)) = value(metric, &root) else { continue };
            points.extend(sets.iter().map(|dimensions| {
                let (namespace, name, dimensions) = (namespace.to_owned(), name.to_owned(), dimensions.clone());
                let metric = Metric { namespace, name, dimensions };
                let series = Series { account, region: region.clone(), metric };
                Point { series, unit, at_ms, high, cell: cell.clone() }
            }));
        }
    }
    points
}

/// The sets of dimensions of a directive, with the values the line gives. A set that names what is missing is left out.
fn sets(directive: &Value, root: &Map<String, Value>) -> Vec<Vec<(String, String)>> {
    let Some(named) = directive["Dimensions"].as_array().filter(|sets| !sets.is_empty()) else {
        return vec![Vec::new()];
    };
    let pair = |name: &Value| {
        let name = name.as_str()?;
        let value = root.get(name)?;
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (!value.is_empty() && value.len() <= 1024 && !name.is_empty() && name.len() <= 255)
            .then(|| (name.to_owned(), value))
    };
    let set = |set: &Value| {
        let names = set.as_array().filter(|names| names.len() <= DIMENSIONS)?;
        let mut pairs: Vec<(String, String)> = names.iter().map(pair).collect::<Option<_>>()?;
        pairs.sort();
        pairs.dedup();
        Some(pairs)
    };
    named.iter().take(SETS).filter_map(set).collect()
}

/// Name, unit, resolution and values of one metric.
fn value<'a>(metric: &'a Value, root: &Map<String, Value>) -> Option<(&'a str, Unit, bool, Cell)> {
    let name = metric["Name"].as_str().filter(|name| !name.is_empty() && name.len() <= 255)?;
    let unit = match metric.get("Unit") {
        None | Some(Value::Null) => Unit::NONE,
        Some(unit) => Unit::of(unit.as_str()?)?,
    };
    let high = metric["StorageResolution"].as_i64() == Some(1);
    let number = |value: &Value| value.as_f64().filter(|number| number.abs() <= largest());
    let cell = match root.get(name)? {
        Value::Array(values) if values.len() <= VALUES => {
            let mut cells = values.iter().map(|value| number(value).map(|number| Cell::of(number, 1.0)));
            let mut first = cells.next()??;
            for cell in cells {
                first.merge(&cell?);
            }
            first
        }
        value => Cell::of(number(value)?, 1.0),
    };
    Some((name, unit, high, cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<(String, f64)> {
        let region = Region::default_region();
        let points = points(Account::DEFAULT, &region, line.as_bytes(), 1_000_000, 1_000_000);
        let shown = |point: Point| {
            let Metric { namespace, name, dimensions } = point.series.metric;
            let unit = point.unit.as_str();
            (format!("{namespace} {name} {dimensions:?} {unit} {}", point.at_ms), point.cell.sum)
        };
        points.into_iter().map(shown).collect()
    }

    #[test]
    fn a_line_gives_a_point_for_each_metric_and_set() {
        let line = r#"{"_aws":{"Timestamp":1000500,"CloudWatchMetrics":[{"Namespace":"Shop","Dimensions":[["page"],[]],
            "Metrics":[{"Name":"took","Unit":"Milliseconds"},{"Name":"hits"}]}]},"page":"cart","took":[1,2.5],"hits":3}"#;
        let page = "[(\"page\", \"cart\")]";
        assert_eq!(
            read(line),
            [
                (format!("Shop took {page} Milliseconds 1000500"), 3.5),
                ("Shop took [] Milliseconds 1000500".into(), 3.5),
                (format!("Shop hits {page} None 1000500"), 3.0),
                ("Shop hits [] None 1000500".into(), 3.0),
            ]
        );
    }

    #[test]
    fn what_is_wrong_gives_nothing_and_breaks_nothing() {
        let about =
            |rest: &str| format!("{{\"_aws\":{{\"CloudWatchMetrics\":{rest}}},\"m\":1,\"s\":\"x\",\"n\":null}}");
        assert_eq!(read(&about(r#"[{"Namespace":"N","Metrics":[{"Name":"m"}]}]"#)).len(), 1);
        for wrong in [
            r#"[{"Namespace":"AWS/Lambda","Metrics":[{"Name":"m"}]}]"#,
            r#"[{"Namespace":"N","Metrics":[{"Name":"s"}]}]"#,
            r#"[{"Namespace":"N","Metrics":[{"Name":"n"}]}]"#,
            r#"[{"Namespace":"N","Metrics":[{"Name":"gone"}]}]"#,
            r#"[{"Namespace":"N","Metrics":[{"Name":"m","Unit":"Parsecs"}]}]"#,
            r#"[{"Namespace":"N","Dimensions":[["gone"]],"Metrics":[{"Name":"m"}]}]"#,
            r#"[{"Metrics":[{"Name":"m"}]}]"#,
            r#"{"Namespace":7}"#,
            "7",
        ] {
            assert_eq!(read(&about(wrong)), [], "{wrong}");
        }
        for wrong in ["", "{", "{\"_aws\" \"CloudWatchMetrics\"", "plain \"_aws\" \"CloudWatchMetrics\""] {
            assert_eq!(read(wrong), [], "{wrong}");
        }
        let late = r#"{"_aws":{"Timestamp":99999999999999,"CloudWatchMetrics":[{"Namespace":"N","Metrics":[{"Name":"m"}]}]},"m":1}"#;
        assert_eq!(read(late), []);
    }
}
