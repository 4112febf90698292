//! awsQuery and ec2Query: a form in, XML out. Source: Smithy, "AWS query protocol" and "Amazon EC2 query protocol".

mod read;

use base::{Blame, Fault};
use bytes::Bytes;

use crate::codec::{answer, header};
use crate::xml::{DECLARATION, Writer, error, escape};
use crate::{ErrorShape, Operation, Protocol, Request, Response, Service, Structure};

use read::Node;

/// The content type of a query protocol's answers.
const fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ec2Query => "text/xml;charset=UTF-8",
        _ => "text/xml",
    }
}

/// Reads an input from the form in the body, or in the query string of a GET.
pub(crate) fn decode(
    protocol: Protocol,
    operation: &'static Operation,
    request: &Request,
) -> Result<Box<dyn Structure>, Fault> {
    let mut input = (operation.input)();
    let mut root = Node::default();
    // AWS takes parameters from either place; what the body says wins.
    root.add(request.query.as_bytes())
        .and_then(|()| root.add(&request.body))
        .and_then(|()| root.read(protocol, &mut *input))
        .map_err(|malformed| Fault::new("MalformedInput", 400, malformed.0))?;
    Ok(input)
}

/// Prints an output: `<XResponse><XResult>…</XResult><ResponseMetadata>…`; for EC2 `<XResponse><requestId>…`.
pub(crate) fn encode(
    protocol: Protocol,
    operation: &'static Operation,
    output: &dyn Structure,
    request_id: &str,
) -> Response {
    let name = operation.name;
    let id = escape(request_id);
    let mut writer = if protocol == Protocol::Ec2Query { Writer::default() } else { Writer::query() };
    let open = format!("<{name}Response xmlns=\"{}\">\n", escape(operation.service.xml_namespace));
    if protocol == Protocol::Ec2Query {
        writer.out.extend([DECLARATION, &open, "    <requestId>", &id, "</requestId>\n    "]);
        writer.members(output);
        writer.out.extend(["\n</", name, "Response>"]);
        return answer(operation.status, content_type(protocol), Bytes::from(writer.out), request_id);
    }
    writer.out.push_str(&open);
    if operation.result_wrapper.is_empty() {
        writer.members(output);
    } else {
        writer.out.extend(["  <", operation.result_wrapper, ">"]);
        writer.members(output);
        writer.out.extend(["</", operation.result_wrapper, ">\n"]);
    }
    writer.out.extend(["  <ResponseMetadata>\n    <RequestId>", &id, "</RequestId>\n  </ResponseMetadata>\n</", name]);
    writer.out.push_str("Response>\n");
    answer(operation.status, content_type(protocol), Bytes::from(writer.out), request_id)
}

/// Prints a fault as `<ErrorResponse>`, for EC2 as `<Response><Errors>`.
pub(crate) fn encode_fault(
    protocol: Protocol,
    service: Option<&'static Service>,
    shape: Option<&'static ErrorShape>,
    fault: &Fault,
    request_id: &str,
) -> Response {
    let id = escape(request_id);
    let code = shape.map_or(&*fault.code, |shape| shape.code);
    let error = error(code, &fault.message, fault.fields.iter().map(|(name, text)| (*name, text.as_str())));
    let out = if protocol == Protocol::Ec2Query {
        format!("{DECLARATION}<Response><Errors><Error>{error}</Error></Errors><RequestID>{id}</RequestID></Response>")
    } else {
        wrapped(service.map_or("", |service| service.xml_namespace), fault.blame, &error, &id)
    };
    let mut response = answer(fault.status, content_type(protocol), out.into(), request_id);
    for (name, text) in &fault.headers {
        header(&mut response.headers, name, text);
    }
    response
}

/// `<ErrorResponse>` around the elements of an error, as awsQuery and restXml have it.
pub(crate) fn wrapped(namespace: &str, blame: Blame, error: &str, id: &str) -> String {
    let kind = if blame == Blame::Server { "Receiver" } else { "Sender" };
    let declared = if namespace.is_empty() { String::new() } else { format!(" xmlns=\"{}\"", escape(namespace)) };
    format!(
        "<ErrorResponse{declared}>\n  <Error>\n    <Type>{kind}</Type>\n    {error}\n  </Error>\n  \
         <RequestId>{id}</RequestId>\n</ErrorResponse>\n"
    )
}
