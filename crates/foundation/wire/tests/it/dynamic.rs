//! Shapes and values made at run time, from botocore's way of writing models.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;

use base::Timestamp;
use base64::Engine;
use bytes::Bytes;
use serde_json::{Value as Json, json};
use wire::{
    Document, Emit, EventPart, Kind, Location, Malformed, Member, Namespace, Shape, Sink, Source, Structure,
    TimestampFormat,
};

/// A value of any shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    Blob(Bytes),
    Timestamp(Timestamp),
    Document(Document),
    Structure(Record),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

/// A structure of any shape.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub shape: &'static Shape,
    pub fields: Vec<Option<Value>>,
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl Record {
    pub(crate) fn empty(shape: &'static Shape) -> Self {
        Self { shape, fields: vec![None; shape.members().len()] }
    }
}

impl Emit for Value {
    fn emit(&self, shape: &'static Shape, sink: &mut dyn Sink) {
        match self {
            Self::Boolean(value) => sink.boolean(shape, *value),
            Self::Integer(value) => sink.integer(shape, *value),
            Self::Double(value) => sink.double(shape, *value),
            Self::Text(value) => sink.text(shape, value),
            Self::Blob(value) => sink.blob(shape, value),
            Self::Timestamp(value) => sink.timestamp(shape, *value),
            Self::Document(value) => sink.document(shape, value),
            Self::Structure(value) => sink.structure(value),
            Self::List(items) => sink.list(shape, &mut items.iter().map(|item| item as &dyn Emit)),
            Self::Map(entries) => {
                sink.map(shape, &mut entries.iter().map(|(key, value)| (key.as_str(), value as &dyn Emit)));
            }
        }
    }
}

impl Value {
    pub(crate) fn accept(shape: &'static Shape, source: &mut dyn Source) -> Result<Self, Malformed> {
        Ok(match shape.kind {
            Kind::Boolean => Self::Boolean(source.boolean(shape)?),
            Kind::Integer | Kind::Long => Self::Integer(source.integer(shape)?),
            Kind::Float | Kind::Double => Self::Double(source.double(shape)?),
            Kind::Text => Self::Text(source.text(shape)?),
            Kind::Blob => Self::Blob(source.blob(shape)?),
            Kind::Timestamp => Self::Timestamp(source.timestamp(shape)?),
            Kind::Document => Self::Document(source.document(shape)?),
            Kind::Structure(_) | Kind::Union(_) => {
                let mut record = Record::empty(shape);
                source.structure(&mut record)?;
                Self::Structure(record)
            }
            Kind::List(item) => {
                let mut items = Vec::new();
                source.list(shape, &mut |source| {
                    items.push(Self::accept(item.shape, source)?);
                    Ok(())
                })?;
                Self::List(items)
            }
            Kind::Map(_, value) => {
                let mut entries = BTreeMap::new();
                source.map(shape, &mut |key, source| {
                    entries.insert(key, Self::accept(value.shape, source)?);
                    Ok(())
                })?;
                Self::Map(entries)
            }
        })
    }

    /// A value from botocore's parameters: blobs are text, moments are seconds.
    pub(crate) fn of(shape: &'static Shape, json: &Json) -> Self {
        match shape.kind {
            Kind::Boolean => Self::Boolean(json.as_bool().unwrap()),
            Kind::Integer | Kind::Long => Self::Integer(json.as_i64().unwrap()),
            Kind::Float | Kind::Double => Self::Double(json.as_f64().unwrap_or_else(|| match json.as_str().unwrap() {
                "NaN" => f64::NAN,
                "-Infinity" => f64::NEG_INFINITY,
                _ => f64::INFINITY,
            })),
            Kind::Text => Self::Text(json.as_str().map_or_else(|| json.to_string(), str::to_owned)),
            Kind::Blob => Self::Blob(Bytes::copy_from_slice(json.as_str().unwrap().as_bytes())),
            Kind::Timestamp => Self::Timestamp(Timestamp((json.as_f64().unwrap() * 1000.0).round() as i64)),
            Kind::Document => Self::Document(json.clone()),
            Kind::Structure(members) | Kind::Union(members) => {
                let mut record = Record::empty(shape);
                for (index, member) in members.iter().enumerate() {
                    let given = json.get(member.name).filter(|given| !given.is_null());
                    record.fields[index] = given.map(|given| Self::of(member.shape, given));
                }
                Self::Structure(record)
            }
            Kind::List(item) => Self::List(
                json.as_array().unwrap().iter().filter(|it| !it.is_null()).map(|it| Self::of(item.shape, it)).collect(),
            ),
            Kind::Map(_, value) => Self::Map(
                json.as_object()
                    .unwrap()
                    .iter()
                    .filter(|(_, it)| !it.is_null())
                    .map(|(key, it)| (key.clone(), Self::of(value.shape, it)))
                    .collect(),
            ),
        }
    }

    /// For messages.
    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Boolean(value) => json!(value),
            Self::Integer(value) => json!(value),
            Self::Double(value) => json!(format!("{value:?}")),
            Self::Text(value) => json!(value),
            Self::Blob(value) => json!(base64::engine::general_purpose::STANDARD.encode(value)),
            Self::Timestamp(value) => json!(value.0),
            Self::Document(value) => value.clone(),
            Self::Structure(record) => {
                let fields = record.shape.members().iter().zip(&record.fields);
                fields.filter_map(|(member, field)| Some((member.name.to_owned(), field.as_ref()?.json()))).collect()
            }
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.json())).collect(),
        }
    }
}

