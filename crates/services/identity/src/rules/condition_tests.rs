use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Whether one condition holds, for a request with these keys.
fn holds(operator: &str, key: &str, values: Value, request: &[(&str, &[&str])]) -> bool {
    let mut context = Context::default();
    for (key, values) in request {
        context.set_all(key, values.iter().map(|value| (*value).to_owned()).collect());
    }
    read(Some(&json!({ operator: { key: values } })), true).unwrap()[0].holds(&context)
}

/// One row: operator, values of the policy, the request's value (none: the key is absent), whether it holds.
type Row = (&'static str, &'static [&'static str], Option<&'static str>, bool);

/// IAM User Guide, "Condition operators".
#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("StringEquals", &["a", "b"], Some("b"), true),
    ("StringEquals", &["a"], Some("A"), false),
    ("StringEquals", &["a*"], Some("ab"), false),
    ("StringEquals", &["a"], None, false),
    ("StringEqualsIfExists", &["a"], None, true),
    ("StringEqualsIfExists", &["a"], Some("b"), false),
    ("StringNotEquals", &["a", "b"], Some("c"), true),
    ("StringNotEquals", &["a", "b"], Some("b"), false),
    ("StringNotEquals", &["a"], None, true),
    ("StringNotEqualsIfExists", &["a"], None, true),
    ("StringEqualsIgnoreCase", &["Ab"], Some("aB"), true),
    ("StringNotEqualsIgnoreCase", &["Ab"], Some("aB"), false),
    ("StringLike", &["a*c", "x?"], Some("abbc"), true),
    ("StringLike", &["x?"], Some("x"), false),
    ("StringNotLike", &["a*"], Some("b"), true),
    ("StringNotLike", &["a*"], Some("ab"), false),
    ("NumericEquals", &["10"], Some("10.0"), true),
    ("NumericNotEquals", &["10"], Some("11"), true),
    ("NumericNotEquals", &["10"], None, true),
    ("NumericLessThan", &["10"], Some("9.5"), true),
    ("NumericLessThan", &["10"], Some("10"), false),
    ("NumericLessThanEquals", &["10"], Some("10"), true),
    ("NumericGreaterThan", &["10"], Some("10"), false),
    ("NumericGreaterThan", &["10"], Some("11"), true),
    ("NumericGreaterThanEquals", &["10"], Some("10"), true),
    ("NumericLessThan", &["10"], Some("many"), false),
    ("NumericLessThan", &["many"], Some("1"), false),
    ("DateEquals", &["2020-01-01T00:00:00Z"], Some("1577836800"), true),
    ("DateNotEquals", &["2020-01-01"], Some("2020-01-02"), true),
    ("DateLessThan", &["2020-01-01T00:00:00Z"], Some("2019-12-31T23:59:59Z"), true),
    ("DateLessThanEquals", &["2020-01-01"], Some("2020-01-01"), true),
    ("DateGreaterThan", &["2020-01-01"], Some("2020-01-01"), false),
    ("DateGreaterThanEquals", &["2020-01-01"], Some("2020-01-01"), true),
    ("DateGreaterThan", &["2020-01-01"], None, false),
    ("Bool", &["true"], Some("True"), true),
    ("Bool", &["true"], Some("false"), false),
    ("Bool", &["true"], None, false),
    ("BoolIfExists", &["true"], None, true),
    ("BinaryEquals", &["QmluYXJ5"], Some("QmluYXJ5"), true),
    ("BinaryEquals", &["QmluYXJ5"], Some("YmluYXJ5"), false),
    ("IpAddress", &["203.0.113.0/24", "2001:db8::/32"], Some("203.0.113.9"), true),
    ("IpAddress", &["203.0.113.0/24", "2001:db8::/32"], Some("2001:db8::9"), true),
    ("IpAddress", &["203.0.113.0/24"], Some("203.0.114.9"), false),
    ("IpAddress", &["203.0.113.0/24"], None, false),
    ("NotIpAddress", &["203.0.113.0/24"], Some("203.0.114.9"), true),
    ("NotIpAddress", &["203.0.113.0/24"], Some("203.0.113.9"), false),
    ("NotIpAddress", &["203.0.113.0/24"], None, true),
    ("ArnEquals", &["arn:aws:sns:*:111122223333:t*"], Some("arn:aws:sns:eu-west-1:111122223333:topic"), true),
    ("ArnLike", &["arn:aws:sns:*:topic"], Some("arn:aws:sns:eu-west-1:111122223333:topic"), false),
    ("ArnNotEquals", &["arn:aws:s3:::a"], Some("arn:aws:s3:::b"), true),
    ("ArnNotLike", &["arn:aws:s3:::*"], Some("arn:aws:s3:::b"), false),
    ("ArnNotLike", &["arn:aws:s3:::*"], None, true),
    ("Null", &["true"], None, true),
    ("Null", &["false"], None, false),
    ("Null", &["true"], Some("x"), false),
    ("Null", &["false"], Some("x"), true),
];

