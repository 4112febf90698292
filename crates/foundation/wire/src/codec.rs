//! The entrance to the codecs: bytes to typed values and back, by protocol.

use base::Fault;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    ErrorShape, Kind, Location, Operation, Protocol, Request, Response, Service, Shape, Sink, Structure, cbor, json,
    query, rest,
};

/// Reads a client's request into the operation's input. Constraints are not checked: see [`crate::validate`].
///
/// Faults, all 400, when the bytes do not fit: SerializationException in JSON and CBOR, MalformedInput in query and XML
/// protocols, and S3's MalformedXML and InvalidArgument. A body of another media type is UnsupportedMediaTypeException,
/// 415.
pub fn decode(
    protocol: Protocol,
    operation: &'static Operation,
    request: Request,
) -> Result<Box<dyn Structure>, Fault> {
    media_type(protocol, operation, &request)?;
    let decoded = match protocol {
        Protocol::Json10 | Protocol::Json11 => json::decode(operation, &request),
        Protocol::Cbor => cbor::decode(operation, &request.body),
        Protocol::RestJson | Protocol::RestXml => return rest::decode(protocol, operation, &request),
        Protocol::Query | Protocol::Ec2Query => return query::decode(protocol, operation, &request),
    };
    decoded.map_err(|malformed| Fault::serialization(malformed.0))
}

/// Prints an operation's output.
pub fn encode(protocol: Protocol, operation: &'static Operation, output: &dyn Structure, request_id: &str) -> Response {
    match protocol {
        Protocol::Json10 | Protocol::Json11 => json::encode(protocol, output, request_id),
        Protocol::RestJson | Protocol::RestXml => rest::encode(protocol, operation, output, request_id),
        Protocol::Query | Protocol::Ec2Query => query::encode(protocol, operation, output, request_id),
        Protocol::Cbor => cbor::encode(output, request_id),
    }
}

/// Prints a fault. `service` is none when the request did not say which it was for.
pub fn encode_fault(
    protocol: Protocol,
    service: Option<&'static Service>,
    fault: &Fault,
    request_id: &str,
) -> Response {
    let shape = service.and_then(|service| modelled(service, &fault.code));
    match protocol {
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
            json::encode_fault(protocol, service, shape, fault, request_id)
        }
        Protocol::RestXml => rest::encode_fault(service, shape, fault, request_id),
        Protocol::Query | Protocol::Ec2Query => query::encode_fault(protocol, service, shape, fault, request_id),
        Protocol::Cbor => cbor::encode_fault(service, shape, fault, request_id),
    }
}

/// Refuses a body that says it is of another protocol. A type that says nothing is believed: clients are careless.
fn media_type(protocol: Protocol, operation: &'static Operation, request: &Request) -> Result<(), Fault> {
    let given = request.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(given) = given.filter(|_| !request.body.is_empty()) else { return Ok(()) };
    let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let payload = operation.input_shape.members().iter().find(|member| member.location == Location::Payload);
    let raw = payload.is_some_and(|member| matches!(member.shape.kind, Kind::Blob | Kind::Text));
    let is_xml = matches!(&*media, "application/xml" | "text/xml");
    let other = match protocol {
        Protocol::Cbor => media != cbor::CONTENT_TYPE,
        Protocol::RestJson => !raw && (is_xml || media == cbor::CONTENT_TYPE || media.starts_with("multipart/")),
        Protocol::Json10 | Protocol::Json11 => is_xml || media == cbor::CONTENT_TYPE || media.starts_with("multipart/"),
        Protocol::RestXml | Protocol::Query | Protocol::Ec2Query => false,
    };
    if other {
        let words = format!("The request's body is {media}, which the operation does not take");
        return Err(Fault::new("UnsupportedMediaTypeException", 415, words));
    }
    Ok(())
}

/// What the framework calls, in JSON, the errors that no model has and that the query protocol has by these codes.
const OF_QUERIES: [(&str, &str); 3] = [
    ("AccessDenied", "AccessDeniedException"),
    ("InvalidParameterValue", "InvalidParameterValueException"),
    ("MissingParameter", "MissingRequiredParameterException"),
];

