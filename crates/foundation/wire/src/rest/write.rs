//! Typed outputs and faults as answers of REST services.

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_RANGE, CONTENT_TYPE};

use super::lists::quote;
use crate::codec::{answer, header};
use crate::json::{Writer as Json, content_type};
use crate::query::wrapped;
use crate::scalar::TextSink;
use crate::value::{Emit, Sink, Structure};
use crate::xml::{DECLARATION, Writer as Xml, error, escape};
use crate::{ErrorShape, Kind, Location, Member, Operation, Protocol, Response, Service, Shape, TimestampFormat};

const XML: &str = "application/xml";
const EVENTS: &str = "application/vnd.amazon.eventstream";

/// Prints an output.
pub(crate) fn encode(
    protocol: Protocol,
    operation: &'static Operation,
    output: &dyn Structure,
    request_id: &str,
) -> Response {
    let is_xml = protocol == Protocol::RestXml;
    let kind = if is_xml { XML } else { content_type(protocol) };
    let mut response = answer(operation.status, kind, Bytes::new(), request_id);
    identify(&mut response, operation.service.bare_errors, request_id);
    let mut has_body = false;
    let mut has_payload = false;
    for (index, member) in output.shape().members().iter().enumerate() {
        has_body |= member.in_answer();
        has_payload |= member.location == Location::Payload;
        if member.shape.event_stream && member.location == Location::Payload {
            response.headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
            continue;
        }
        let Some(value) = output.get(index) else { continue };
        match member.location {
            Location::Header | Location::Headers | Location::Status => {
                let mut text = TextSink::new(TimestampFormat::Rfc822);
                text.member = member.timestamp;
                value.emit(member.shape, &mut text);
                place(&mut response, member, text);
            }
            Location::Payload => response.body = print_payload(protocol, operation, member, value),
            Location::Body | Location::Query | Location::Uri | Location::UriGreedy => {}
        }
    }
    // An answer that says which part it is, is one of a part.
    if response.status == 200 && response.headers.contains_key(CONTENT_RANGE) {
        response.status = 206;
    }
    let bare = std::ptr::eq(output.shape(), crate::Unit::SHAPE) || operation.status == 204;
    match protocol {
        Protocol::RestXml if has_body => response.body = document(operation, output),
        Protocol::RestXml => without_type(&mut response),
        _ if has_body || !(has_payload || bare) => {
            let mut writer = Json::default();
            writer.body_members(output);
            response.body = writer.out.into();
        }
        _ => {}
    }
    response
}

/// An empty body has no type, unless a header's member says one.
fn without_type(response: &mut Response) {
    if response.body.is_empty() && response.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == XML) {
        response.headers.remove(CONTENT_TYPE);
    }
}

/// S3 names a request by headers of its own.
fn identify(response: &mut Response, bare: bool, request_id: &str) {
    if bare {
        response.headers.remove("x-amzn-requestid");
        header(&mut response.headers, "x-amz-request-id", request_id);
        header(&mut response.headers, "x-amz-id-2", &host_id(request_id));
    }
}

/// S3's second name of a request: who served it. Ours says the same again.
fn host_id(request_id: &str) -> String {
    STANDARD.encode(request_id)
}

/// The XML document of an output without payload.
fn document(operation: &'static Operation, output: &dyn Structure) -> Bytes {
    let root = if operation.output_root.is_empty() { output.shape().root_name() } else { operation.output_root };
    let namespace = operation.service.xml_namespace;
    let mut writer = Xml::document();
    if !operation.unwrapped {
        writer.root(root, namespace, output);
        return writer.out.into();
    }
    let members = output.shape().members();
    let inner = members.iter().position(|member| member.in_answer());
    match inner.and_then(|index| Some((members[index].shape, output.get(index)?))) {
        Some((shape, value)) => writer.root_value(root, namespace, shape, value),
        None => writer.empty_root(root, namespace),
    }
    writer.out.into()
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
            let encode = |item: String| match (list, member.json) {
                (true, _) => quote(item),
                (_, true) => STANDARD.encode(item),
                _ => item,
            };
            let items: Vec<_> = text.values.into_iter().map(encode).collect();
            header(&mut response.headers, member.wire, &items.join(", "));
        }
    }
}

fn print_payload(
    protocol: Protocol,
    operation: &'static Operation,
    member: &'static Member,
    value: &dyn Emit,
) -> Bytes {
    match member.shape.kind {
        Kind::Blob | Kind::Text => {
            let mut whole = Whole::default();
            value.emit(member.shape, &mut whole);
            whole.0
        }
        _ if protocol == Protocol::RestXml => {
            let root = match (operation.output_root, member.wire == member.name) {
                ("", true) => member.shape.root_name(),
                ("", false) => member.wire,
                (root, _) => root,
            };
            let mut writer = Xml::document();
            writer.root_value(root, operation.service.xml_namespace, member.shape, value);
            writer.out.into()
        }
        _ => {
            let mut writer = Json::default();
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

/// Prints a fault of a restXml service: `<Error>` for S3, `<ErrorResponse>` for the others.
pub(crate) fn encode_fault(
    service: Option<&'static Service>,
    shape: Option<&'static ErrorShape>,
    fault: &Fault,
    request_id: &str,
) -> Response {
    let bare = service.is_some_and(|service| service.bare_errors);
    let mut response = answer(fault.status, XML, Bytes::new(), request_id);
    identify(&mut response, bare, request_id);
    let code = shape.map_or(&*fault.code, |shape| shape.code);
    let members = || shape.iter().flat_map(|shape| shape.shape.members());
    let as_header =
        |name: &str| members().find(|it| it.location == Location::Header && (it.wire == name || it.name == name));
    for (name, text) in &fault.fields {
        if let Some(member) = as_header(name) {
            header(&mut response.headers, member.wire, text);
        }
    }
    let fields = fault.fields.iter().filter(|(name, _)| as_header(name).is_none());
    let error = error(code, &fault.message, fields.map(|(name, text)| (*name, text.as_str())));
    for (name, text) in &fault.headers {
        header(&mut response.headers, name, text);
    }
    let id = escape(request_id);
    let text = if bare {
        format!("<Error>{error}<RequestId>{id}</RequestId><HostId>{}</HostId></Error>", host_id(request_id))
    } else {
        wrapped(service.map_or("", |service| service.xml_namespace), fault.blame, &error, &id)
    };
    response.body = format!("{DECLARATION}{text}").into();
    response
}
