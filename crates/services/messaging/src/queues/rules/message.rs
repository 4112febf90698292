//! What a message may hold, how large it is, and the digests by which a sender sees that it arrived whole.

use std::collections::BTreeMap;

use base::Fault;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use model::sqs::{self, MessageAttributeValue, MessageSystemAttributeValue};

use super::stored::Attribute;
use crate::queues::faults;

/// Attributes of a message.
const ATTRIBUTES: usize = 10;
/// Letters of an attribute's name, and of its type.
const NAME_LETTERS: usize = 256;
/// Letters of the ids of groups and for deduplication.
const ID_LETTERS: usize = 128;
/// The one attribute of the system that senders set.
pub(crate) const TRACE: &str = "AWSTraceHeader";

/// Checks a body's characters.
///
/// # Errors
/// InvalidMessageContents.
pub(crate) fn check_body(body: &str) -> Result<(), Fault> {
    // Plain text of the usual kind is told without taking it apart.
    if body.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')) || body.chars().all(is_valid) {
        return Ok(());
    }
    Err(sqs::invalid_message_contents(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 \
         to #x10FFFF",
    ))
}

/// Source: W3C, "Extensible Markup Language (XML) 1.0", production 2.
fn is_valid(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

/// Checks the id of a group or for deduplication.
///
/// # Errors
/// InvalidParameterValue.
pub(crate) fn check_id(parameter: &str, id: &str) -> Result<(), Fault> {
    let fits = (1..=ID_LETTERS).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(());
    }
    let reason =
        format!("{parameter} can only include alphanumeric and punctuation characters. 1 to {ID_LETTERS} in length.");
    Err(faults::parameter(parameter, id, reason))
}

/// The attributes that a sender gives, checked, in the order of their names.
///
/// # Errors
/// InvalidParameterValue, UnsupportedOperation.
pub(crate) fn attributes(given: BTreeMap<String, MessageAttributeValue>) -> Result<Vec<Attribute>, Fault> {
    if given.len() > ATTRIBUTES {
        return Err(faults::invalid(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES}].",
            given.len()
        )));
    }
    given.into_iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: String, value: MessageAttributeValue) -> Result<Attribute, Fault> {
    check_attribute_name(&name)?;
    let MessageAttributeValue { string_value, binary_value, string_list_values, binary_list_values, data_type } = value;
    if string_list_values.is_some_and(|list| !list.is_empty())
        || binary_list_values.is_some_and(|list| !list.is_empty())
    {
        return Err(sqs::unsupported_operation(
            "Message attribute list values in SendMessage operation are not supported.",
        ));
    }
    let data_type = data_type.unwrap_or_default();
    let base = data_type.split('.').next().unwrap_or_default();
    if data_type.is_empty()
        || data_type.chars().count() > NAME_LETTERS
        || !matches!(base, "String" | "Number" | "Binary")
    {
        return Err(faults::invalid(format!(
            "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type \
             prefixes: Binary, Number, String.",
        )));
    }
    let empty = || {
        faults::invalid(format!("Message (user) attribute '{name}' must contain a non-empty value of type '{base}'."))
    };
    let value = match base {
        "Binary" => binary_value.filter(|value| !value.is_empty()).ok_or_else(empty)?,
        _ => Bytes::from(string_value.filter(|value| !value.is_empty()).ok_or_else(empty)?),
    };
    if base != "Binary" {
        let text = std::str::from_utf8(&value).unwrap_or_default();
        check_body(text)?;
        if base == "Number" && !is_number(text) {
            return Err(faults::invalid(format!(
                "Can't cast the value of message (user) attribute '{name}' to a number."
            )));
        }
    }
    Ok(Attribute { name, data_type, value })
}

fn check_attribute_name(name: &str) -> Result<(), Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let lower = name.to_ascii_lowercase();
    let fits = (1..=NAME_LETTERS).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.");
    if fits { Ok(()) } else { Err(faults::invalid(format!("Message (user) attribute name '{name}' is invalid."))) }
}

/// Whether a text is a decimal number, with an exponent or without.
fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite) && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// The trace header among the attributes of the system.
///
/// # Errors
/// InvalidParameterValue.
pub(crate) fn trace(given: BTreeMap<String, MessageSystemAttributeValue>) -> Result<Option<String>, Fault> {
    let mut trace = None;
    for (name, value) in given {
        if name != TRACE {
            return Err(faults::invalid(format!("Message (system) attribute '{name}' is invalid.")));
        }
        let MessageSystemAttributeValue {
            string_value,
            binary_value,
            string_list_values,
            binary_list_values,
            data_type,
        } = value;
        let text = string_value.filter(|text| !text.is_empty());
        let others = binary_value.is_some() || string_list_values.is_some() || binary_list_values.is_some();
        match text {
            Some(text) if data_type.as_deref() == Some("String") && !others => trace = Some(text),
            _ => {
                return Err(faults::invalid(format!(
                    "Message (system) attribute '{name}' must contain a non-empty value of type 'String'."
                )));
            }
        }
    }
    Ok(trace)
}

/// What a message counts towards its limit, bytes: its body, and names, types and values of the user's attributes.
pub(crate) fn size(body: &str, attributes: &[Attribute]) -> usize {
    let of = |one: &Attribute| one.name.len() + one.data_type.len() + one.value.len();
    body.len() + attributes.iter().map(of).sum::<usize>()
}

