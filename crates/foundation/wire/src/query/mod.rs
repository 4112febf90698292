//! awsQuery: a form in, XML out. Source: Smithy, "AWS query protocol".

mod read;
mod write;

use base::{Blame, Fault};
use bytes::Bytes;

use crate::codec::{answer, header};
use crate::{ErrorShape, Operation, Request, Response, Service, Structure};

use read::Node;
use write::{Writer, escape};

const CONTENT_TYPE: &str = "text/xml";

/// Reads an input from the form in the body, or in the query string of a GET.
pub(crate) fn decode(operation: &'static Operation, request: &Request) -> Result<Box<dyn Structure>, Fault> {
    let mut input = (operation.input)();
    let mut root = Node::default();
    // AWS takes parameters from either place; what the body says wins.
    root.add(request.query.as_bytes())
        .and_then(|()| root.add(&request.body))
        .and_then(|()| root.read(&mut *input))
        .map_err(|malformed| Fault::new("MalformedInput", 400, malformed.0))?;
    Ok(input)
}

/// Prints an output: `<XResponse><XResult>…</XResult><ResponseMetadata>…`.
pub(crate) fn encode(operation: &'static Operation, output: &dyn Structure, request_id: &str) -> Response {
    let name = operation.name;
    let mut writer = Writer::default();
    writer.out.push_str(&format!("<{name}Response xmlns=\"{}\">\n", escape(operation.service.xml_namespace)));
    if operation.result_wrapper.is_empty() {
        writer.members(output);
    } else {
        writer.out.push_str(&format!("  <{}>", operation.result_wrapper));
        writer.members(output);
        writer.out.push_str(&format!("</{}>\n", operation.result_wrapper));
    }
    writer.out.push_str(&format!(
        "  <ResponseMetadata>\n    <RequestId>{}</RequestId>\n  </ResponseMetadata>\n</{name}Response>\n",
        escape(request_id)
    ));
    answer(operation.status, CONTENT_TYPE, Bytes::from(writer.out), request_id)
}

/// Prints a fault as `<ErrorResponse>`.
pub(crate) fn encode_fault(
    service: Option<&'static Service>,
    shape: Option<&'static ErrorShape>,
    fault: &Fault,
    request_id: &str,
) -> Response {
    let namespace = service.map_or("", |service| service.xml_namespace);
    let blame = if fault.blame == Blame::Server { "Receiver" } else { "Sender" };
    let code = shape.map_or(&*fault.code, |shape| shape.code);
    let mut out = if namespace.is_empty() {
        "<ErrorResponse>\n".to_owned()
    } else {
        format!("<ErrorResponse xmlns=\"{}\">\n", escape(namespace))
    };
    out.push_str(&format!(
        "  <Error>\n    <Type>{blame}</Type>\n    <Code>{}</Code>\n    <Message>{}</Message>\n",
        escape(code),
        escape(&fault.message)
    ));
    for (name, text) in &fault.fields {
        out.push_str(&format!("    <{name}>{}</{name}>\n", escape(text)));
    }
    out.push_str(&format!("  </Error>\n  <RequestId>{}</RequestId>\n</ErrorResponse>\n", escape(request_id)));
    let mut response = answer(fault.status, CONTENT_TYPE, out.into(), request_id);
    for (name, text) in &fault.headers {
        header(&mut response.headers, name, text);
    }
    response
}
