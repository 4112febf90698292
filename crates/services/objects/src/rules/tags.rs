//! Tags. Source: Amazon S3 User Guide, "Categorizing your objects using tags" and "Using cost allocation S3 bucket tags".

use std::collections::BTreeMap;

use base::Fault;
use model::s3::Tag;
use percent_encoding::percent_decode_str;

/// Longest key and value, characters.
const KEY_CHARS: usize = 128;
const VALUE_CHARS: usize = 256;

/// Checks tags and puts them in order.
///
/// # Errors
/// InvalidTag; BadRequest for more than `most` of an object.
pub(crate) fn checked(
    tags: impl IntoIterator<Item = (String, String)>,
    most: usize,
) -> Result<BTreeMap<String, String>, Fault> {
    let invalid = |words: &str, key: &str| Fault::new("InvalidTag", 400, words).with("TagKey", key);
    let allowed =
        |text: &str| text.chars().all(|it| it.is_alphanumeric() || it.is_whitespace() || "_.:/=+-@".contains(it));
    let mut out = BTreeMap::new();
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > KEY_CHARS || !allowed(&key) {
            return Err(invalid("The TagKey you have provided is invalid", &key));
        }
        if key.starts_with("aws:") {
            return Err(invalid("System tags cannot be added/updated by requester", &key));
        }
        if value.chars().count() > VALUE_CHARS || !allowed(&value) {
            return Err(invalid("The TagValue you have provided is invalid", &key).with("TagValue", value));
        }
        if out.insert(key.clone(), value).is_some() {
            return Err(invalid("Cannot provide multiple Tags with the same key", &key));
        }
    }
    if out.len() > most {
        let what = if most == crate::limits::OBJECT_TAGS { "Object" } else { "Bucket" };
        return Err(Fault::new("BadRequest", 400, format!("{what} tags cannot be greater than {most}")));
    }
    Ok(out)
}

/// Tags as a header has them: `a=b&c=d`.
///
/// # Errors
/// InvalidArgument; as [`checked`].
pub(crate) fn of_header(text: &str, most: usize) -> Result<BTreeMap<String, String>, Fault> {
    let plain = |side: &str| {
        let spaced = side.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned())
    };
    let mut pairs = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Ok(key), Ok(value)) = (plain(key), plain(value)) else {
            let words = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.";
            return Err(crate::faults::argument(words, "x-amz-tagging", text));
        };
        pairs.push((key, value));
    }
    checked(pairs, most)
}

/// Tags of a body.
pub(crate) fn pairs(tags: Vec<Tag>) -> impl Iterator<Item = (String, String)> {
    tags.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()))
}

/// Tags as answers have them.
pub(crate) fn shown(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_checked() {
        let tags = of_header("a=b&c=d+e%2F&f", 10).unwrap();
        assert_eq!(tags.iter().map(|(k, v)| (&**k, &**v)).collect::<Vec<_>>(), [("a", "b"), ("c", "d e/"), ("f", "")]);
        for (text, code) in [
            ("a=1&a=2", "InvalidTag"),
            ("aws:a=1", "InvalidTag"),
            ("a=%3F", "InvalidTag"),
            ("a=%ff", "InvalidArgument"),
            ("=1", "InvalidTag"),
        ] {
            assert_eq!(of_header(text, 10).unwrap_err().code, code, "{text}");
        }
        let many: String = (0..11).map(|n| format!("k{n}=v&")).collect();
        assert_eq!(of_header(&many, 10).unwrap_err().code, "BadRequest");
    }
}
