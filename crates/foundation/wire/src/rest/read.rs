//! Requests of REST services to typed inputs.

use std::borrow::Cow;

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::lists::split;
use super::refused::Refused;
use super::template;
use crate::json::Reader;
use crate::scalar::{TextMap, Texts};
use crate::value::{Malformed, Source, Structure};
use crate::xml::{At, Tree};
use crate::{Kind, Location, Member, Operation, Protocol, Request, Shape, TimestampFormat};

/// Reads an input.
pub(crate) fn decode(
    protocol: Protocol,
    operation: &'static Operation,
    request: &Request,
) -> Result<Box<dyn Structure>, Fault> {
    let mut input = (operation.input)();
    read(protocol, operation, request, &mut *input).map_err(|refused| refused.fault(protocol, operation))?;
    Ok(input)
}

fn read(
    protocol: Protocol,
    operation: &'static Operation,
    request: &Request,
    input: &mut dyn Structure,
) -> Result<(), Refused> {
    let members = operation.input_shape.members();
    let mut labels = None;
    let mut query = None;
    let mut body = false;
    for (index, member) in members.iter().enumerate() {
        match member.location {
            Location::Body => body = true,
            Location::Uri | Location::UriGreedy => {
                let labels =
                    labels.get_or_insert_with(|| template::labels(operation.uri, &request.path).unwrap_or_default());
                label(labels, index, member, input)?;
            }
            Location::Query => {
                let query = match &query {
                    Some(known) => known,
                    None => query.insert(parameters(&request.query)?),
                };
                from_query(query, index, member, input)?;
            }
            Location::Header => from_header(&request.headers, index, member, input)?,
            Location::Headers => prefixed(&request.headers, index, member, input)?,
            Location::Payload => payload(protocol, operation, &request.body, index, member, input)?,
            Location::Status => {}
        }
    }
    if body && !request.body.iter().all(u8::is_ascii_whitespace) {
        match protocol {
            Protocol::RestXml => At::body(&Tree::parse(&request.body)?).structure(input)?,
            _ => {
                let mut reader = Reader::new(&request.body, operation)?;
                reader.body_members(input)?;
                reader.end()?;
            }
        }
    }
    Ok(())
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The parameters of a query string, decoded. AWS reads `+` as a space, as forms have it.
fn parameters(query: &str) -> Result<Pairs<'_>, Malformed> {
    let plain = |side: &str| -> Result<Cow<'_, str>, Malformed> {
        if !side.contains(['%', '+']) {
            return Ok(Cow::Owned(side.to_owned()));
        }
        let spaced = side.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8();
        let decoded = decoded.map_err(|_| Malformed("The query string is not valid UTF-8".into()))?;
        Ok(Cow::Owned(decoded.into_owned()))
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| Ok((plain(name)?, plain(value)?))).collect()
}

fn label(
    labels: &[(&str, &str)],
    index: usize,
    member: &'static Member,
    input: &mut dyn Structure,
) -> Result<(), Refused> {
    let Some((_, raw)) = labels.iter().find(|(name, _)| *name == member.wire) else { return Ok(()) };
    let text = percent_decode_str(raw).decode_utf8().map_err(|_| Refused::Place {
        member,
        value: (*raw).to_owned(),
        why: Malformed(format!("The path's {} is not valid UTF-8", member.name)),
    })?;
    set(input, index, member, vec![text], TimestampFormat::Iso8601)
}

fn set(
    input: &mut dyn Structure,
    index: usize,
    member: &'static Member,
    values: Vec<Cow<'_, str>>,
    format: TimestampFormat,
) -> Result<(), Refused> {
    let first = values.first().map_or("", |value| value).to_owned();
    let mut texts = Texts { values, format, member: member.timestamp };
    input.set(index, &mut texts).map_err(|why| Refused::Place { member, value: first, why })
}

