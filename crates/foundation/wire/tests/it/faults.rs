//! Faults and answers as clients see them.

use base::Fault;
use serde_json::{Value as Json, json};
use wire::{Protocol, Response};

use crate::sample;

fn body(response: &Response) -> Json {
    serde_json::from_slice(&response.body).unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn rest_json_prints_the_modelled_error_and_its_headers() {
    let fault = sample::too_many_requests("Rate Exceeded.")
        .with("Reason", "ReservedFunctionConcurrentInvocationLimitExceeded")
        .with("retryAfterSeconds", "1");
    let response = wire::encode_fault(Protocol::RestJson, Some(&sample::REST), &fault, "id-1");
    assert_eq!(response.status, 429);
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, "x-amzn-errortype"), "TooManyRequestsException");
    assert_eq!(header(&response, "x-amzn-requestid"), "id-1");
    assert_eq!(header(&response, "retry-after"), "1");
    let wanted = json!({"Type": "User", "message": "Rate Exceeded.", "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"});
    assert_eq!(body(&response), wanted);
}

#[test]
fn the_message_member_is_spelled_as_the_shape_spells_it() {
    let modelled = wire::encode_fault(Protocol::RestJson, Some(&sample::REST), &sample::not_found("no f"), "id");
    assert_eq!(body(&modelled), json!({"Type": "User", "Message": "no f"}));
    let general = wire::encode_fault(Protocol::RestJson, Some(&sample::REST), &Fault::validation("bad"), "id");
    assert_eq!(body(&general), json!({"message": "bad"}));
}

#[test]
fn aws_json_names_the_type_in_the_body() {
    let fault = sample::invalid_parameter("bad");
    let response = wire::encode_fault(Protocol::Json11, Some(&sample::JSON), &fault.header("x-extra", "1"), "id");
    assert_eq!(header(&response, "content-type"), "application/x-amz-json-1.1");
    assert_eq!(header(&response, "x-extra"), "1");
    assert_eq!(body(&response), json!({"__type": "InvalidParameterException", "message": "bad"}));
}

#[test]
fn query_prints_an_error_response_with_the_wire_code() {
    let fault = Fault::new("NoSuchEntityException", 404, "no <role>");
    let response = wire::encode_fault(Protocol::Query, Some(&sample::QUERY), &fault, "id");
    assert_eq!(header(&response, "content-type"), "text/xml");
    let text = String::from_utf8(response.body.to_vec()).unwrap();
    assert!(text.starts_with("<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">"));
    assert!(text.contains("<Type>Sender</Type>\n    <Code>NoSuchEntity</Code><Message>no &lt;role&gt;</Message>"));
    assert!(text.contains("<RequestId>id</RequestId>"));
}

#[test]
fn a_header_cannot_be_ended_by_its_value() {
    let fault = sample::too_many_requests("x").header("x-extra", "a\r\nset-cookie: b");
    let response = wire::encode_fault(Protocol::RestJson, Some(&sample::REST), &fault, "id");
    assert_eq!(header(&response, "x-extra"), "a%0D%0Aset-cookie: b");
}

#[test]
fn payloads_pass_as_they_are() {
    let bytes = bytes::Bytes::from_static(b"\x00not json\xff");
    let output = sample::InvocationResponse {
        status_code: Some(202),
        function_error: Some("Unhandled".into()),
        payload: Some(bytes.clone()),
    };
    let response = wire::encode(Protocol::RestJson, &sample::rest::INVOKE, &output, "id");
    assert_eq!((response.status, header(&response, "x-amz-function-error")), (202, "Unhandled"));
    assert_eq!(response.body.as_ptr(), bytes.as_ptr(), "the payload is shared, not copied");
    let empty = wire::encode(Protocol::RestJson, &sample::rest::TAG, &wire::Unit, "id");
    assert_eq!((empty.status, empty.body.len()), (204, 0));
}

#[test]
fn text_members_are_found_by_name() {
    let input = sample::full();
    assert_eq!(wire::text_member(&input, "FunctionName").as_deref(), Some("thumbnail"));
    assert_eq!(wire::text_member(&input, "Timeout").as_deref(), Some("30"));
    assert_eq!(wire::text_member(&input, "Publish"), None);
    assert_eq!(wire::text_member(&input, "KMSKeyArn"), None);
}
