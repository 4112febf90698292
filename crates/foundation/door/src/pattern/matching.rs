//! Whether an event is what a pattern describes.

use std::net::IpAddr;

use serde_json::{Number, Value};

use super::{Fields, Order, Test, Text, Want};

/// Whether an object has all the fields that are wanted. Of a list, one of its objects must have them all.
pub(super) fn holds(wanted: &Fields, value: &Value) -> bool {
    if let Value::Array(values) = value {
        return values.iter().any(|one| holds(wanted, one));
    }
    wanted.all.iter().all(|(name, want)| field(want, value.get(name)))
        && wanted.any.iter().all(|ways| ways.iter().any(|way| holds(way, value)))
}

fn field(want: &Want, value: Option<&Value>) -> bool {
    match want {
        Want::Within(fields) => match value {
            Some(value) => holds(fields, value),
            // What is wanted may be that nothing is there.
            None => holds(fields, &Value::Null),
        },
        Want::OneOf(tests) => tests.iter().any(|test| leaf(test, value)),
    }
}

/// Only leaves exist: neither an object nor an empty list is one.
fn leaf(test: &Test, value: Option<&Value>) -> bool {
    let value = value.filter(|value| !value.is_object());
    if let Test::Exists(wanted) = test {
        let there = value.is_some_and(|value| match value {
            Value::Array(values) => values.iter().any(|one| !one.is_object()),
            _ => true,
        });
        return there == *wanted;
    }
    match value {
        None => false,
        Some(Value::Array(values)) => values.iter().any(|one| leaf(test, Some(one))),
        Some(value) => is(test, value),
    }
}

fn is(test: &Test, value: &Value) -> bool {
    match test {
        Test::Null => value.is_null(),
        Test::Bool(wanted) => value.as_bool() == Some(*wanted),
        Test::Number(wanted) => value.as_number().is_some_and(|number| same(number, wanted)),
        Test::Text(wanted) => value.as_str().is_some_and(|text| reads(wanted, text)),
        Test::Exists(wanted) => *wanted,
        Test::Numeric(bounds) => {
            value.as_f64().is_some_and(|number| bounds.iter().all(|(order, bound)| lies(number, *order, *bound)))
        }
        Test::Network(network, bits) => {
            value.as_str().and_then(|text| text.parse().ok()).is_some_and(|address| within(address, *network, *bits))
        }
        Test::NotNumbers(numbers) => {
            value.as_number().is_none_or(|number| !numbers.iter().any(|other| same(number, other)))
        }
        Test::NotTexts(texts) => value.as_str().is_none_or(|text| !texts.iter().any(|other| reads(other, text))),
        Test::NotValues(texts, numbers) => match value {
            Value::String(text) => !texts.contains(text),
            Value::Number(number) => !numbers.iter().any(|other| same(number, other)),
            _ => true,
        },
    }
}

/// As they are written: 300 is not 300.0.
fn same(one: &Number, other: &Number) -> bool {
    one.to_string() == other.to_string()
}

fn lies(number: f64, order: Order, bound: f64) -> bool {
    match order {
        Order::Equal => (number - bound).abs() < f64::EPSILON * bound.abs().max(1.0),
        Order::Less => number < bound,
        Order::LessOrEqual => number <= bound,
        Order::More => number > bound,
        Order::MoreOrEqual => number >= bound,
    }
}

fn reads(wanted: &Text, text: &str) -> bool {
    match wanted {
        Text::Is(other) => text == other,
        Text::IsLower(other) => text.to_lowercase() == *other,
        Text::Begins(other) => text.starts_with(other),
        Text::BeginsLower(other) => text.to_lowercase().starts_with(other),
        Text::Ends(other) => text.ends_with(other),
        Text::EndsLower(other) => text.to_lowercase().ends_with(other),
        Text::Wild(parts) => wild(parts, text),
    }
}