/// The digest of a body.
pub(crate) fn body_md5(body: &[u8]) -> [u8; 16] {
    Md5::digest(body).into()
}

/// The digest of attributes in the order of their names, as hexadecimal digits; none if there is none.
///
/// Source: Amazon SQS Developer Guide, "Calculating the MD5 message digest for message attributes".
pub(crate) fn attributes_md5<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> Option<String> {
    let mut sum = Md5::new();
    let mut any = false;
    for attribute in attributes {
        any = true;
        for part in [attribute.name.as_bytes(), attribute.data_type.as_bytes()] {
            sum.update((part.len() as u32).to_be_bytes());
            sum.update(part);
        }
        sum.update([if attribute.is_binary() { 2 } else { 1 }]);
        sum.update((attribute.value.len() as u32).to_be_bytes());
        sum.update(&attribute.value);
    }
    any.then(|| hex(&sum.finalize()))
}

/// The digest of the system's attributes.
pub(crate) fn trace_md5(trace: &str) -> Option<String> {
    attributes_md5([&Attribute {
        name: TRACE.into(),
        data_type: "String".into(),
        value: Bytes::copy_from_slice(trace.as_bytes()),
    }])
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Whether a receiver asked for an attribute: by name, `All`, `.*`, or by a prefix and `*`.
pub(crate) fn is_wanted(wanted: &[String], name: &str) -> bool {
    wanted.iter().any(|one| match one.as_str() {
        "All" | ".*" => true,
        one => one
            .strip_suffix(".*")
            .or_else(|| one.strip_suffix('*'))
            .map_or(one == name, |prefix| name.starts_with(prefix)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> MessageAttributeValue {
        MessageAttributeValue {
            string_value: Some(value.into()),
            data_type: Some("String".into()),
            ..MessageAttributeValue::default()
        }
    }

    fn all(given: &[(&str, MessageAttributeValue)]) -> Result<Vec<Attribute>, Fault> {
        attributes(given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    #[test]
    fn digests_are_those_that_clients_compute() {
        // Recorded from AWS.
        let of = |given: &[(&str, MessageAttributeValue)]| attributes_md5(&all(given).unwrap()).unwrap();
        assert_eq!(of(&[("Foo", text("Bar"))]), "ae7155c6026991b6d54b11589678bf9c");
        assert_eq!(of(&[("Hello", text("There")), ("Help.Me", text("Me"))]), "83fee93c1bcd8b9a5a923ffacdc636c7");
        let binary = MessageAttributeValue {
            binary_value: Some(Bytes::from_static(
                b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01",
            )),
            data_type: Some("Binary".into()),
            ..MessageAttributeValue::default()
        };
        assert_eq!(of(&[("attr1", binary)]), "8cbe4db156db8a94db8b801b7addb984");
        assert_eq!(hex(&body_md5(b"msg")), "6e2baaf3b97dbeef01c0043275f9a0e7");
    }

    #[test]
    fn attributes_have_plain_names_known_types_and_values() {
        let number = |value: &str| MessageAttributeValue { data_type: Some("Number.int".into()), ..text(value) };
        assert!(all(&[("a", number("1")), ("b", number("-1.5e3"))]).is_ok());
        for wrong in [
            all(&[("", text("x"))]),
            all(&[("a b", text("x"))]),
            all(&[(".a", text("x"))]),
            all(&[("a..b", text("x"))]),
            all(&[("AWS.x", text("x"))]),
            all(&[("amazon.x", text("x"))]),
            all(&[("a", text(""))]),
            all(&[("a", number("NaN"))]),
            all(&[("a", number("ten"))]),
            all(&[("a", MessageAttributeValue { data_type: Some("Text".into()), ..text("x") })]),
            all(&[("a", MessageAttributeValue { data_type: None, ..text("x") })]),
            all(&[("a", MessageAttributeValue { data_type: Some("Binary".into()), ..text("x") })]),
        ] {
            assert_eq!(wrong.unwrap_err().code, "InvalidParameterValue");
        }
        let lists = MessageAttributeValue { string_list_values: Some(vec!["x".into()]), ..text("x") };
        assert_eq!(all(&[("a", lists)]).unwrap_err().code, "AWS.SimpleQueueService.UnsupportedOperation");
        let many: BTreeMap<_, _> = (0..11).map(|n| (format!("n{n}"), text("x"))).collect();
        assert!(attributes(many).is_err());
    }

    #[test]
    fn bodies_hold_what_xml_may() {
        assert!(check_body("text, \t\r\n é 𝄞 \u{fffd}").is_ok());
        for wrong in ["\0", "a\u{b}", "\u{ffff}", "é\u{1}"] {
            assert_eq!(check_body(wrong).unwrap_err().code, "InvalidMessageContents");
        }
    }

    #[test]
    fn attributes_are_asked_for_by_name_and_by_prefix() {
        let wanted =
            |names: &[&str], name| is_wanted(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), name);
        assert!(wanted(&["All"], "x") && wanted(&[".*"], "x") && wanted(&["x"], "x"));
        assert!(wanted(&["Hel.*"], "Help.Me") && wanted(&["Hel*"], "Hello"));
        assert!(!wanted(&[], "x") && !wanted(&["y"], "x") && !wanted(&["Help.*"], "Hello"));
    }
}
