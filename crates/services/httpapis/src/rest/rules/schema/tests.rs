use jsonschema::Draft;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rest::types::Model;

fn made(schema: &Value) -> Result<Schema, (String, String)> {
    let model = Model { schema: schema.to_string(), content_type: "application/json".into(), ..Model::default() };
    let models = Models::from([("M".to_owned(), model)]);
    let documents = Arc::new(Documents::of("api", &models, vec!["M".to_owned()])?);
    Ok(Schema::of(&documents, "M").unwrap())
}

fn wrong(schema: &Value, body: &Value) -> Vec<String> {
    made(schema).unwrap_or_else(|why| panic!("{why:?}")).wrong(body, body.to_string().len())
}

#[test]
fn what_is_wrong_is_said_as_aws_says_it() {
    let schema = json!({"type": "object", "required": ["b", "a"], "properties": {
        "a": {"type": "integer", "minimum": 1}, "s": {"type": "string", "maxLength": 2}, "k": {"enum": ["x", "y"]},
    }, "additionalProperties": false});
    assert_eq!(wrong(&schema, &json!({"a": 1, "b": 1})).len(), 1);
    for (body, told) in [
        (json!({}), r#"object has missing required properties (["a","b"])"#),
        (json!(1), r#"instance type (integer) does not match any allowed primitive type (allowed: ["object"])"#),
        (json!({"a": 0}), "numeric instance is lower than the required minimum (minimum: 1, found: 0)"),
        (json!({"s": "abc"}), r#"string "abc" is too long (length: 3, maximum allowed: 2)"#),
        (json!({"k": "z"}), r#"instance value ("z") not found in enum (possible values: ["x","y"])"#),
        (json!({"z": 1}), r#"object instance has properties which are not allowed by the schema: ["z"]"#),
    ] {
        let all = wrong(&schema, &body);
        assert!(all.iter().any(|one| one == told), "{all:?}");
    }
}

#[test]
fn draft_4_is_what_counts() {
    let right = |schema: Value, body: Value| wrong(&schema, &body).is_empty();
    // A truth value beside a limit; and a number with a point is no integer.
    assert!(right(json!({"maximum": 3, "exclusiveMaximum": true}), json!(2.9)));
    assert!(!right(json!({"maximum": 3, "exclusiveMaximum": true}), json!(3.0)));
    assert!(!right(json!({"type": "integer"}), json!(1.0)) && right(json!({"type": "number"}), json!(1)));
    assert!(right(json!({"$schema": "http://json-schema.org/draft-07/schema#", "const": 1}), json!(2)));
    assert!(right(json!({"multipleOf": 0.1}), json!(0.3)) && !right(json!({"multipleOf": 0.1}), json!(0.35)));
    assert!(right(json!({"enum": [1, {"a": 1.0, "b": 2}]}), json!({"b": 2, "a": 1})));
    assert!(
        !right(json!({"uniqueItems": true}), json!([1, 1.0])) && right(json!({"uniqueItems": true}), json!([1, "1"]))
    );
    assert!(!right(json!({"pattern": "^(?!a)"}), json!("abc")) && right(json!({"pattern": "b"}), json!("abc")));
    assert!(right(json!({"dependencies": {"a": ["b"]}}), json!({"b": 1})));
    assert!(!right(json!({"dependencies": {"a": ["b"]}}), json!({"a": 1})));
    assert!(!right(json!({"dependencies": {"a": {"required": ["b"]}}}), json!({"a": 1})));
    assert!(right(json!({"items": [{}, {}], "additionalItems": false}), json!([1, 2])));
    assert!(!right(json!({"items": [{}], "additionalItems": false}), json!([1, 2])));
    assert!(!right(json!({"$ref": "#/definitions/a~1b%25", "definitions": {"a/b%": {"type": "null"}}}), json!(1)));
    assert!(!right(json!({"oneOf": [{"type": "integer"}, {"minimum": 2}]}), json!(3)));
    for (named, good, bad) in [
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("ipv6", "::1", "::g"),
        ("email", "a.b@c.example", "a.b"),
        ("hostname", "a-b.example", "-a.example"),
        ("uri", "https://a.example/?b#c", "a b"),
        ("date-time", "2024-02-29T23:59:60.5+01:30", "2023-02-29T00:00:00Z"),
        ("date-time", "1990-12-31T23:59:59z", "1990-12-31 23:59:59Z"),
    ] {
        assert!(right(json!({"format": named}), json!(good)), "{good}");
        assert!(!right(json!({"format": named}), json!(bad)), "{bad}");
    }
    assert!(right(json!({"format": "card"}), json!("x")));
}

#[test]
fn what_is_no_schema_is_refused() {
    for no in [
        json!([]),
        json!({"type": "text"}),
        json!({"type": []}),
        json!({"required": []}),
        json!({"required": ["a", "a"]}),
        json!({"properties": {"a": 1}}),
        json!({"properties": []}),
        json!({"items": true}),
        json!({"allOf": []}),
        json!({"pattern": "("}),
        json!({"patternProperties": {"(": {}}}),
        json!({"maxLength": -1}),
        json!({"multipleOf": 0}),
        json!({"exclusiveMaximum": true}),
        json!({"enum": []}),
        json!({"not": true}),
        json!({"$ref": "#/definitions/none"}),
        json!({"$ref": 1}),
    ] {
        assert!(made(&no).is_err(), "{no}");
    }
}

#[test]
fn a_schema_that_contains_itself_comes_to_an_end() {
    for schema in [json!({"$ref": "#"}), json!({"allOf": [{"$ref": "#"}]}), json!({"anyOf": [{"$ref": "#"}]})] {
        assert_eq!(wrong(&schema, &json!({"a": 1})).len(), 1);
    }
    let node = json!({"properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}});
    assert!(wrong(&node, &json!({"next": {"next": {"n": 1}}})).is_empty());
    assert!(!wrong(&node, &json!({"next": {"next": {"n": "1"}}})).is_empty());
    let mut deep = json!({"n": 1});
    (0..100).for_each(|_| deep = json!({"next": deep}));
    assert!(wrong(&node, &deep).is_empty());
}

#[test]
fn no_body_costs_more_than_its_steps() {
    let clocks = base::SystemClocks;
    let start = base::Clocks::monotonic(&clocks);
    // Each level asks twice for the next.
    let twice = json!({"type": "object", "properties": {"n": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
    let mut body = json!(1);
    (0..60).for_each(|_| body = json!({"n": body}));
    assert!(!wrong(&twice, &body).is_empty() && wrong(&twice, &body).len() <= WORDS + 1);
    let mut all = Map::new();
    for level in 0..5000 {
        let next = json!({"$ref": format!("#/definitions/d{}", (level + 1) % 5000)});
        all.insert(format!("d{level}"), json!({"allOf": [next, next]}));
    }
    let chain = json!({"$ref": "#/definitions/d0", "definitions": all});
    assert_eq!(wrong(&chain, &json!({})).len(), 1);
    let text = format!("{}!", "a".repeat(40));
    assert!(!wrong(&json!({"pattern": "^(a+)+(?=b)$"}), &json!(text)).is_empty());
    let many: Vec<u32> = (0..200_000).collect();
    assert!(wrong(&json!({"items": {"type": "integer"}, "uniqueItems": true}), &json!(many)).is_empty());
    assert!(base::Clocks::monotonic(&clocks).duration_since(start) < std::time::Duration::from_secs(20));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..6_i64).prop_map(Value::from),
        (-12..24_i64).prop_map(|quarters| json!(quarters as f64 / 4.0)),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-c]", inner), 0..4).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

fn schemas() -> impl Strategy<Value = Value> {
    let types = prop::sample::subsequence(vec!["array", "boolean", "null", "number", "object", "string"], 1..4);
    let names = || prop::sample::subsequence(vec!["a", "b", "c"], 1..3);
    let leaf = prop_oneof![
        Just(json!({})),
        types.prop_map(|types| json!({"type": types})),
        (0..4_u64).prop_map(|n| json!({"minimum": n, "exclusiveMinimum": n % 2 == 0})),
        (0..4_u64).prop_map(|n| json!({"maximum": n})),
        (1..5_u64).prop_map(|n| json!({"multipleOf": n as f64 / 4.0})),
        (0..3_u64).prop_map(|n| json!({"minLength": n, "maxItems": n + 1, "maxProperties": n})),
        (0..3_u64).prop_map(|n| json!({"maxLength": n, "minItems": n, "minProperties": n})),
        Just(json!({"pattern": "^a|b$"})),
        Just(json!({"uniqueItems": true})),
        names().prop_map(|names| json!({"required": names})),
        names().prop_map(|names| json!({"dependencies": {"a": names}})),
        prop::collection::vec(values(), 1..4).prop_map(|all| json!({"enum": all})),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let many = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            many().prop_map(|all| json!({"allOf": all})),
            many().prop_map(|all| json!({"anyOf": all})),
            many().prop_map(|all| json!({"oneOf": all})),
            inner.clone().prop_map(|one| json!({"not": one})),
            inner.clone().prop_map(|one| json!({"items": one})),
            (many(), inner.clone()).prop_map(|(all, one)| json!({"items": all, "additionalItems": one})),
            many().prop_map(|all| json!({"items": all, "additionalItems": false})),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(one, two, three)| {
                json!({"properties": {"a": one}, "patternProperties": {"[bc]": two}, "additionalProperties": three})
            }),
            inner.clone().prop_map(|one| json!({"properties": {"a": one}, "additionalProperties": false})),
            inner.clone().prop_map(|one| json!({"dependencies": {"b": one}})),
            inner.clone().prop_map(|one| {
                json!({"definitions": {"x": one}, "properties": {"a": {"$ref": "#/definitions/x"}}})
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    // A validator that others keep, and test with the suite of json-schema.org, says the same.
    #[test]
    fn bodies_are_right_as_others_say(schema in schemas(), body in values()) {
        // Where references are within others' documents, theirs are relative to the whole.
        prop_assume!(!schema.to_string().contains("$ref") || schema.get("definitions").is_some());
        let Ok(ours) = made(&schema) else { return Ok(()) };
        let theirs = jsonschema::options().with_draft(Draft::Draft4).build(&schema).unwrap();
        let words = ours.wrong(&body, body.to_string().len());
        prop_assert_eq!(words.is_empty(), theirs.is_valid(&body), "{} {} {:?}", schema, body, words);
    }
}
