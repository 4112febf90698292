//! Metrics in log lines: the embedded metric format.
//!
//! A line that is not one is a line like any other, and one that is wrong in part gives what is right in it.
//! Source: Amazon CloudWatch User Guide, "Specification: Embedded metric format".

use std::borrow::Cow;
use std::collections::HashSet;

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
/// Points of one line at most, and metrics looked at; it may hold any number of directives.
const POINTS: usize = 1000;
/// Bytes of the names of all points of one line at most.
const NAME_BYTES: usize = 4 * 1024 * 1024;
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

/// Says in the platform's log that a line gave less than it held: once for all lines that came together.
pub(crate) fn say_left_out() {
    tracing::warn!(
        "metrics were left out: a log line held more than {POINTS} of them, or more than {NAME_BYTES} bytes of their names"
    );
}

/// What one line may still give. A line names its dimensions once and may point at them thousands of times: without a
/// bound, a few hundred kilobytes of it would become gigabytes of points.
struct Left {
    // Reading a metric costs time, also if its values are wrong.
    metrics: usize,
    points: usize,
    // Each new series keeps its names.
    bytes: usize,
}

impl Left {
    fn metric(&mut self) -> bool {
        take_from(&mut self.metrics, 1)
    }

    fn point(&mut self, bytes: usize) -> bool {
        take_from(&mut self.points, 1) && take_from(&mut self.bytes, bytes)
    }
}

fn take_from(left: &mut usize, count: usize) -> bool {
    let rest = left.checked_sub(count);
    *left = rest.unwrap_or(0);
    rest.is_some()
}

/// Hands out the points of a line one by one, so that the taker may merge them: none if it is not of this format. False if
/// it had more than one line may give; the rest is left out.
pub(crate) fn points(
    account: Account,
    region: &Region,
    line: &[u8],
    at_ms: i64,
    now_ms: i64,
    mut take: impl FnMut(Point),
) -> bool {
    if !looks_like(line) {
        return true;
    }
    let Ok(Value::Object(root)) = serde_json::from_slice::<Value>(line) else { return true };
    let Some(about) = root.get("_aws").and_then(Value::as_object) else { return true };
    let at_ms = about.get("Timestamp").and_then(Value::as_i64).unwrap_or(at_ms);
    if !crate::rules::metric::in_time(at_ms, now_ms) {
        return true;
    }
    let mut left = Left { metrics: POINTS, points: POINTS, bytes: NAME_BYTES };
    for directive in about.get("CloudWatchMetrics").and_then(Value::as_array).into_iter().flatten() {
        let Some(namespace) = directive["Namespace"].as_str().filter(|name| crate::rules::metric::free(name)) else {
            continue;
        };
        let sets = sets(directive, &root);
        if sets.is_empty() {
            continue;
        }
        for metric in directive["Metrics"].as_array().into_iter().flatten().take(METRICS) {
            if !left.metric() {
                return false;
            }
            let Some((name, unit, high, cell)) = value(metric, &root) else { continue };
            for set in &sets {
                let bytes: usize = set.iter().map(|(name, value)| name.len() + value.len()).sum();
                if !left.point(namespace.len() + name.len() + bytes) {
                    return false;
                }
                let dimensions = set.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
                let metric = Metric { namespace: namespace.to_owned(), name: name.to_owned(), dimensions };
                let series = Series { account, region: region.clone(), metric };
                take(Point { series, unit, at_ms, high, cell: cell.clone() });
            }
        }
    }
    true
}

