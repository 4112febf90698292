//! Parameter mapping: what of a request or an answer is changed on its way.
//! Source: API Gateway Developer Guide, "Transform API requests and responses for HTTP APIs".

use std::collections::BTreeMap;

use base::Fault;
use http::HeaderName;
use http::header::HeaderValue;
use serde_json::Value;

use super::selection::Selection;
use crate::faults;

/// Changes of one message, in order.
pub(crate) type Changes = Vec<Change>;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) how: How,
    pub(crate) what: What,
    value: Vec<Piece>,
}

/// How something is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Append,
    Overwrite,
    Remove,
}

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Header(HeaderName),
    Query(String),
    Path,
    Status,
}

/// A part of a new value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Selected(Selection),
}

/// Beginnings and names of headers that are the gateway's own.
const RESERVED_BEGIN: [&str; 4] = ["access-control-", "apigw-", "x-amz-", "x-amzn-"];
const RESERVED: [&str; 20] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "forwarded",
    "keep-alive",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "via",
    "host",
];

/// Of which message a mapping is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Request,
    Answer,
}

/// The changes that a map asks for: `append:header.name` → `$context.requestId`.
///
/// # Errors
/// BadRequestException.
pub(crate) fn changes(of: Of, map: &BTreeMap<String, String>) -> Result<Changes, Fault> {
    map.iter().map(|(key, value)| change(of, key, value)).collect()
}

fn change(of: Of, key: &str, value: &str) -> Result<Change, Fault> {
    let wrong = || faults::bad(format!("Invalid mapping expression specified: {key}"));
    let (how, place) = key.split_once(':').ok_or_else(wrong)?;
    let how = match how {
        "append" => How::Append,
        "overwrite" => How::Overwrite,
        "remove" => How::Remove,
        _ => return Err(wrong()),
    };
    let what = match (of, place.split_once('.').unwrap_or((place, ""))) {
        (_, ("header", name)) => What::Header(header(name).ok_or_else(wrong)?),
        (Of::Request, ("querystring", name)) if !name.is_empty() => What::Query(name.to_owned()),
        (Of::Request, ("path", "")) if how == How::Overwrite => What::Path,
        (Of::Answer, ("statuscode", "")) if how == How::Overwrite => What::Status,
        _ => return Err(wrong()),
    };
    if let What::Header(name) = &what {
        let name = name.as_str();
        if RESERVED.contains(&name) || RESERVED_BEGIN.iter().any(|begin| name.starts_with(begin)) {
            return Err(faults::bad(format!("Operations on header {name} are restricted")));
        }
    }
    let value = if how == How::Remove { Vec::new() } else { pieces(of, value)? };
    if what == What::Status {
        let text = match value.as_slice() {
            [Piece::Text(text)] => text.parse::<u16>().ok(),
            _ => None,
        };
        if !text.is_some_and(|status| (200..=599).contains(&status)) {
            return Err(faults::bad("Invalid status code specified: it must be between 200 and 599"));
        }
    }
    Ok(Change { how, what, value })
}

fn header(name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).ok()
}

/// `$a`, or a text with `${a}` in it.
fn pieces(of: Of, value: &str) -> Result<Vec<Piece>, Fault> {
    let wrong = || faults::bad(format!("Invalid mapping expression specified: {value}"));
    let selected = |expression: &str| {
        let selection = Selection::parse(expression).ok_or_else(wrong)?;
        let of_answer = matches!(selection, Selection::AnswerHeader(_) | Selection::AnswerBody(_));
        if of_answer && of == Of::Request {
            return Err(wrong());
        }
        Ok(Piece::Selected(selection))
    };
    if value.starts_with('$') && !value.starts_with("${") {
        return Ok(vec![selected(value)?]);
    }
    let mut pieces = Vec::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or_else(wrong)?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(selected(&format!("${name}"))?);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

impl Change {
    /// The new value, with what `select` finds; what it does not find is empty.
    pub(crate) fn value(&self, select: impl Fn(&Selection) -> Option<String>) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Selected(selection) => select(selection).unwrap_or_default(),
        };
        self.value.iter().map(text).collect()
    }
}