fn from_query(
    query: &Pairs<'_>,
    index: usize,
    member: &'static Member,
    input: &mut dyn Structure,
) -> Result<(), Refused> {
    if matches!(member.shape.kind, Kind::Map(..)) {
        let mut entries: Vec<(String, Vec<Cow<'_, str>>)> = Vec::new();
        for (key, value) in query {
            match entries.iter_mut().find(|(known, _)| known == key) {
                Some((_, values)) => values.push(value.clone()),
                None => entries.push((key.clone().into_owned(), vec![value.clone()])),
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        return Ok(input.set(index, &mut TextMap { entries, format: TimestampFormat::Iso8601 })?);
    }
    let values: Vec<_> = query.iter().filter(|(key, _)| key == member.wire).map(|(_, value)| value.clone()).collect();
    if values.is_empty() {
        return Ok(());
    }
    set(input, index, member, values, TimestampFormat::Iso8601)
}

fn utf8<'v>(member: &'static Member, name: &str, value: &'v [u8]) -> Result<&'v str, Refused> {
    std::str::from_utf8(value).map_err(|_| Refused::Place {
        member,
        value: String::from_utf8_lossy(value).into_owned(),
        why: Malformed(format!("The header {name} is not valid UTF-8")),
    })
}

fn from_header(
    headers: &HeaderMap,
    index: usize,
    member: &'static Member,
    input: &mut dyn Structure,
) -> Result<(), Refused> {
    let mut values = Vec::new();
    for value in headers.get_all(member.wire) {
        let text = utf8(member, member.wire, value.as_bytes())?;
        match member.shape.kind {
            Kind::List(item) => values.extend(split(text, matches!(item.shape.kind, Kind::Timestamp))),
            _ if member.json => values.push(Cow::Owned(decoded(member, text)?)),
            _ => values.push(Cow::Borrowed(text)),
        }
    }
    if values.is_empty() {
        return Ok(());
    }
    match set(input, index, member, values, TimestampFormat::Rfc822) {
        // RFC 9110, 13.1.3: a condition whose date is none is as if it were not there.
        Err(_) if is_since(member) => Ok(()),
        done => done,
    }
}

fn is_since(member: &'static Member) -> bool {
    let name = member.wire;
    name.eq_ignore_ascii_case("if-modified-since") || name.eq_ignore_ascii_case("if-unmodified-since")
}

/// JSON travels in a header as base64.
fn decoded(member: &'static Member, text: &str) -> Result<String, Refused> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(|| Refused::Place {
        member,
        value: text.to_owned(),
        why: Malformed(format!("The header {} is not JSON in base64", member.wire)),
    })
}

fn prefixed(
    headers: &HeaderMap,
    index: usize,
    member: &'static Member,
    input: &mut dyn Structure,
) -> Result<(), Refused> {
    let prefix = member.wire.to_ascii_lowercase();
    let mut entries: Vec<(String, Vec<Cow<'_, str>>)> = Vec::new();
    for name in headers.keys() {
        let Some(key) = name.as_str().strip_prefix(&prefix) else { continue };
        let mut whole = String::new();
        for value in headers.get_all(name) {
            // A header that comes twice is one with both values.
            whole.push_str(if whole.is_empty() { "" } else { "," });
            whole.push_str(utf8(member, name.as_str(), value.as_bytes())?);
        }
        entries.push((key.to_owned(), vec![Cow::Owned(whole)]));
    }
    if entries.is_empty() {
        return Ok(());
    }
    Ok(input.set(index, &mut TextMap { entries, format: TimestampFormat::Rfc822 })?)
}

/// A body that is one member: bytes as they are, or the member's JSON or XML.
fn payload(
    protocol: Protocol,
    operation: &'static Operation,
    body: &Bytes,
    index: usize,
    member: &'static Member,
    input: &mut dyn Structure,
) -> Result<(), Refused> {
    if body.is_empty() || member.shape.event_stream {
        return Ok(());
    }
    match member.shape.kind {
        Kind::Blob => input.set(index, &mut Raw(body.clone()))?,
        Kind::Text => {
            let text = std::str::from_utf8(body).map_err(|_| Malformed("The body is not valid UTF-8".into()))?;
            set(input, index, member, vec![Cow::Borrowed(text)], TimestampFormat::Unix)?;
        }
        _ if protocol == Protocol::RestXml => {
            let tree = Tree::parse(body)?;
            let (wanted, found) = (root(member), tree.name(tree.root()));
            if wanted.is_some_and(|wanted| wanted != found) {
                return Err(Malformed(format!("The root element is {found}")).into());
            }
            input.set(index, &mut At::root(&tree))?;
        }
        _ => {
            let mut reader = Reader::new(body, operation)?;
            if !reader.null()? {
                input.set(index, &mut reader)?;
            }
            reader.end()?;
        }
    }
    Ok(())
}

/// The name the model gives a payload's root element, where it does.
fn root(member: &'static Member) -> Option<&'static str> {
    let named = member.wire != member.name || (member.namespace.is_some() && member.shape.root.is_empty());
    named.then_some(member.wire)
}

/// Bytes as they are: shared, not copied.
struct Raw(Bytes);

impl Source for Raw {
    fn blob(&mut self, _: &'static Shape) -> Result<Bytes, Malformed> {
        Ok(self.0.clone())
    }
}