/// The first part begins it, the last ends it, and those between come in order: each as early as it can.
fn wild(parts: &[String], text: &str) -> bool {
    let Some((first, rest)) = parts.split_first() else { return text.is_empty() };
    let Some((last, middle)) = rest.split_last() else { return text == first };
    let Some(mut left) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some((_, after)) = left.split_once(part.as_str()) else { return false };
        left = after;
    }
    left.ends_with(last.as_str())
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same_bits = |one: u128, other: u128, of: u32| {
        let rest = of - u32::from(bits);
        one.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
    };
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => same_bits(u32::from(one).into(), u32::from(other).into(), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => same_bits(one.into(), other.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{Operators, Pattern};
    use super::*;

    fn matches(pattern: &Value, event: &Value) -> bool {
        Pattern::of(pattern, Operators::All).expect("a pattern").matches(event)
    }

    #[test]
    fn every_comparison_holds_for_what_it_names() {
        let event = json!({
            "state": "Running", "n": 42, "half": 1.5, "none": null, "yes": true, "list": ["a", "b"], "empty": "",
            "ip": "10.1.2.3", "in": {"deep": 1}, "of": [{"k": 1, "v": 2}, {"k": 3, "v": 4}], "nothing": []
        });
        for (pattern, holds) in [
            (json!({"state": ["Stopped", "Running"]}), true),
            (json!({"state": ["running"]}), false),
            (json!({"state": [{"equals-ignore-case": "RUNNING"}]}), true),
            (json!({"state": [{"prefix": "Run"}], "n": [42]}), true),
            (json!({"state": [{"prefix": "Run"}], "n": [43]}), false),
            (json!({"state": [{"suffix": "ing"}]}), true),
            (json!({"state": [{"prefix": {"equals-ignore-case": "rUN"}}]}), true),
            (json!({"state": [{"suffix": {"equals-ignore-case": "ING"}}]}), true),
            (json!({"state": [{"wildcard": "R*nn*g"}]}), true),
            (json!({"state": [{"wildcard": "R*x*g"}]}), false),
            (json!({"state": [{"anything-but": "Stopped"}]}), true),
            (json!({"state": [{"anything-but": ["Stopped", "Running"]}]}), false),
            (json!({"state": [{"anything-but": {"prefix": "Run"}}]}), false),
            (json!({"state": [{"anything-but": {"suffix": ["x", "y"]}}]}), true),
            (json!({"state": [{"anything-but": {"wildcard": "*un*"}}]}), false),
            (json!({"gone": [{"anything-but": "Stopped"}]}), false),
            (json!({"n": [{"anything-but": [41, 43]}]}), true),
            (json!({"n": [{"anything-but": 42}]}), false),
            (json!({"n": [{"numeric": [">", 40, "<=", 42]}]}), true),
            (json!({"n": [{"numeric": [">", 42]}]}), false),
            (json!({"half": [{"numeric": ["=", 1.5]}]}), true),
            (json!({"state": [{"numeric": [">", 0]}]}), false),
            (json!({"none": [null]}), true),
            (json!({"gone": [null]}), false),
            (json!({"yes": [true]}), true),
            (json!({"empty": [""]}), true),
            (json!({"list": ["b"]}), true),
            (json!({"list": ["c"]}), false),
            (json!({"gone": [{"exists": false}]}), true),
            (json!({"none": [{"exists": true}]}), true),
            (json!({"in": [{"exists": true}]}), false),
            (json!({"nothing": [{"exists": true}]}), false),
            (json!({"in": {"deep": [1]}}), true),
            (json!({"in": {"other": [{"exists": false}]}}), true),
            (json!({"gone": {"other": [{"exists": false}]}}), true),
            (json!({"of": {"k": [3], "v": [4]}}), true),
            (json!({"of": {"k": [1], "v": [4]}}), false),
            (json!({"ip": [{"cidr": "10.0.0.0/8"}]}), true),
            (json!({"ip": [{"cidr": "10.2.0.0/16"}]}), false),
            (json!({"ip": [{"cidr": "0.0.0.0/0"}]}), true),
            (json!({"$or": [{"n": [1]}, {"state": ["Running"]}]}), true),
            (json!({"$or": [{"n": [1]}, {"state": ["x"]}], "yes": [true]}), false),
            (json!({}), true),
        ] {
            assert_eq!(matches(&pattern, &event), holds, "{pattern}");
        }
        assert!(!matches(&json!({"n": [300]}), &json!({"n": 300.0})), "as they are written");
    }

    #[test]
    fn what_is_no_pattern_is_none() {
        for wrong in [
            r#"[]"#,
            r#"{"a": 1}"#,
            r#"{"a": []}"#,
            r#"{"a": [[1]]}"#,
            r#"{"a": [{"prefix": 1}]}"#,
            r#"{"a": [{"x": "y"}]}"#,
            r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#,
            r#"{"a": [{"numeric": [">"]}]}"#,
            r#"{"a": [{"cidr": "10.0.0.0/33"}]}"#,
            r#"{"a": [{"wildcard": "a**"}]}"#,
            r#"{"a": [{"wildcard": "a\\x"}]}"#,
            r#"{"a": [{"anything-but": []}]}"#,
            r#"{"$or": [{"a": [1]}]}"#,
            "",
        ] {
            assert_eq!(Pattern::parse(wrong, Operators::All), None, "{wrong}");
        }
        for only_there in [r#"{"a": [{"wildcard": "a*"}]}"#, r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#] {
            assert!(Pattern::parse(only_there, Operators::All).is_some());
            assert_eq!(Pattern::parse(only_there, Operators::Lambda), None, "{only_there}");
        }
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The pattern that names every leaf of an object.
    fn naming(value: &Value) -> Option<Value> {
        match value {
            Value::Object(object) => {
                let named = object.iter().filter_map(|(name, value)| Some((name.clone(), naming(value)?)));
                Some(Value::Object(named.collect()))
            }
            Value::Array(values) => naming(values.first()?).filter(|_| !values[0].is_array()),
            leaf => Some(json!([leaf])),
        }
    }

    proptest! {
        #[test]
        fn an_event_matches_what_names_its_leaves(event in json_value()) {
            if let Some(pattern) = naming(&event).filter(Value::is_object) {
                prop_assert!(matches(&pattern, &event), "{} {}", pattern, event);
            }
        }

        #[test]
        fn any_json_is_a_pattern_or_none(value in json_value(), event in json_value()) {
            if let Some(pattern) = Pattern::of(&value, Operators::All) {
                let _ = pattern.matches(&event);
            }
        }

        #[test]
        fn anything_but_is_the_contrary(text in "[a-c]{0,3}", other in "[a-c]{0,3}") {
            let event = json!({"a": text});
            let is = matches(&json!({"a": [other]}), &event);
            prop_assert_eq!(is, !matches(&json!({"a": [{"anything-but": other}]}), &event));
        }

        #[test]
        fn a_wildcard_fits_what_it_was_made_of(parts in proptest::collection::vec("[ab]{1,3}", 1..5), filler in "[abc]{0,4}") {
            let pattern = json!({"a": [{"wildcard": parts.join("*")}]});
            let event = json!({"a": parts.join(&filler)});
            prop_assert!(matches(&pattern, &event));
        }
    }
}
