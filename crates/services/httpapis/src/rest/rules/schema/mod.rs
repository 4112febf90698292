//! JSON schemas of draft 4, asked about bodies. What is wrong is said in the words of the validator that AWS uses.
//!
//! What: all of draft 4's keywords. Why our own: who makes a model and who sends a body may be strangers, and a few lines of schema
//! that refer to each other can ask for more steps than there will ever be; here every body costs at most so many. Never: anything
//! is fetched. Source: json-schema.org, draft-zyp-json-schema-04 and draft-fge-json-schema-validation-00.

mod format;
mod number;
mod shape;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use fancy_regex::Regex;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::models::{self, Models};

/// Visits of a value by a schema that every body has, and those it has for each of its bytes. This platform's own.
const VISITS: usize = 100_000;
const VISITS_A_BYTE: usize = 2;
/// How deep schemas may lead into each other. This platform's own.
const DEPTH: usize = 250;
/// Most that is said of one body. This platform's own.
const WORDS: usize = 100;
/// Steps of a pattern that looks around; beyond it a text does not match. This platform's own.
const PATTERN_STEPS: usize = 100_000;

/// Schemas that may lead to each other, by the names of their models.
pub(crate) struct Documents {
    api: String,
    all: HashMap<String, Value>,
    patterns: Patterns,
}

/// A schema that can be asked.
pub(crate) struct Schema {
    documents: Arc<Documents>,
    name: String,
}

/// Patterns of schemas, by their texts.
type Patterns = HashMap<String, Regex>;

/// Why a body is given up.
struct Spent;

/// A body that is being looked at.
struct Run {
    visits: usize,
    depth: usize,
}

impl Documents {
    /// The schemas of models, with those of models that they lead to.
    ///
    /// # Errors
    /// Which model has none, and why.
    pub(crate) fn of(api: &str, models: &Models, mut names: Vec<String>) -> Result<Self, (String, String)> {
        let mut all = HashMap::new();
        while let Some(name) = names.pop() {
            if all.contains_key(&name) {
                continue;
            }
            let schema = models::schema(api, models, &name).map_err(|why| (name.clone(), why))?;
            names.extend(models::names(api, &schema));
            all.insert(name, schema);
        }
        let mut patterns = Patterns::new();
        for (name, schema) in &all {
            shape::check(schema, &mut patterns).map_err(|why| (name.clone(), why))?;
        }
        let made = Self { api: api.to_owned(), all, patterns };
        for (name, schema) in &made.all {
            let lost = models::references(schema).into_iter().find(|to| made.followed(name, to).is_none());
            if let Some(reference) = lost {
                return Err((name.clone(), format!("the reference {reference} leads to no schema")));
            }
        }
        Ok(made)
    }

    /// The schema that a reference in a document means, and its document.
    fn followed<'s>(&'s self, document: &'s str, reference: &'s str) -> Option<(&'s str, &'s Value)> {
        let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let name = if base.is_empty() { document } else { models::referred(&self.api, base)? };
        let (name, whole) = self.all.get_key_value(name)?;
        let pointer = percent_decode_str(fragment).decode_utf8().ok()?;
        Some((name, whole.pointer(&pointer).filter(|schema| schema.is_object())?))
    }
}

impl Schema {
    /// That of a model; none if the documents have none of that name.
    pub(crate) fn of(documents: &Arc<Documents>, name: &str) -> Option<Self> {
        documents.all.contains_key(name).then(|| Self { documents: Arc::clone(documents), name: name.to_owned() })
    }

    /// What is wrong with a body of so many bytes; empty if nothing is.
    pub(crate) fn wrong(&self, body: &Value, bytes: usize) -> Vec<String> {
        let mut run = Run { visits: VISITS + VISITS_A_BYTE * bytes, depth: 0 };
        let mut words = Vec::new();
        let looked = match self.documents.all.get(&self.name) {
            Some(schema) => self.look(&mut run, &self.name, schema, body, &mut words),
            None => Err(Spent),
        };
        if looked.is_err() {
            words.push("the schema leads to more steps than a body may take".to_owned());
        }
        words
    }

    /// Whether a value is right, in other words.
    fn fits(&self, run: &mut Run, document: &str, schema: &Value, value: &Value) -> Result<bool, Spent> {
        let mut words = Vec::new();
        self.look(run, document, schema, value, &mut words)?;
        Ok(words.is_empty())
    }

