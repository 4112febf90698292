//! restJson1: members travel in labels, query, headers, status and body. Source: Smithy, "HTTP bindings".

pub(crate) mod template;

use std::borrow::Cow;

use base::Fault;
use bytes::Bytes;
use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::codec::{answer, header};
use crate::json::{Reader, Writer, content_type};
use crate::scalar::{TextMap, TextSink, Texts};
use crate::value::{Malformed, Sink, Source, Structure};
use crate::{Kind, Location, Member, Operation, Protocol, Request, Response, Shape, TimestampFormat};

/// Reads an input.
pub(crate) fn decode(operation: &'static Operation, request: &Request) -> Result<Box<dyn Structure>, Fault> {
    let mut input = (operation.input)();
    read(operation, request, &mut *input).map_err(|malformed| Fault::serialization(malformed.0))?;
    Ok(input)
}

fn read(operation: &'static Operation, request: &Request, input: &mut dyn Structure) -> Result<(), Malformed> {
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
                let query = query.get_or_insert_with(|| parameters(&request.query));
                from_query(query, index, member, input)?;
            }
            Location::Header => from_header(&request.headers, index, member, input)?,
            Location::Headers => prefixed(&request.headers, index, member, input)?,
            Location::Payload => payload(&request.body, index, member, input)?,
            Location::Status => {}
        }
    }
    if body && !request.body.iter().all(u8::is_ascii_whitespace) {
        let mut reader = Reader::new(&request.body)?;
        reader.body_members(input)?;
        reader.end()?;
    }
    Ok(())
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The parameters of a query string, decoded. Unlike a form, `+` is itself unless a form wrote it: AWS reads it as a space.
fn parameters(query: &str) -> Pairs<'_> {
    form_urlencoded::parse(query.as_bytes()).collect()
}

fn label(
    labels: &[(&str, &str)],
    index: usize,
    member: &'static Member,
    input: &mut dyn Structure,
) -> Result<(), Malformed> {
    let Some((_, raw)) = labels.iter().find(|(name, _)| *name == member.wire) else { return Ok(()) };
    let text = percent_decode_str(raw)
        .decode_utf8()
        .map_err(|_| Malformed(format!("The path's {} is not valid UTF-8", member.name)))?;
    set(input, index, member, vec![text], TimestampFormat::Iso8601)
}

fn set(
    input: &mut dyn Structure,
    index: usize,
    member: &'static Member,
    values: Vec<Cow<'_, str>>,
    format: TimestampFormat,
) -> Result<(), Malformed> {
    let mut texts = Texts { values, format, member: member.timestamp };
    input.set(index, &mut texts).map_err(|malformed| Malformed(format!("{}: {}", member.name, malformed.0)))
}

fn from_query(
    query: &Pairs<'_>,
    index: usize,
    member: &'static Member,
    input: &mut dyn Structure,
) -> Result<(), Malformed> {
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
        return input.set(index, &mut TextMap { entries, format: TimestampFormat::Iso8601 });
    }
    let values: Vec<_> = query.iter().filter(|(key, _)| key == member.wire).map(|(_, value)| value.clone()).collect();
    if values.is_empty() {
        return Ok(());
    }
    set(input, index, member, values, TimestampFormat::Iso8601)
}

fn from_header(
    headers: &HeaderMap,
    index: usize,
    member: &'static Member,
    input: &mut dyn Structure,
) -> Result<(), Malformed> {
    let mut values = Vec::new();
    for value in headers.get_all(member.wire) {
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| Malformed(format!("The header {} is not valid UTF-8", member.wire)))?;
        match member.shape.kind {
            Kind::List(item) => values.extend(split(text, matches!(item.shape.kind, Kind::Timestamp))),
            _ => values.push(Cow::Borrowed(text)),
        }
    }
    if values.is_empty() {
        return Ok(());
    }
    set(input, index, member, values, TimestampFormat::Rfc822)
}

/// The items of a header list: commas part them, quotes protect commas. A date holds one comma of its own.
fn split(text: &str, dates: bool) -> Vec<Cow<'_, str>> {
    let mut items = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (item, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let commas = usize::from(dates && rest.starts_with(|first: char| first.is_ascii_alphabetic()));
                let end = rest.match_indices(',').nth(commas).map_or(rest.len(), |(at, _)| at);
                (Cow::Borrowed(rest[..end].trim_end()), &rest[end..])
            }
        };
        items.push(item);
        rest = after.trim_start().strip_prefix(',').unwrap_or("").trim_start();
    }
    items
}