/// Dimensions by name, as the line has them: they are copied only for a point that is handed out.
type Set<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// The sets of dimensions of a directive, with the values the line gives, each once. A set that names what is missing is
/// left out.
fn sets<'a>(directive: &'a Value, root: &'a Map<String, Value>) -> Vec<Set<'a>> {
    let Some(named) = directive["Dimensions"].as_array().filter(|sets| !sets.is_empty()) else {
        return vec![Vec::new()];
    };
    let pair = |name: &'a str| {
        let value = match root.get(name)? {
            Value::String(value) => Cow::Borrowed(value.as_str()),
            // These may be as long as the line, and are named again and again.
            Value::Array(_) | Value::Object(_) => return None,
            short => Cow::Owned(short.to_string()),
        };
        (!value.is_empty() && value.len() <= 1024 && !name.is_empty() && name.len() <= 255).then_some((name, value))
    };
    // The names tell sets apart: all take their values from the same line.
    let mut seen = HashSet::new();
    let set = |set: &'a Value| {
        let names = set.as_array().filter(|names| names.len() <= DIMENSIONS)?;
        let mut names: Vec<&str> = names.iter().map(Value::as_str).collect::<Option<_>>()?;
        names.sort_unstable();
        names.dedup();
        let pairs = names.iter().map(|name| pair(name)).collect::<Option<_>>()?;
        seen.insert(names).then_some(pairs)
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
        let mut all = Vec::new();
        points(Account::DEFAULT, &region, line.as_bytes(), 1_000_000, 1_000_000, |point| all.push(point));
        let shown = |point: Point| {
            let Metric { namespace, name, dimensions } = point.series.metric;
            let unit = point.unit.as_str();
            (format!("{namespace} {name} {dimensions:?} {unit} {}", point.at_ms), point.cell.sum)
        };
        all.into_iter().map(shown).collect()
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

    /// A line of many directives, each over the same sets of dimensions.
    fn crowd(directives: usize, metrics: usize, sets: &[Value], root: &[(String, Value)]) -> String {
        let metrics: Vec<Value> = (0..metrics).map(|_| serde_json::json!({"Name": "m"})).collect();
        let directive = serde_json::json!({"Namespace": "N", "Dimensions": sets, "Metrics": metrics});
        let about = serde_json::json!({"CloudWatchMetrics": vec![directive; directives]});
        let mut line = Map::from_iter(root.iter().cloned());
        line.insert("_aws".into(), about);
        line.insert("m".into(), 1.into());
        Value::Object(line).to_string()
    }

    fn count(line: &str) -> (usize, usize, bool) {
        let (mut count, mut bytes) = (0, 0);
        let whole =
            points(Account::DEFAULT, &Region::default_region(), line.as_bytes(), 1_000_000, 1_000_000, |point| {
                count += 1;
                let dimensions = point.series.metric.dimensions.iter();
                bytes += dimensions.map(|(name, value)| name.len() + value.len()).sum::<usize>();
            });
        (count, bytes, whole)
    }

    #[test]
    fn a_line_gives_so_many_points_and_no_more() {
        let root: Vec<(String, Value)> = (0..30).map(|n| (format!("d{n}"), "x".repeat(1024).into())).collect();
        let names: Vec<&str> = root.iter().map(|(name, _)| name.as_str()).collect();
        let line = crowd(45, 100, &vec![serde_json::json!(names); 30], &root);
        assert!(line.len() < 512 * 1024);
        let (points, bytes, whole) = count(&line);
        assert!(points <= POINTS && bytes <= NAME_BYTES && !whole, "{points} points of {bytes} bytes, {whole}");
        let line = crowd(45, 100, &[serde_json::json!([])], &root);
        assert_eq!(count(&line), (POINTS, 0, false));
        let line = crowd(1, 100, &[serde_json::json!([])], &root);
        assert_eq!(count(&line), (100, 0, true));
    }

    #[test]
    fn a_set_that_is_named_twice_counts_once() {
        let sets = [serde_json::json!(["a", "b"]), serde_json::json!(["b", "a"]), serde_json::json!(["b", "a", "b"])];
        let line = crowd(1, 1, &sets, &[("a".into(), "x".into()), ("b".into(), 7.into())]);
        assert_eq!(read(&line), [("N m [(\"a\", \"x\"), (\"b\", \"7\")] None 1000000".to_owned(), 1.0)]);
    }
}