impl Emit for Record {
    fn emit(&self, _: &'static Shape, sink: &mut dyn Sink) {
        sink.structure(self);
    }
}

impl Structure for Record {
    fn shape(&self) -> &'static Shape {
        self.shape
    }
    fn get(&self, index: usize) -> Option<&dyn Emit> {
        self.fields[index].as_ref().map(|value| value as &dyn Emit)
    }
    fn set(&mut self, index: usize, source: &mut dyn Source) -> Result<(), Malformed> {
        self.fields[index] = Some(Value::accept(self.shape.members()[index].shape, source)?);
        Ok(())
    }
}

thread_local! {
    // An operation's row makes its input from nothing but itself, so the shape waits here.
    static INPUT: Cell<Option<&'static Shape>> = const { Cell::new(None) };
}

/// Makes [`new_input`] make records of `shape` on this thread.
pub(crate) fn input_is(shape: &'static Shape) {
    INPUT.set(Some(shape));
}

pub(crate) fn new_input() -> Box<dyn Structure> {
    Box::new(Record::empty(INPUT.get().expect("input_is was called")))
}

pub(crate) fn record(input: Box<dyn Structure>) -> Record {
    let any: Box<dyn Any> = input;
    *any.downcast().expect("new_input made it")
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn name(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// The shape `called` of a botocore model. Circles are unrolled a few times.
pub(crate) fn shape(shapes: &Json, called: &str, uri: &str, depth: usize) -> &'static Shape {
    let row = &shapes[called];
    let inner = |called: &Json| shape(shapes, called.as_str().unwrap_or_default(), uri, depth + 1);
    let part = |key: &str, default: &str| {
        let wire = row[key]["locationName"].as_str().unwrap_or(default);
        let mut made = Member::new(name(wire), inner(&row[key]["shape"]));
        made.namespace = namespace(&row[key]["xmlNamespace"]);
        leak(made)
    };
    let kind = match row["type"].as_str().unwrap_or_default() {
        "boolean" => Kind::Boolean,
        "integer" => Kind::Integer,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "blob" => Kind::Blob,
        "timestamp" => Kind::Timestamp,
        "list" if depth < 12 => Kind::List(part("member", "member")),
        "map" if depth < 12 => Kind::Map(part("key", "key"), part("value", "value")),
        "structure" if row["document"] == true => Kind::Document,
        "structure" => {
            let members = row["members"].as_object().into_iter().flatten().filter(|_| depth < 12);
            let members: Vec<Member> = members.map(|(key, it)| member(shapes, row, key, it, uri, depth)).collect();
            Kind::Structure(members.leak())
        }
        _ => Kind::Text,
    };
    let mut made = Shape::new(name(called), kind);
    made.timestamp = row["timestampFormat"].as_str().map(format);
    made.namespace = namespace(&row["xmlNamespace"]);
    made.root = name(row["locationName"].as_str().unwrap_or_default());
    made.event_stream = row["eventstream"] == true;
    leak(made)
}

fn namespace(row: &Json) -> Option<Namespace> {
    let uri = row.as_str().or(row["uri"].as_str())?;
    Some(Namespace { prefix: name(row["prefix"].as_str().unwrap_or_default()), uri: name(uri) })
}

fn format(text: &str) -> TimestampFormat {
    match text {
        "iso8601" => TimestampFormat::Iso8601,
        "rfc822" => TimestampFormat::Rfc822,
        _ => TimestampFormat::Unix,
    }
}

fn member(shapes: &Json, owner: &Json, key: &str, row: &Json, uri: &str, depth: usize) -> Member {
    let target = row["shape"].as_str().unwrap_or_default();
    // Where the list itself is flattened, it goes by the name of its items.
    let by_item = shapes[target]["member"]["locationName"].as_str().filter(|_| shapes[target]["flattened"] == true);
    let wire = row["locationName"].as_str().or(by_item).unwrap_or(key);
    let mut made = Member::new(name(key), shape(shapes, target, uri, depth + 1)).wire(name(wire));
    made.location = match row["location"].as_str() {
        Some("header") => Location::Header,
        Some("headers") => Location::Headers,
        Some("querystring") => Location::Query,
        Some("uri") if uri.contains(&format!("{{{wire}+}}")) => Location::UriGreedy,
        Some("uri") => Location::Uri,
        Some("statusCode") => Location::Status,
        _ if owner["payload"] == key => Location::Payload,
        _ => Location::Body,
    };
    made.flattened = row["flattened"] == true || shapes[target]["flattened"] == true;
    made.attribute = row["xmlAttribute"] == true;
    made.timestamp = row["timestampFormat"].as_str().map(format);
    made.namespace = namespace(&row["xmlNamespace"]);
    made.query = name(row["queryName"].as_str().unwrap_or_default());
    made.json = row["jsonvalue"] == true;
    made.event = match (row["eventheader"] == true, row["eventpayload"] == true) {
        (true, _) => Some(EventPart::Header),
        (_, true) => Some(EventPart::Payload),
        _ => None,
    };
    made
}
