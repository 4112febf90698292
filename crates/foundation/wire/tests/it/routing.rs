//! Which operation a request is for.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use wire::route::{self, Guess};
use wire::{Protocol, Request};

use crate::sample;

fn request(method: &str, target: &str, headers: &[(&'static str, &str)], body: &'static str) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    Request {
        method: method.parse().unwrap(),
        path: path.into(),
        query: query.into(),
        headers: map,
        body: Bytes::from_static(body.as_bytes()),
    }
}

fn detect(method: &str, target: &str, headers: &[(&'static str, &str)], body: &'static str) -> Guess {
    route::detect(sample::SERVICES, &request(method, target, headers, body))
}

fn named(guess: &Guess) -> String {
    match &guess.operation {
        Ok(operation) => format!("{}:{}", operation.service.name, operation.name),
        Err(fault) => format!("{} {}", fault.code, fault.message),
    }
}

const SIGNED: &str =
    "AWS4-HMAC-SHA256 Credential=AKID/20261121/eu-west-1/@/aws4_request, SignedHeaders=host, Signature=0";

#[test]
fn rest_paths_are_matched_most_specific_first() {
    for (method, target, wanted) in [
        ("POST", "/2015-03-31/functions", "lambda:CreateFunction"),
        ("POST", "/2015-03-31/functions/", "lambda:CreateFunction"),
        ("GET", "/2015-03-31/functions/f?Qualifier=1", "lambda:GetFunction"),
        ("POST", "/2015-03-31/functions/f/invocations", "lambda:Invoke"),
        ("GET", "/2018-10-31/layers?find=LayerVersion&Arn=x", "lambda:GetLayer"),
        ("GET", "/2018-10-31/layers?find=Other", "lambda:ListLayers"),
        ("GET", "/2018-10-31/layers", "lambda:ListLayers"),
    ] {
        let guess = detect(method, target, &[], "");
        assert_eq!(named(&guess), wanted, "{method} {target}");
        assert!(guess.aws);
    }
    let stranger = detect("GET", "/index.html", &[], "");
    assert!(!stranger.aws && stranger.service.is_none());
    let signed = detect("GET", "/2015-03-31/nothing", &[("authorization", &SIGNED.replace('@', "lambda"))], "");
    assert_eq!(signed.operation.as_ref().unwrap_err().code, "UnknownOperationException");
    assert_eq!(signed.service.unwrap().name, "lambda");
}

#[test]
fn targets_name_service_and_operation_and_content_types_the_version() {
    let kind = ("content-type", "application/x-amz-json-1.0");
    let guess = detect("POST", "/", &[("x-amz-target", "Logs_20140328.PutThing"), kind], "{}");
    assert_eq!((named(&guess).as_str(), guess.protocol), ("logs:PutThing", Protocol::Json10));
    let unknown = detect("POST", "/", &[("x-amz-target", "Logs_20140328.StartQuery")], "{}");
    assert!(named(&unknown).starts_with("NotImplemented Lambent does not implement logs:StartQuery"));
    assert_eq!((unknown.service.unwrap().name, unknown.protocol), ("logs", Protocol::Json11));
    let scoped = SIGNED.replace('@', "dynamodb");
    let other = detect("POST", "/", &[("x-amz-target", "DynamoDB_20120810.PutItem"), ("authorization", &scoped)], "{}");
    assert!(named(&other).contains("dynamodb:PutItem"));
}

#[test]
fn actions_are_read_from_forms_and_query_strings() {
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let guess = detect("POST", "/", &[form], "Action=CreateRole&Version=2010-05-08");
    assert_eq!((named(&guess).as_str(), guess.protocol), ("iam:CreateRole", Protocol::Query));
    let get = detect("GET", "/?Action=CreateRole&Version=2010-05-08", &[], "");
    assert_eq!(named(&get), "iam:CreateRole");
    let unknown = detect(
        "POST",
        "/",
        &[form, ("authorization", &SIGNED.replace('@', "iam"))],
        "Action=CreateGroup&Version=2010-05-08",
    );
    assert!(named(&unknown).contains("iam:CreateGroup"));
    let elsewhere = detect(
        "POST",
        "/",
        &[form, ("authorization", &SIGNED.replace('@', "rds"))],
        "Action=CreateRole&Version=2010-05-08",
    );
    assert!(named(&elsewhere).contains("rds:CreateRole"), "a scope we do not serve must not fall through");
    let site = detect("GET", "/page?Action=buy", &[], "");
    assert!(!site.aws);
}

#[test]
fn find_looks_in_one_service() {
    let get = request("GET", "/2015-03-31/functions/f", &[], "");
    assert_eq!(route::find(&sample::REST, &get).unwrap().name, "GetFunction");
    assert!(route::find(&sample::JSON, &get).is_none());
}

/// Operations that share a method and a path: what each cannot do without tells which is meant.
#[test]
fn what_an_operation_needs_tells_it_from_its_neighbours() {
    let authorization = SIGNED.replace('@', "s3");
    let signed = ("authorization", authorization.as_str());
    let at = |target: &str, headers: &[(&'static str, &str)]| named(&detect("PUT", target, headers, ""));
    assert_eq!(at("/b?rules", &[signed]), "s3:PutRules");
    assert_eq!(at("/b?rules=", &[signed]), "s3:PutRules");
    assert!(at("/b?rules&uploadId=1", &[signed]).contains("implement s3:PutPartOfRules"));
    assert!(at("/b?rules", &[signed, ("x-amz-copy-source", "/a/k")]).contains("implement s3:CopyRules"));
    // A query constant says more than what is missing besides.
    let incomplete = detect("GET", "/2018-10-31/layers?find=LayerVersion", &[], "");
    assert_eq!(named(&incomplete), "lambda:GetLayer");
}
