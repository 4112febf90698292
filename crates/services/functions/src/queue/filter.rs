//! Which messages of a queue a mapping wants.
//!
//! Source: AWS Lambda Developer Guide, "Using event filtering with an Amazon SQS event source": what a filter says of the
//! body tells whether it is meant as JSON or as text, and a body of the other kind is not wanted.

use door::pattern::{Operators, Pattern};
use serde_json::Value;

/// The filters of a mapping, read.
#[derive(Debug, Default)]
pub(super) struct Filters(Vec<Filter>);

#[derive(Debug)]
struct Filter {
    pattern: Pattern,
    body: Option<Body>,
}

/// How a filter takes the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Json,
    Text,
}

/// What is said of the body, also where there are several ways.
fn body(pattern: &Value) -> Option<Body> {
    match pattern.get("body") {
        Some(Value::Object(_)) => Some(Body::Json),
        Some(_) => Some(Body::Text),
        None => pattern.get("$or")?.as_array()?.iter().find_map(body),
    }
}

/// The ways of a pattern's own `$or`, each with what must hold besides: one may mean JSON and another text.
fn ways(mut pattern: Value) -> Vec<Value> {
    let Some(ways) = pattern.as_object_mut().and_then(|fields| fields.remove("$or")) else { return vec![pattern] };
    let clash = |way: &Value| way.as_object().into_iter().flatten().any(|(name, _)| pattern.get(name).is_some());
    match ways.as_array() {
        Some(all) if !all.iter().any(clash) => {
            let joined = |way: &Value| {
                let mut joined = pattern.clone();
                for (name, value) in way.as_object().into_iter().flatten() {
                    joined[name] = value.clone();
                }
                joined
            };
            all.iter().map(joined).collect()
        }
        _ => {
            pattern["$or"] = ways;
            vec![pattern]
        }
    }
}

impl Filters {
    /// Reads them. One that does not read lets nothing pass: it was read when it was written.
    pub(super) fn new(filters: &[String]) -> Self {
        let read = |text: &String| serde_json::from_str(text).ok();
        let one =
            |pattern: Value| Some(Filter { pattern: Pattern::of(&pattern, Operators::Lambda)?, body: body(&pattern) });
        Self(filters.iter().filter_map(read).flat_map(ways).filter_map(one).collect())
    }

    /// Whether one of them wants a record.
    pub(super) fn want(&self, record: &Value) -> bool {
        let text = record.get("body").and_then(Value::as_str).unwrap_or_default();
        let parsed: Option<Value> = serde_json::from_str(text).ok();
        self.0.iter().any(|filter| match (filter.body, &parsed) {
            (None, _) | (Some(Body::Text), None) => filter.pattern.matches(record),
            (Some(Body::Json), Some(parsed)) => {
                let mut record = record.clone();
                record["body"] = parsed.clone();
                filter.pattern.matches(&record)
            }
            (Some(Body::Json), None) | (Some(Body::Text), Some(_)) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wants(filter: &Value, body: &str) -> bool {
        let record = json!({"body": body, "messageAttributes": {"kind": {"stringValue": "red"}}});
        Filters::new(&[filter.to_string()]).want(&record)
    }

    #[test]
    fn a_body_is_taken_as_what_the_filter_says_of_it() {
        let (json_filter, text_filter) = (json!({"body": {"n": [1]}}), json!({"body": [{"prefix": "Result"}]}));
        assert!(wants(&json_filter, r#"{"n": 1}"#));
        assert!(!wants(&json_filter, r#"{"n": 2}"#));
        assert!(!wants(&json_filter, "Result: 1"));
        assert!(wants(&text_filter, "Result: 1"));
        assert!(!wants(&text_filter, "No result"));
        assert!(!wants(&text_filter, r#""Result""#), "it is JSON");
        let elsewhere = json!({"messageAttributes": {"kind": {"stringValue": ["red"]}}});
        assert!(wants(&elsewhere, "text") && wants(&elsewhere, "{}"));
        let ways = json!({"$or": [{"body": {"n": [1]}}, {"body": {"m": [2]}}]});
        assert!(wants(&ways, r#"{"m": 2}"#));
        assert!(!wants(&ways, r#"{"m": 3}"#) && !wants(&ways, "m"));
        let mixed = json!({"$or": [{"body": {"n": [1]}}, {"body": ["stop"]}]});
        assert!(wants(&mixed, r#"{"n": 1}"#) && wants(&mixed, "stop") && !wants(&mixed, "go"));
    }

    #[test]
    fn one_of_several_is_enough() {
        let filters = Filters::new(&[r#"{"body":{"n":[1]}}"#.into(), r#"{"body":["stop"]}"#.into()]);
        assert!(filters.want(&json!({"body": "stop"})) && filters.want(&json!({"body": "{\"n\":1}"})));
        assert!(!filters.want(&json!({"body": "go"})));
    }
}