    fn look(
        &self,
        run: &mut Run,
        document: &str,
        schema: &Value,
        value: &Value,
        words: &mut Vec<String>,
    ) -> Result<(), Spent> {
        run.visits = run.visits.checked_sub(1).ok_or(Spent)?;
        if words.len() >= WORDS {
            return Ok(());
        }
        if run.depth >= DEPTH {
            return Err(Spent);
        }
        run.depth += 1;
        let Value::Object(schema) = schema else { return Err(Spent) };
        // What stands beside a reference means nothing.
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let (document, schema) = self.documents.followed(document, reference).ok_or(Spent)?;
                self.look(run, document, schema, value, words)?;
            }
            None => {
                of_any(schema, value, words);
                match value {
                    Value::Number(number) => number::check(schema, number, words),
                    Value::String(text) => self.of_text(schema, text, words),
                    Value::Array(all) => self.of_array(run, document, schema, all, words)?,
                    Value::Object(all) => self.of_object(run, document, schema, all, words)?,
                    Value::Null | Value::Bool(_) => {}
                }
                self.together(run, document, schema, value, words)?;
            }
        }
        run.depth -= 1;
        Ok(())
    }

    fn of_text(&self, schema: &Map<String, Value>, text: &str, words: &mut Vec<String>) {
        let shown = Value::from(text);
        let length = text.chars().count();
        if let Some(most) = size(schema, "maxLength").filter(|most| length > *most) {
            words.push(format!("string {shown} is too long (length: {length}, maximum allowed: {most})"));
        }
        if let Some(least) = size(schema, "minLength").filter(|least| length < *least) {
            words.push(format!("string {shown} is too short (length: {length}, required minimum: {least})"));
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !self.matches(pattern, text)
        {
            words.push(format!("ECMA 262 regex {} does not match input string {shown}", Value::from(pattern)));
        }
        if let Some(why) = schema.get("format").and_then(Value::as_str).and_then(|named| format::wrong(named, text)) {
            words.push(format!("string {shown} {why}"));
        }
    }

    /// Whether a pattern is somewhere in a text; one that takes too long is not.
    fn matches(&self, pattern: &str, text: &str) -> bool {
        self.documents.patterns.get(pattern).is_some_and(|pattern| pattern.is_match(text).unwrap_or_default())
    }

    fn of_array(
        &self,
        run: &mut Run,
        document: &str,
        schema: &Map<String, Value>,
        all: &[Value],
        words: &mut Vec<String>,
    ) -> Result<(), Spent> {
        let count = all.len();
        if let Some(most) = size(schema, "maxItems").filter(|most| count > *most) {
            words.push(format!(
                "array is too long: must have at most {most} elements but instance has {count} elements"
            ));
        }
        if let Some(least) = size(schema, "minItems").filter(|least| count < *least) {
            words.push(format!(
                "array is too short: must have at least {least} elements but instance has {count} elements"
            ));
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            let mut seen = BTreeSet::new();
            if !all.iter().all(|one| seen.insert(number::canonical(one))) {
                words.push("array must not contain duplicate elements".to_owned());
            }
        }
        let (first, rest): (&[Value], Option<&Value>) = match schema.get("items") {
            Some(Value::Array(each)) => (each, schema.get("additionalItems")),
            other => (&[], other),
        };
        for (at, one) in all.iter().enumerate() {
            match (first.get(at), rest) {
                (Some(schema), _) => self.look(run, document, schema, one, words)?,
                (None, Some(schema @ Value::Object(_))) => self.look(run, document, schema, one, words)?,
                (None, Some(Value::Bool(false))) => {
                    words.push(format!("additional items are not allowed (found {count}, allowed: {})", first.len()));
                    break;
                }
                (None, _) => break,
            }
        }
        Ok(())
    }

    fn of_object(
        &self,
        run: &mut Run,
        document: &str,
        schema: &Map<String, Value>,
        all: &Map<String, Value>,
        words: &mut Vec<String>,
    ) -> Result<(), Spent> {
        let count = all.len();
        if let Some(most) = size(schema, "maxProperties").filter(|most| count > *most) {
            words.push(format!("object has too many properties (found {count} but schema requires at most {most})"));
        }
        if let Some(least) = size(schema, "minProperties").filter(|least| count < *least) {
            words.push(format!("object has too few properties (found {count} but schema requires at least {least})"));
        }
        let missing: BTreeSet<&str> = texts(schema.get("required")).filter(|name| !all.contains_key(*name)).collect();
        if !missing.is_empty() {
            words.push(format!("object has missing required properties ({})", list(missing)));
        }
        let (named, patterned) = (object(schema, "properties"), object(schema, "patternProperties"));
        let mut others = BTreeSet::new();
        for (name, value) in all {
            let own = named.and_then(|named| named.get(name));
            let by_pattern = patterned.into_iter().flatten().filter(|(pattern, _)| self.matches(pattern, name));
            let mut known = false;
            for schema in own.into_iter().chain(by_pattern.map(|(_, schema)| schema)) {
                known = true;
                self.look(run, document, schema, value, words)?;
            }
            match schema.get("additionalProperties") {
                Some(Value::Bool(false)) if !known => drop(others.insert(name)),
                Some(schema @ Value::Object(_)) if !known => self.look(run, document, schema, value, words)?,
                _ => {}
            }
        }
        if !others.is_empty() {
            words.push(format!("object instance has properties which are not allowed by the schema: {}", list(others)));
        }
        for (name, needs) in object(schema, "dependencies").into_iter().flatten() {
            if !all.contains_key(name) {
                continue;
            }
            if needs.is_object() {
                self.look(run, document, needs, &Value::Object(all.clone()), words)?;
                continue;
            }
            let missing: BTreeSet<&str> = texts(Some(needs)).filter(|name| !all.contains_key(*name)).collect();
            if !missing.is_empty() {
                words.push(format!(
                    "property {} of object has missing property dependencies (schema requires {needs}; missing: {})",
                    Value::from(name.as_str()),
                    list(missing)
                ));
            }
        }
        Ok(())
    }

    /// What several schemas say of one value.
    fn together(
        &self,
        run: &mut Run,
        document: &str,
        schema: &Map<String, Value>,
        value: &Value,
        words: &mut Vec<String>,
    ) -> Result<(), Spent> {
        let many = |name: &str| schema.get(name).and_then(Value::as_array);
        for one in many("allOf").into_iter().flatten() {
            self.look(run, document, one, value, words)?;
        }
        if let Some(all) = many("anyOf") {
            let mut fits = false;
            for one in all {
                fits = fits || self.fits(run, document, one, value)?;
            }
            if !fits {
                words.push(format!("instance failed to match at least one required schema among {}", all.len()));
            }
        }
        if let Some(all) = many("oneOf") {
            let mut matched = 0;
            for one in all {
                matched += usize::from(self.fits(run, document, one, value)?);
            }
            if matched != 1 {
                let count = all.len();
                words.push(format!("instance failed to match exactly one schema (matched {matched} out of {count})"));
            }
        }
        if let Some(not) = schema.get("not")
            && self.fits(run, document, not, value)?
        {
            words.push("instance matched a schema which it should not have".to_owned());
        }
        Ok(())
    }
}

