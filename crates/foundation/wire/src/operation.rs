//! Operations and services as static data, and the messages codecs read and print.

use std::fmt;

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
    /// The operations that AWS has and the model leaves out, by name.
    pub others: &'static [Other],
    /// It once spoke the query protocol: errors in JSON and CBOR also name their query code.
    pub query_compatible: bool,
    /// restXml: an error is the root element (`<Error>`), as S3 has it, not wrapped in `<ErrorResponse>`.
    pub bare_errors: bool,
}

impl Service {
    /// A service of that name that speaks nothing yet: the rest is set by what is known of it.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            signing_name: name,
            target_prefix: "",
            version: "",
            xml_namespace: "",
            protocols: &[],
            operations: &[],
            others: &[],
            query_compatible: false,
            bare_errors: false,
        }
    }
}

/// An operation that AWS has and the model leaves out: its name, and the method and place of REST protocols (empty
/// otherwise). A place is a path template with query constants, the parameters it needs among them, and after `#` the
/// headers it needs: `/{Bucket}/{Key+}?partNumber&uploadId#x-amz-copy-source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other(pub &'static str, pub &'static str, pub &'static str);

/// One operation row: router, codecs, authorisation and the coverage table are all derived from it.
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
    /// restXml: the root element of the answer, if it is not the output shape's; empty otherwise.
    pub output_root: &'static str,
    /// restXml: the answer's root element is its only member (S3's GetBucketLocation).
    pub unwrapped: bool,
    /// The errors it declares.
    pub errors: &'static [&'static ErrorShape],
    /// The IAM action. Source: AWS service authorization reference.
    pub action: &'static str,
    /// The resource ARN's template ([`crate::resource`]); `*` when it has none. Source: the same.
    pub resource: &'static str,
}

impl Operation {
    /// Whether its input has a body that is read as it comes, and is no part of the typed value.
    pub fn streams(&self) -> bool {
        self.input_shape.members().iter().any(|member| member.streaming && member.location == crate::Location::Payload)
    }
}

/// By service and name: the rows of a service name each other in a circle.
impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service.name, self.name)
    }
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