#[test]
fn every_operator_holds_as_documented() {
    for (operator, wanted, value, expected) in ROWS {
        let request: Vec<(&str, &[&str])> = value.iter().map(|value| ("k:k", std::slice::from_ref(value))).collect();
        assert_eq!(holds(operator, "K:k", json!(wanted), &request), *expected, "{operator} {wanted:?} {value:?}");
    }
}

/// IAM User Guide, "Set operators for multivalued context keys".
#[test]
fn sets_are_compared_as_documented() {
    let tags = |operator: &str, wanted: Value, values: Option<&[&str]>| {
        let request: Vec<(&str, &[&str])> = values.iter().map(|values| ("aws:TagKeys", *values)).collect();
        holds(operator, "aws:TagKeys", wanted, &request)
    };
    let wanted = || json!(["environment", "cost*"]);
    assert!(tags("ForAllValues:StringLike", wanted(), Some(&["environment", "cost-center"])));
    assert!(!tags("ForAllValues:StringLike", wanted(), Some(&["environment", "webserver"])));
    assert!(tags("ForAllValues:StringLike", wanted(), None), "no key: nothing contradicts");
    assert!(tags("ForAllValues:StringLike", wanted(), Some(&[])));
    assert!(tags("ForAnyValue:StringLike", wanted(), Some(&["webserver", "cost-center"])));
    assert!(!tags("ForAnyValue:StringLike", wanted(), Some(&["webserver"])));
    assert!(!tags("ForAnyValue:StringLike", wanted(), None));
    assert!(!tags("ForAnyValue:StringNotEquals", json!("a"), None), "no key: no value escapes");
    assert!(tags("ForAnyValue:StringNotEquals", json!("a"), Some(&["a", "b"])));
    assert!(!tags("ForAllValues:StringNotEquals", json!("a"), Some(&["a", "b"])));
    assert!(tags("ForAllValues:StringNotEquals", json!("a"), Some(&["b", "c"])));
    assert!(tags("ForAnyValue:StringEqualsIfExists", json!("a"), None));
}

#[test]
fn values_may_be_numbers_truths_and_variables() {
    assert!(holds("NumericLessThan", "k", json!(10), &[("k", &["9"])]));
    assert!(holds("Bool", "k", json!(true), &[("k", &["true"])]));
    let own: &[(&str, &[&str])] = &[("s3:prefix", &["ann/"]), ("aws:username", &["ann"])];
    assert!(holds("StringLike", "s3:prefix", json!("${aws:username}/*"), own));
    assert!(holds("StringEquals", "s3:prefix", json!("${aws:username}/"), own));
    assert!(!holds("StringEquals", "s3:prefix", json!("${aws:userid}/"), own));
}

#[test]
fn an_unknown_operator_is_refused() {
    for operator in ["StringIs", "ForSomeValues:StringEquals", "NullIfExists", "IfExists", ""] {
        let fault = read(Some(&json!({ operator: { "k": "v" } })), true).unwrap_err();
        assert_eq!(fault.code, "MalformedPolicyDocument", "{operator}");
    }
}

proptest! {
    /// A negated operator says the contrary of its plain one wherever the key has one value.
    #[test]
    fn negation_is_negation(wanted in "[ab*]{0,3}", value in "[ab]{0,3}") {
        for (plain, negated) in [("StringEquals", "StringNotEquals"), ("StringLike", "StringNotLike"),
            ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"), ("ArnLike", "ArnNotLike"),
            ("NumericEquals", "NumericNotEquals"), ("DateEquals", "DateNotEquals"), ("IpAddress", "NotIpAddress")]
        {
            let request: &[(&str, &[&str])] = &[("k", &[&value])];
            prop_assert_ne!(holds(plain, "k", json!(wanted), request), holds(negated, "k", json!(wanted), request));
        }
    }
}