/// What values of every type may be.
fn of_any(schema: &Map<String, Value>, value: &Value, words: &mut Vec<String>) {
    let is = kind(value);
    let allowed: BTreeSet<&str> = match schema.get("type") {
        Some(Value::String(one)) => BTreeSet::from([one.as_str()]),
        other => texts(other).collect(),
    };
    let fits = allowed.contains(is) || is == "integer" && allowed.contains("number");
    if !allowed.is_empty() && !fits {
        let allowed = list(allowed);
        words.push(format!("instance type ({is}) does not match any allowed primitive type (allowed: {allowed})"));
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        let wanted = number::canonical(value);
        if !options.iter().any(|one| number::canonical(one) == wanted) {
            let options = list(options);
            words.push(format!("instance value ({value}) not found in enum (possible values: {options})"));
        }
    }
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

fn size(schema: &Map<String, Value>, name: &str) -> Option<usize> {
    schema.get(name)?.as_u64().and_then(|size| usize::try_from(size).ok())
}

fn object<'s>(schema: &'s Map<String, Value>, name: &str) -> Option<&'s Map<String, Value>> {
    schema.get(name).and_then(Value::as_object)
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// As JSON has it: `["a","b"]`.
fn list<T: serde::Serialize>(all: impl IntoIterator<Item = T>) -> String {
    serde_json::to_string(&all.into_iter().collect::<Vec<_>>()).unwrap_or_default()
}

/// A pattern, ready.
fn pattern(text: &str) -> Result<Regex, String> {
    let made = fancy_regex::RegexBuilder::new(text).backtrack_limit(PATTERN_STEPS).build();
    made.map_err(|error| format!("{} is no pattern: {error}", Value::from(text)))
}

#[cfg(test)]
mod tests;
