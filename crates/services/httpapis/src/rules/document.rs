//! Definitions as text: JSON or YAML, in and out.
//!
//! YAML is read as 1.2's core schema says, with the merge key `<<`, which tools still write. What an alias repeats counts as often as
//! it stands there, so that a short text is never a long definition.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

/// Values of one definition. This platform's own.
const VALUES: usize = 500_000;
/// How deep values may be inside each other.
const DEPTH: usize = 100;

/// Reads a definition.
///
/// # Errors
/// Where the text is no JSON and no YAML, or too much.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '[']) {
        // Flow style of YAML begins like this, too.
        return serde_json::from_str(text).or_else(|error| yaml_of(text).map_err(|_| error.to_string()));
    }
    yaml_of(text)
}

fn yaml_of(text: &str) -> Result<Value, String> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), left: VALUES };
    let whole = reader.document()?;
    if !matches!(whole, Value::Object(_) | Value::Array(_)) {
        return Err("it is neither JSON nor YAML".to_owned());
    }
    Ok(whole)
}

struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    // By the id of their anchors, with how many values each is.
    anchors: HashMap<usize, (Value, usize)>,
    // How many values more there may be.
    left: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, String> {
        match self.parser.next_event() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("it ends too soon".to_owned()),
        }
    }

    fn document(&mut self) -> Result<Value, String> {
        loop {
            match self.next()? {
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::StreamEnd | Event::DocumentEnd => return Err("it is empty".to_owned()),
                event => break self.value(event, 0),
            }
        }
    }

    fn spend(&mut self, values: usize) -> Result<(), String> {
        self.left = self.left.checked_sub(values).ok_or_else(|| format!("it has more than {VALUES} values"))?;
        Ok(())
    }

    fn value(&mut self, event: Event<'t>, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return Err(format!("its values are more than {DEPTH} deep inside each other"));
        }
        let before = self.left;
        self.spend(1)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref())?, anchor),
            Event::SequenceStart(anchor, tag) => {
                plain(tag.as_deref())?;
                let mut all = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => all.push(self.value(event, depth + 1)?),
                    }
                }
                (Value::Array(all), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                plain(tag.as_deref())?;
                (Value::Object(self.mapping(depth)?), anchor)
            }
            Event::Alias(anchor) => {
                let (value, values) = self.anchors.get(&anchor).cloned().ok_or("an alias stands within its anchor")?;
                self.spend(values)?;
                return Ok(value);
            }
            _ => return Err("it ends too soon".to_owned()),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), before - self.left));
        }
        Ok(value)
    }

    fn mapping(&mut self, depth: usize) -> Result<Map<String, Value>, String> {
        let (mut own, mut merged) = (Map::new(), Vec::new());
        loop {
            let name = match self.next()? {
                Event::MappingEnd => break,
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err("a key is no text".to_owned()),
            };
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            match (name.as_str(), value) {
                ("<<", Value::Object(one)) => merged.push(one),
                ("<<", Value::Array(all)) => {
                    merged.extend(all.into_iter().filter_map(|one| one.as_object().cloned()));
                }
                (_, value) => {
                    own.insert(name, value);
                }
            }
        }
        for (name, value) in merged.into_iter().flatten() {
            own.entry(name).or_insert(value);
        }
        Ok(own)
    }
}

/// Tags of other tools mean what only they know.
fn plain(tag: Option<&Tag>) -> Result<(), String> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => Err(format!("the tag {tag} means nothing here")),
        _ => Ok(()),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    plain(tag)?;
    if style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str") {
        return Ok(Value::from(text));
    }
    let number = text.strip_prefix('+').unwrap_or(text);
    let radix = |prefix: &str, radix| {
        let digits = text.strip_prefix(prefix)?;
        i64::from_str_radix(digits, radix).ok().map(Value::from)
    };
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => radix("0x", 16)
            .or_else(|| radix("0o", 8))
            .or_else(|| number.parse::<i64>().ok().map(Value::from))
            .or_else(|| float(number).map(Value::from))
            .unwrap_or_else(|| Value::from(text)),
    })
}

/// A number with a point or an exponent; names of numbers are texts.
fn float(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let starts = text.trim_start_matches('-').starts_with(|letter: char| letter.is_ascii_digit() || letter == '.');
    if digits && starts { text.parse().ok() } else { None }
}

/// A definition as YAML, in block style, texts in quotes.
pub(crate) fn yaml(value: &Value) -> String {
    let mut out = String::from("---\n");
    block(value, 0, &mut out);
    out
}

fn block(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(all) => {
            for (name, one) in all {
                out.push_str(&format!("{indent}{}:", key(name)));
                below(one, depth, out);
            }
        }
        Value::Array(all) => {
            for one in all {
                out.push_str(&format!("{indent}-"));
                below(one, depth, out);
            }
        }
        other => out.push_str(&format!("{indent}{other}\n")),
    }
}

fn below(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(all) if all.is_empty() => out.push_str(" {}\n"),
        Value::Array(all) if all.is_empty() => out.push_str(" []\n"),
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            block(value, depth + 1, out);
        }
        // What JSON says of texts and numbers, YAML says too.
        other => out.push_str(&format!(" {other}\n")),
    }
}

/// A name as it is where nothing else could be meant, else in quotes.
fn key(name: &str) -> String {
    let plain = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '/')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/.".contains(&byte))
        && scalar(name, ScalarStyle::Plain, None) == Ok(Value::from(name))
        && !["y", "n", "yes", "no", "on", "off"].contains(&name.to_ascii_lowercase().as_str());
    if plain { name.to_owned() } else { Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_means_what_json_means() {
        let text = "
base: &base {type: string, x: 1}
swagger: '2.0'
responses:
  200: {description: ok}
  default:
    <<: *base
    x: 2
list:
- 1
- -2.5
- 0x10
- yes
- ~
- |
  two
  lines
- !!str 5
";
        let read = read(text).unwrap();
        assert_eq!(read["swagger"], "2.0");
        assert_eq!(read["responses"]["200"]["description"], "ok");
        assert_eq!(read["responses"]["default"], json!({"x": 2, "type": "string"}));
        assert_eq!(read["list"], json!([1, -2.5, 16, "yes", null, "two\nlines\n", "5"]));
    }

    #[test]
    fn what_is_no_definition_is_refused() {
        for wrong in ["", "text", "{", "a: [1", "a: *b", "a: &x [*x]", "a: !Ref b", "? {a: 1}\n: 2", "a: {b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(read(&deep).is_err());
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            laughs.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        assert!(read(&laughs).unwrap_err().contains("more than"));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
            "[a-z0-9:#\\-\n\"' ]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[a-zA-Z0-9/:~ \\-]{0,6}", inner), 0..5)
                    .prop_map(|all| Value::Object(all.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in prop::collection::vec(("[a-z]{1,5}", values()), 1..5)) {
            let value = Value::Object(value.into_iter().collect());
            prop_assert_eq!(read(&yaml(&value)), Ok(value.clone()));
            prop_assert_eq!(read(&value.to_string()), Ok(value));
        }
    }
}
