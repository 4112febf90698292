//! What AWS says of JSON that does not fit, in the words of its two frameworks.
//!
//! Most services say `NUMBER_VALUE can not be converted to a String`; a few on a newer framework say
//! `NUMBER_VALUE cannot be converted to String`, and differ in more. Both were seen on the real services.

use crate::{Kind, Operation, Shape};

/// The services seen to speak as the newer framework does.
const NEWER: &[&str] = &["dynamodb", "dynamodbstreams", "bedrock-runtime"];

/// Whether the operation's service speaks as the newer framework does.
pub(crate) fn newer(operation: &Operation) -> bool {
    NEWER.contains(&operation.service.name)
}

/// Java's name of a scalar's kind.
pub(crate) const fn java(shape: &'static Shape) -> &'static str {
    match shape.kind {
        Kind::Boolean => "Boolean",
        Kind::Integer => "Integer",
        Kind::Long => "Long",
        Kind::Float => "Float",
        Kind::Double => "Double",
        Kind::Blob => "Blob",
        Kind::Timestamp => "milliseconds since epoch",
        _ => "String",
    }
}

/// A value of kind `found` stands where a scalar of `wanted` belongs.
pub(crate) fn converted(newer: bool, found: &str, wanted: &str) -> String {
    match wanted {
        _ if newer => format!("{found} cannot be converted to {wanted}"),
        "milliseconds since epoch" => format!("{found} can not be converted to {wanted}"),
        _ => {
            let article = if wanted.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
            format!("{found} can not be converted to {article} {wanted}")
        }
    }
}

/// An object stands where it does not belong.
pub(crate) const fn object(newer: bool) -> &'static str {
    if newer {
        "Start of structure or map found where not expected"
    } else {
        "Start of structure or map found where not expected."
    }
}

/// A list stands where it does not belong.
pub(crate) fn list(newer: bool, shape: &'static Shape) -> String {
    if !newer {
        return "Start of list found where not expected".to_owned();
    }
    let class = match shape.kind {
        Kind::Blob => "class java.nio.ByteBuffer".to_owned(),
        Kind::Map(..) => "java.util.Map".to_owned(),
        Kind::Structure(_) | Kind::Union(_) => format!("class {}", shape.name),
        _ => format!("class java.lang.{}", java(shape)),
    };
    format!("Unrecognized collection type {class}")
}

/// A scalar stands where a list, map or structure belongs.
pub(crate) const fn scalar(newer: bool, shape: &'static Shape) -> &'static str {
    match shape.kind {
        _ if newer => "Unexpected field type",
        Kind::List(_) => "Expected list or null",
        Kind::Map(..) => "Expected map or null",
        _ => "Expected null",
    }
}

/// Why a text is not the base64 of anything; none when it is.
pub(crate) fn base64(newer: bool, text: &str) -> String {
    let bad = text.bytes().enumerate().find(|(at, byte)| {
        let pads = *byte == b'=' && at + 2 >= text.len();
        !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'/') && !pads
    });
    let why = match bad {
        _ if !text.len().is_multiple_of(4) => {
            format!("Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len())
        }
        Some((_, byte)) if byte != b'=' => format!("Invalid Base64 character: '{}'", char::from(byte).escape_default()),
        // The word is AWS's own.
        _ => "Invalid last non-pad Base64 character dectected".to_owned(),
    };
    if newer { why } else { format!("'{text}' can not be converted to a Blob: {why}") }
}
