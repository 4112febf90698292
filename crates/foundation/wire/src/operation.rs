//! Operations and services as static data, and the messages codecs read and print.

use bytes::Bytes;

use crate::{Shape, Structure};

/// The protocols AWS services speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// awsJson 1.0: `X-Amz-Target`, `application/x-amz-json-1.0`
    Json10,
    /// awsJson 1.1
    Json11,
    /// restJson1
    RestJson,
    /// awsQuery: form in, XML out
    Query,
    /// ec2Query
    Ec2Query,
    /// restXml
    RestXml,
    /// smithy rpcv2Cbor
    Cbor,
}

/// One service.
#[derive(Debug)]
pub struct Service {
    /// The room's name for it and the endpoint prefix, for example `lambda`.
    pub name: &'static str,
    /// The name in a credential scope, for example `lambda`.
    pub signing_name: &'static str,
    /// `X-Amz-Target` before the dot; empty for REST and query services.
    pub target_prefix: &'static str,
    /// The API version, for example `2015-03-31`; query requests name it.
    pub version: &'static str,
    /// The XML namespace of query and XML responses; empty elsewhere.
    pub xml_namespace: &'static str,
    /// The protocols it speaks, preferred first.
    pub protocols: &'static [Protocol],
    /// Every operation that is modelled, by name.
    pub operations: &'static [&'static Operation],
}

/// One operation row: router, codecs, authorisation and the coverage table are all derived from it.
#[derive(Debug)]
pub struct Operation {
    /// AWS's name.
    pub name: &'static str,
    /// Whose it is.
    pub service: &'static Service,
    /// The HTTP method of REST protocols.
    pub method: &'static str,
    /// The path template of REST protocols, query constants included: `/2015-03-31/functions/{FunctionName}`.
    pub uri: &'static str,
    /// The HTTP status of success.
    pub status: u16,
    /// Makes an empty input to read into.
    pub input: fn() -> Box<dyn Structure>,
    /// The input's schema.
    pub input_shape: &'static Shape,
    /// The output's schema.
    pub output_shape: &'static Shape,
    /// Query: the element that wraps the result, for example `GetCallerIdentityResult`; empty when there is none.
    pub result_wrapper: &'static str,
    /// The errors it declares.
    pub errors: &'static [&'static ErrorShape],
    /// The IAM action. Source: AWS service authorization reference.
    pub action: &'static str,
    /// The resource ARN's template: `{region}`, `{account}` and input members by name; `*` when it has none.
    pub resource: &'static str,
}

/// One modelled error.
#[derive(Debug)]
pub struct ErrorShape {
    /// The shape's name, for example `ResourceNotFoundException`.
    pub name: &'static str,
    /// The code on the wire; query services often differ from the name.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Its members.
    pub shape: &'static Shape,
}

/// An operation as a type: ties the row to its typed input and output.
pub trait Op: Send + Sync + 'static {
    /// The typed input.
    type Input: Structure + Default;
    /// The typed output.
    type Output: Structure + Default;
    /// The row.
    const ROW: &'static Operation;
}

/// An HTTP request as codecs see it: everything but the socket.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: http::Method,
    /// The path as sent, still percent-encoded.
    pub path: String,
    /// The query string as sent, without `?`; empty when there is none.
    pub query: String,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// An HTTP response as codecs print it.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, `content-length` excepted.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
}
