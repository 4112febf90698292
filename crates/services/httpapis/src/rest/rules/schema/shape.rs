//! Whether a value is a schema at all: draft 4's schema of schemas, in code.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Patterns, pattern};

const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// Keywords whose values are one schema; some of them may be a truth value instead.
const ONE: [&str; 2] = ["additionalItems", "additionalProperties"];
/// Keywords whose values are schemas by name.
const NAMED: [&str; 4] = ["definitions", "dependencies", "patternProperties", "properties"];
/// Keywords whose values are schemas in a list.
const MANY: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// Looks at a schema and all within, and makes its patterns ready.
pub(super) fn check(schema: &Value, patterns: &mut Patterns) -> Result<(), String> {
    let mut open = vec![schema];
    while let Some(schema) = open.pop() {
        let Value::Object(schema) = schema else { return Err(format!("{schema} is no schema")) };
        of_own(schema, patterns)?;
        open.extend(schema.get("not"));
        for name in ONE {
            match schema.get(name) {
                None | Some(Value::Bool(_)) => {}
                Some(one) => open.push(one),
            }
        }
        match schema.get("items") {
            Some(Value::Array(each)) => open.extend(each),
            other => open.extend(other),
        }
        for name in NAMED {
            let Some(all) = schema.get(name) else { continue };
            let all = all.as_object().ok_or_else(|| format!("{name} must be an object"))?;
            for (key, one) in all {
                match one {
                    Value::Array(_) if name == "dependencies" => unique_texts(name, one)?,
                    one => open.push(one),
                }
                if name == "patternProperties" {
                    patterns.insert(key.clone(), pattern(key)?);
                }
            }
        }
        for name in MANY {
            let Some(all) = schema.get(name) else { continue };
            let all = all.as_array().filter(|all| !all.is_empty());
            open.extend(all.ok_or_else(|| format!("{name} must be an array with at least one schema"))?);
        }
    }
    Ok(())
}

fn of_own(schema: &Map<String, Value>, patterns: &mut Patterns) -> Result<(), String> {
    for (name, value) in schema {
        let must = |fits: bool, what: &str| if fits { Ok(()) } else { Err(format!("{name} must be {what}")) };
        match name.as_str() {
            "$ref" | "$schema" | "id" | "title" | "description" | "format" => must(value.is_string(), "a text")?,
            "type" => match value {
                Value::String(one) => must(TYPES.contains(&one.as_str()), "one of the seven types")?,
                all => {
                    unique_texts(name, all)?;
                    let known = |one: &Value| one.as_str().is_some_and(|one| TYPES.contains(&one));
                    must(all.as_array().is_some_and(|all| all.iter().all(known)), "of the seven types")?;
                }
            },
            "required" => unique_texts(name, value)?,
            "enum" => must(value.as_array().is_some_and(|all| !all.is_empty()), "an array with at least one value")?,
            "maximum" | "minimum" => must(value.is_number(), "a number")?,
            "multipleOf" => must(value.as_f64().is_some_and(|of| of > 0.0), "a number above zero")?,
            "exclusiveMaximum" | "exclusiveMinimum" | "uniqueItems" => must(value.is_boolean(), "a truth value")?,
            "maxLength" | "minLength" | "maxItems" | "minItems" | "maxProperties" | "minProperties" => {
                must(value.is_u64(), "a whole number")?;
            }
            "pattern" => {
                let text = value.as_str().ok_or("pattern must be a text")?;
                patterns.insert(text.to_owned(), pattern(text)?);
            }
            _ => {}
        }
    }
    let beside = |name: &str, other: &str| !schema.contains_key(name) || schema.contains_key(other);
    if !beside("exclusiveMaximum", "maximum") || !beside("exclusiveMinimum", "minimum") {
        return Err("a limit that excludes itself must be there".to_owned());
    }
    Ok(())
}

/// At least one text, and none twice.
fn unique_texts(name: &str, value: &Value) -> Result<(), String> {
    let wrong = || format!("{name} must be an array of at least one text, none of them twice");
    let all = value.as_array().filter(|all| !all.is_empty()).ok_or_else(wrong)?;
    let texts: Option<BTreeSet<&str>> = all.iter().map(Value::as_str).collect();
    match texts {
        Some(texts) if texts.len() == all.len() => Ok(()),
        _ => Err(wrong()),
    }
}