/// Changes headers; a value that cannot stand in one is left out.
pub(crate) fn change_header(headers: &mut http::HeaderMap, how: How, name: &HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).ok().filter(|value| !value.is_empty());
    match (how, value) {
        (How::Remove, _) => drop(headers.remove(name)),
        (How::Append, Some(value)) => drop(headers.append(name.clone(), value)),
        (How::Overwrite, Some(value)) => drop(headers.insert(name.clone(), value)),
        (How::Append | How::Overwrite, None) => {}
    }
}

/// The query with a change of one name.
pub(crate) fn changed_query(query: &str, how: How, name: &str, value: &str) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (own, old) in form_urlencoded::parse(query.as_bytes()) {
        if how == How::Append || own != name {
            out.append_pair(&own, &old);
        }
    }
    if how != How::Remove {
        out.append_pair(name, value);
    }
    out.finish()
}

/// A place in a JSON body: `a.b[0].c`. None if it is not there.
pub(crate) fn place(body: &[u8], place: Option<&str>) -> Option<String> {
    let Some(place) = place else { return String::from_utf8(body.to_vec()).ok() };
    let whole: Value = serde_json::from_slice(body).ok()?;
    let mut at = &whole;
    for part in place.split('.') {
        let (name, indices) = part.split_once('[').map_or((part, ""), |(name, rest)| (name, rest));
        if !name.is_empty() {
            at = at.get(name)?;
        }
        for index in indices.split('[').filter(|index| !index.is_empty()) {
            at = at.get(index.strip_suffix(']')?.parse::<usize>().ok()?)?;
        }
    }
    match at {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(of: Of, key: &str, value: &str) -> Result<Changes, Fault> {
        changes(of, &BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn maps_are_read_or_refused() {
        for (of, key, value) in [
            (Of::Request, "append:header.header1", "$context.requestId"),
            (Of::Request, "overwrite:path", "/fixed/${request.path.id}"),
            (Of::Request, "remove:querystring.a", "''"),
            (Of::Answer, "overwrite:statuscode", "403"),
            (Of::Answer, "append:header.error", "${stageVariables.a}-${response.body.b}"),
        ] {
            assert!(one(of, key, value).is_ok(), "{key} {value}");
        }
        for (of, key, value) in [
            (Of::Request, "header.a", "x"),
            (Of::Request, "change:header.a", "x"),
            (Of::Request, "append:path", "x"),
            (Of::Request, "overwrite:statuscode", "200"),
            (Of::Request, "append:header.Authorization", "x"),
            (Of::Request, "append:header.x-amz-date", "x"),
            (Of::Request, "append:header.a", "$nonsense"),
            (Of::Request, "append:header.a", "${request.path"),
            (Of::Request, "append:header.a", "$response.body.a"),
            (Of::Answer, "overwrite:statuscode", "100"),
            (Of::Answer, "overwrite:path", "/x"),
        ] {
            assert!(one(of, key, value).is_err(), "{key} {value}");
        }
    }

    #[test]
    fn values_are_put_together() {
        let all = one(Of::Request, "append:header.a", "x ${request.path.id}/${context.stage}").unwrap();
        let value = all[0].value(|selection| match selection {
            Selection::PathVariable(name) => Some(name.to_uppercase()),
            _ => None,
        });
        assert_eq!(value, "x ID/");
    }

    #[test]
    fn queries_and_bodies() {
        assert_eq!(changed_query("a=1&b=2", How::Append, "a", "3 4"), "a=1&b=2&a=3+4");
        assert_eq!(changed_query("a=1&b=2&a=5", How::Overwrite, "a", "3"), "b=2&a=3");
        assert_eq!(changed_query("a=1&b=2", How::Remove, "a", ""), "b=2");
        let body = br#"{"a": {"b": [1, {"c": "x"}]}}"#;
        assert_eq!(place(body, Some("a.b[1].c")), Some("x".into()));
        assert_eq!(place(body, Some("a.b[0]")), Some("1".into()));
        assert_eq!(place(body, Some("a.z")), None);
        assert_eq!(place(b"text", None), Some("text".into()));
    }
}
