//! JSON schemas of draft 4, asked about bodies. What is wrong is said in the words of the validator that AWS uses.
//! Source: json-schema.org, draft-fge-json-schema-validation-00; API Gateway Developer Guide, "Data models for REST APIs".

use std::collections::BTreeSet;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, PatternOptions, Retrieve, Uri, ValidationError, Validator};
use serde_json::Value;

use super::models::{self, Models};

/// Steps of a pattern that looks around; beyond it a text does not match. This platform's own.
const PATTERN_STEPS: usize = 100_000;

/// A schema that can be asked.
pub(crate) struct Schema(Validator);

/// The models of an API, for schemas that refer to them. Nothing else is ever fetched.
struct Others {
    api: String,
    models: Models,
}

impl Retrieve for Others {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let name = models::referred(&self.api, uri.as_str());
        let model = name.and_then(|name| self.models.get(name)).ok_or("no model of the API")?;
        Ok(serde_json::from_str(&model.schema)?)
    }
}

impl Schema {
    /// # Errors
    /// Why it is no schema.
    pub(crate) fn of(api: &str, models: &Models, schema: &Value) -> Result<Self, String> {
        let mut schema = schema.clone();
        if let Some(object) = schema.as_object_mut() {
            // Whatever it says, it is read as draft 4, as AWS does.
            object.remove("$schema");
        }
        jsonschema::options()
            .with_draft(Draft::Draft4)
            .with_retriever(Others { api: api.to_owned(), models: models.clone() })
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(PATTERN_STEPS))
            .build(&schema)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// What is wrong with a body; empty if nothing is.
    pub(crate) fn wrong(&self, body: &Value) -> Vec<String> {
        let mut missing: Vec<(String, BTreeSet<String>)> = Vec::new();
        let mut wrong = Vec::new();
        for error in self.0.iter_errors(body) {
            // All that an object lacks is one sentence.
            if let ValidationErrorKind::Required { property } = error.kind() {
                let (at, name) = (error.instance_path().to_string(), property.as_str().unwrap_or_default());
                match missing.iter_mut().find(|(other, _)| *other == at) {
                    Some((_, names)) => drop(names.insert(name.to_owned())),
                    None => missing.push((at, BTreeSet::from([name.to_owned()]))),
                }
                continue;
            }
            wrong.push(sentence(&error));
        }
        let lacks =
            missing.iter().map(|(_, names)| format!("object has missing required properties ({})", list(names)));
        lacks.chain(wrong).collect()
    }
}