/// The text up to the closing quote, backslashes resolved, and what follows.
fn unquote(quoted: &str) -> (Cow<'_, str>, &str) {
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, found)) = chars.next() {
        match found {
            '"' => return (Cow::Owned(out), &quoted[at + 1..]),
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            other => out.push(other),
        }
    }
    (Cow::Owned(out), "")
}

fn prefixed(
    headers: &HeaderMap,
    index: usize,
    member: &'static Member,
    input: &mut dyn Structure,
) -> Result<(), Malformed> {
    let prefix = member.wire.to_ascii_lowercase();
    let mut entries = Vec::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(&prefix) else { continue };
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| Malformed(format!("The header {name} is not valid UTF-8")))?;
        entries.push((key.to_owned(), vec![Cow::Borrowed(text)]));
    }
    if entries.is_empty() {
        return Ok(());
    }
    input.set(index, &mut TextMap { entries, format: TimestampFormat::Rfc822 })
}

/// A body that is one member: bytes as they are, or the member's JSON.
fn payload(body: &Bytes, index: usize, member: &'static Member, input: &mut dyn Structure) -> Result<(), Malformed> {
    if body.is_empty() {
        return Ok(());
    }
    match member.shape.kind {
        Kind::Blob => input.set(index, &mut Raw(body.clone())),
        Kind::Text => {
            let text = std::str::from_utf8(body).map_err(|_| Malformed("The body is not valid UTF-8".into()))?;
            set(input, index, member, vec![Cow::Borrowed(text)], TimestampFormat::Unix)
        }
        _ => {
            let mut reader = Reader::new(body)?;
            if !reader.null()? {
                input.set(index, &mut reader)?;
            }
            reader.end()
        }
    }
}

/// Bytes as they are: shared, not copied.
struct Raw(Bytes);

impl Source for Raw {
    fn blob(&mut self, _: &'static Shape) -> Result<Bytes, Malformed> {
        Ok(self.0.clone())
    }
}

/// Prints an output.
pub(crate) fn encode(operation: &'static Operation, output: &dyn Structure, request_id: &str) -> Response {
    let mut response = answer(operation.status, content_type(Protocol::RestJson), Bytes::new(), request_id);
    let mut has_body = false;
    let mut has_payload = false;
    for (index, member) in output.shape().members().iter().enumerate() {
        has_body |= member.location == Location::Body;
        has_payload |= member.location == Location::Payload;
        let Some(value) = output.get(index) else { continue };
        match member.location {
            Location::Header | Location::Headers | Location::Status => {
                let mut text = TextSink::new(TimestampFormat::Rfc822);
                text.member = member.timestamp;
                value.emit(member.shape, &mut text);
                place(&mut response, member, text);
            }
            Location::Payload => response.body = print_payload(member, value),
            Location::Body | Location::Query | Location::Uri | Location::UriGreedy => {}
        }
    }
    let bare = std::ptr::eq(output.shape(), crate::Unit::SHAPE) || operation.status == 204;
    if has_body || !(has_payload || bare) {
        let mut writer = Writer::default();
        writer.body_members(output);
        response.body = writer.out.into();
    }
    response
}

fn place(response: &mut Response, member: &'static Member, text: TextSink) {
    match member.location {
        Location::Status => {
            if let Some(status) = text.values.first().and_then(|value| value.parse().ok()) {
                response.status = status;
            }
        }
        Location::Headers => {
            for (key, value) in &text.pairs {
                header(&mut response.headers, &format!("{}{key}", member.wire), value);
            }
        }
        _ => {
            let list = matches!(member.shape.kind, Kind::List(item) if !matches!(item.shape.kind, Kind::Timestamp));
            let items: Vec<_> = text.values.into_iter().map(|item| if list { quote(item) } else { item }).collect();
            header(&mut response.headers, member.wire, &items.join(", "));
        }
    }
}

/// A list's item, quoted when it holds what parts items.
fn quote(item: String) -> String {
    if item.contains([',', '"']) {
        return format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""));
    }
    item
}

fn print_payload(member: &'static Member, value: &dyn crate::Emit) -> Bytes {
    match member.shape.kind {
        Kind::Blob | Kind::Text => {
            let mut whole = Whole::default();
            value.emit(member.shape, &mut whole);
            whole.0
        }
        _ => {
            let mut writer = Writer::default();
            value.emit(member.shape, &mut writer);
            writer.out.into()
        }
    }
}

/// Takes one blob or text as it is; bytes are shared, not copied.
#[derive(Default)]
struct Whole(Bytes);

impl Sink for Whole {
    fn blob(&mut self, _: &'static Shape, value: &Bytes) {
        self.0 = value.clone();
    }
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.0 = Bytes::copy_from_slice(value.as_bytes());
    }
}