/// An error's full name: its service's name space, or that of AWS's framework, and the shape.
pub(crate) fn type_name(
    service: Option<&'static Service>,
    shape: Option<&'static ErrorShape>,
    fault: &Fault,
) -> String {
    let (Some(service), Some(shape)) = (service, shape) else {
        let room = if fault.code == "ValidationException" { "validate" } else { "service" };
        let queried = service.is_some_and(|service| service.query_compatible);
        let own = OF_QUERIES.iter().find(|(code, _)| queried && *code == fault.code).map(|(_, name)| *name);
        return format!("com.amazon.coral.{room}#{}", own.unwrap_or(&fault.code));
    };
    // `DynamoDB_20120810` → `com.amazonaws.dynamodb.v20120810`.
    let date = service.target_prefix.rsplit_once('_').map(|(_, date)| date);
    let date = date.filter(|date| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()));
    let version = date.map_or_else(String::new, |date| format!(".v{date}"));
    format!("com.amazonaws.{}{version}#{}", service.name, shape.name)
}

/// For clients of a service that once spoke the query protocol: the error's code there, and who is at fault.
pub(crate) fn query_error(
    response: &mut Response,
    service: Option<&'static Service>,
    shape: Option<&'static ErrorShape>,
    fault: &Fault,
) {
    if service.is_some_and(|service| service.query_compatible) {
        let blame = if fault.blame == base::Blame::Server { "Receiver" } else { "Sender" };
        let code = shape.map_or(&*fault.code, |shape| shape.code);
        header(&mut response.headers, "x-amzn-query-error", &format!("{code};{blame}"));
    }
}

/// The service's error of that code.
pub(crate) fn modelled(service: &'static Service, code: &str) -> Option<&'static ErrorShape> {
    let errors = service.operations.iter().flat_map(|operation| operation.errors);
    errors.copied().find(|error| error.code == code || error.name == code)
}

/// The text of a member by AWS's name, if it is set and is text or a whole number: what resource ARNs are made of.
pub fn text_member(value: &dyn Structure, name: &str) -> Option<String> {
    let (index, member) = value.shape().members().iter().enumerate().find(|(_, member)| member.name == name)?;
    let mut found = Found(None);
    value.get(index)?.emit(member.shape, &mut found);
    found.0
}

/// Whether a member by AWS's name is set to true.
pub fn true_member(value: &dyn Structure, name: &str) -> bool {
    struct Truth(bool);
    impl Sink for Truth {
        fn boolean(&mut self, _: &'static Shape, value: bool) {
            self.0 = value;
        }
    }
    let mut members = value.shape().members().iter().enumerate();
    let Some((index, member)) = members.find(|(_, member)| member.name == name) else { return false };
    let mut truth = Truth(false);
    if let Some(given) = value.get(index) {
        given.emit(member.shape, &mut truth);
    }
    truth.0
}

/// Takes one text or number.
struct Found(Option<String>);

impl Sink for Found {
    fn text(&mut self, _: &'static Shape, value: &str) {
        self.0 = Some(value.to_owned());
    }
    fn integer(&mut self, _: &'static Shape, value: i64) {
        self.0 = Some(value.to_string());
    }
}

/// The header that names a request.
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// A response with what every one carries.
pub(crate) fn answer(status: u16, content_type: &'static str, body: Bytes, request_id: &str) -> Response {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(REQUEST_ID.clone(), header_value(request_id));
    Response { status, headers, body }
}

/// Sets a header. Characters that a header cannot carry are escaped as in a URL, so that no value is lost and none can
/// end the line.
pub(crate) fn header(headers: &mut HeaderMap, name: &str, value: &str) {
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { return };
    headers.insert(name, header_value(value));
}

fn header_value(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| {
        let escaped = percent_encoding::utf8_percent_encode(value, percent_encoding::CONTROLS).to_string();
        HeaderValue::from_str(&escaped).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}