/// As JSON has it: `["a","b"]`.
fn list<T: serde::Serialize>(all: impl IntoIterator<Item = T>) -> String {
    serde_json::to_string(&all.into_iter().collect::<Vec<_>>()).unwrap_or_default()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn sentence(error: &ValidationError<'_>) -> String {
    let value = error.instance();
    let count = || match value.as_ref() {
        Value::Array(all) => all.len(),
        Value::Object(all) => all.len(),
        Value::String(text) => text.chars().count(),
        _ => 0,
    };
    match error.kind() {
        ValidationErrorKind::Type { kind: wanted } => {
            let allowed: BTreeSet<String> = match wanted {
                TypeKind::Single(one) => BTreeSet::from([one.to_string()]),
                TypeKind::Multiple(all) => all.iter().map(|one| one.to_string()).collect(),
            };
            let (is, allowed) = (kind(value), list(allowed));
            format!("instance type ({is}) does not match any allowed primitive type (allowed: {allowed})")
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: BTreeSet<&String> = unexpected.iter().collect();
            format!("object instance has properties which are not allowed by the schema: {}", list(names))
        }
        ValidationErrorKind::Enum { options } => {
            format!("instance value ({value}) not found in enum (possible values: {options})")
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("numeric instance is greater than the required maximum (maximum: {limit}, found: {value})")
        }
        ValidationErrorKind::Minimum { limit } => {
            format!("numeric instance is lower than the required minimum (minimum: {limit}, found: {value})")
        }
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            format!("numeric instance is not strictly lower than the required maximum {limit}")
        }
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            format!("numeric instance is not strictly greater than the required minimum {limit}")
        }
        ValidationErrorKind::MultipleOf { multiple_of } => {
            format!("remainder of division is not zero ({value} / {multiple_of})")
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("string {value} is too long (length: {}, maximum allowed: {limit})", count())
        }
        ValidationErrorKind::MinLength { limit } => {
            format!("string {value} is too short (length: {}, required minimum: {limit})", count())
        }
        ValidationErrorKind::MaxItems { limit } => {
            format!("array is too long: must have at most {limit} elements but instance has {} elements", count())
        }
        ValidationErrorKind::MinItems { limit } => {
            format!("array is too short: must have at least {limit} elements but instance has {} elements", count())
        }
        ValidationErrorKind::MaxProperties { limit } => {
            format!("object has too many properties (found {} but schema requires at most {limit})", count())
        }
        ValidationErrorKind::MinProperties { limit } => {
            format!("object has too few properties (found {} but schema requires at least {limit})", count())
        }
        ValidationErrorKind::Pattern { pattern } => {
            format!("ECMA 262 regex {} does not match input string {value}", Value::from(pattern.as_str()))
        }
        ValidationErrorKind::UniqueItems => "array must not contain duplicate elements".to_owned(),
        ValidationErrorKind::AnyOf { context } => {
            format!("instance failed to match at least one required schema among {}", context.len())
        }
        ValidationErrorKind::OneOfNotValid { context } => {
            format!("instance failed to match exactly one schema (matched 0 out of {})", context.len())
        }
        ValidationErrorKind::OneOfMultipleValid { context } => {
            let matched = context.iter().filter(|errors| errors.is_empty()).count();
            format!("instance failed to match exactly one schema (matched {matched} out of {})", context.len())
        }
        ValidationErrorKind::Not { .. } => "instance matched a schema which it should not have".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(schema: Value, body: Value) -> Vec<String> {
        Schema::of("api", &Models::new(), &schema).unwrap().wrong(&body)
    }

    #[test]
    fn what_is_wrong_is_said_as_aws_says_it() {
        let schema = json!({"type": "object", "required": ["b", "a"], "properties": {
            "a": {"type": "integer", "minimum": 1}, "s": {"type": "string", "maxLength": 2}, "k": {"enum": ["x", "y"]},
        }, "additionalProperties": false});
        assert_eq!(wrong(schema.clone(), json!({"a": 1, "b": 1})).len(), 1);
        for (body, told) in [
            (json!({}), r#"object has missing required properties (["a","b"])"#),
            (json!(1), r#"instance type (integer) does not match any allowed primitive type (allowed: ["object"])"#),
            (json!({"a": 0}), "numeric instance is lower than the required minimum (minimum: 1, found: 0)"),
            (json!({"s": "abc"}), r#"string "abc" is too long (length: 3, maximum allowed: 2)"#),
            (json!({"k": "z"}), r#"instance value ("z") not found in enum (possible values: ["x","y"])"#),
            (json!({"z": 1}), r#"object instance has properties which are not allowed by the schema: ["z"]"#),
        ] {
            let all = wrong(schema.clone(), body);
            assert!(all.iter().any(|one| one == told), "{all:?}");
        }
    }

    #[test]
    fn draft_4_is_what_counts() {
        // In draft 4 these are truth values beside a limit, and `1.0` is no integer.
        let exclusive = json!({"maximum": 3, "exclusiveMaximum": true});
        assert!(wrong(exclusive.clone(), json!(2)).is_empty() && !wrong(exclusive, json!(3)).is_empty());
        assert!(wrong(json!({"$schema": "http://json-schema.org/draft-07/schema#", "const": 1}), json!(2)).is_empty());
        assert!(!wrong(json!({"pattern": "^(?!a)"}), json!("abc")).is_empty());
    }

    #[test]
    fn a_schema_that_contains_itself_comes_to_an_end() {
        for schema in [json!({"$ref": "#"}), json!({"allOf": [{"$ref": "#"}]}), json!({"anyOf": [{"$ref": "#"}]})] {
            if let Ok(schema) = Schema::of("api", &Models::new(), &schema) {
                schema.wrong(&json!({"a": 1}));
            }
        }
        let node = json!({"properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}});
        assert!(wrong(node.clone(), json!({"next": {"next": {"n": 1}}})).is_empty());
        assert!(!wrong(node, json!({"next": {"next": {"n": "1"}}})).is_empty());
    }

    #[test]
    fn a_pattern_without_end_is_given_up() {
        let began = std::time::Duration::from_secs(5);
        let clocks = base::SystemClocks;
        let start = base::Clocks::monotonic(&clocks);
        let text = format!("{}!", "a".repeat(40));
        assert!(!wrong(json!({"pattern": "^(a+)+(?=b)$"}), json!(text)).is_empty());
        assert!(base::Clocks::monotonic(&clocks).duration_since(start) < began);
    }
}
