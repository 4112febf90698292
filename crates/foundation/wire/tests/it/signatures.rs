//! Signatures: AWS's suite, and what is refused.

use base::Timestamp;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use wire::Request;
use wire::sigv4::{self, Kind, Signer};

use crate::vectors;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// 2015-08-30T12:36:00Z, the suite's moment.
fn noon() -> Timestamp {
    Timestamp::from_civil(2015, 8, 30, 12, 36, 0, 0)
}

/// A request as it stands in the suite's files, odd characters and folded headers included.
fn parse(raw: &str) -> Request {
    let (head, body) = raw.split_once("\n\n").unwrap_or((raw, ""));
    let mut lines = head.lines();
    let first = lines.next().unwrap();
    let (method, rest) = first.split_once(' ').unwrap();
    let target = rest.strip_suffix(" HTTP/1.1").unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (line.starts_with(' '), line.split_once(':')) {
            (false, Some((name, value))) => headers.push((name.to_owned(), value.to_owned())),
            // A folded line goes on with the value.
            _ => headers.last_mut().unwrap().1.push_str(line),
        }
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.trim().as_bytes()).unwrap(),
        );
    }
    Request {
        method: method.parse().unwrap(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: map,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

#[test]
fn the_suite_of_aws_verifies() {
    let Some(folder) = vectors::folder() else { return };
    let mut folders = vec![folder.join("auth/aws4_testsuite")];
    let (mut verified, mut failed) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|kind| kind != "sreq") {
                continue;
            }
            let mut request = parse(&std::fs::read_to_string(&path).unwrap());
            // Some signed requests hold a placeholder; the header by itself is always the real one.
            let header = std::fs::read_to_string(path.with_extension("authz")).unwrap();
            request.headers.insert("authorization", HeaderValue::from_str(header.trim()).unwrap());
            let claim = sigv4::parse(&request).unwrap().expect("it is signed");
            match claim.verify(&request, SECRET, noon()) {
                Ok(()) => verified += 1,
                Err(fault) => failed.push(format!("{}: {fault}", path.display())),
            }
        }
    }
    assert!(failed.is_empty(), "{verified} verified, failed:\n{}", failed.join("\n"));
    assert_eq!(verified, 34, "the suite is whole");
}

/// The examples of "Authenticating requests: using the Authorization header" and "… using query parameters" (Amazon S3 API
/// reference).
#[test]
fn the_examples_of_s3_verify() {
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let then = Timestamp::from_civil(2013, 5, 24, 0, 0, 0, 0);
    let verified = |raw: &str| verify(&parse(raw), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", then).unwrap();
    let signed = |target: &str, headers: &str, names: &str, signature: &str| {
        let credential = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
        format!(
            "{target} HTTP/1.1\nHost:examplebucket.s3.amazonaws.com\nx-amz-date:20130524T000000Z\n{headers}\nAuthorization: \
             AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}"
        )
    };
    let empty = format!("x-amz-content-sha256:{EMPTY}");
    let names = "host;x-amz-content-sha256;x-amz-date";
    verified(&signed(
        "GET /test.txt",
        &format!("{empty}\nRange:bytes=0-9"),
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ));
    let put = signed(
        "PUT /test%24file.text",
        "Date:Fri, 24 May 2013 00:00:00 GMT\nx-amz-storage-class:REDUCED_REDUNDANCY\n\
         x-amz-content-sha256:44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
    verified(&format!("{put}\n\nWelcome to Amazon S3."));
    verified(&signed(
        "GET /?lifecycle",
        &empty,
        names,
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ));
    verified(&signed(
        "GET /?max-keys=2&prefix=J",
        &empty,
        names,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ));
    verified(
        "GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F\
         aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=\
         aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1\nHost:examplebucket.s3.amazonaws.com",
    );
}

#[test]
fn s3_tells_what_it_signed() {
    let request = signed("s3");
    let fault = verify(&request, "wrong", noon()).unwrap_err();
    let field = |name: &str| fault.fields.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
    assert_eq!(field("AWSAccessKeyId"), Some("AKID"));
    assert!(field("StringToSign").unwrap().starts_with("AWS4-HMAC-SHA256\n20150830T123600Z\n"));
    assert!(field("CanonicalRequest").unwrap().starts_with("POST\n/2015-03-31/"));
    assert!(!fault.to_string().contains("AKID"), "what is logged says less");
}

fn invoke() -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("127.0.0.1:4566"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    Request {
        method: http::Method::POST,
        path: "/2015-03-31/functions/arn%3Aaws%3Alambda/invocations".into(),
        query: "Qualifier=%24LATEST&a=b%20c".into(),
        headers,
        body: Bytes::from_static(b"{\"key\":1}"),
    }
}

fn signed(service: &str) -> Request {
    let mut request = invoke();
    let signer = Signer { key_id: "AKID", secret: SECRET, token: Some("token"), region: "us-east-1", service };
    sigv4::sign(&mut request, &signer, noon());
    request
}

fn verify(request: &Request, secret: &str, now: Timestamp) -> Result<(), base::Fault> {
    sigv4::parse(request)?.expect("it is signed").verify(request, secret, now)
}

#[test]
fn what_our_client_signs_holds_until_a_byte_changes() {
    for service in ["lambda", "s3"] {
        let request = signed(service);
        verify(&request, SECRET, noon()).unwrap();
        assert_eq!(verify(&request, "another secret", noon()).unwrap_err().status, 403);
        let changes: [fn(&mut Request); 6] = [
            |request| request.method = http::Method::PUT,
            |request| request.path.push('x'),
            |request| request.query = "Qualifier=1&a=b%20c".into(),
            |request| request.body = Bytes::from_static(b"{\"key\":2}"),
            |request| drop(request.headers.insert("host", HeaderValue::from_static("elsewhere"))),
            |request| drop(request.headers.insert("x-amz-security-token", HeaderValue::from_static("other"))),
        ];
        for change in changes {
            let mut altered = request.clone();
            change(&mut altered);
            assert!(verify(&altered, SECRET, noon()).is_err(), "{altered:?}");
        }
    }
}

#[test]
fn s3_lets_the_client_name_the_hash_but_not_a_wrong_one() {
    let mut request = signed("s3");
    request.body = Bytes::from_static(b"other");
    assert_eq!(verify(&request, SECRET, noon()).unwrap_err().code, "XAmzContentSHA256Mismatch");
    request.headers.insert("x-amz-content-sha256", HeaderValue::from_static("STREAMING-SOMETHING"));
    assert_eq!(verify(&request, SECRET, noon()).unwrap_err().code, "InvalidArgument");
    request.headers.insert("x-amz-content-sha256", HeaderValue::from_static("UNSIGNED-PAYLOAD"));
    assert_eq!(verify(&request, SECRET, noon()).unwrap_err().code, "SignatureDoesNotMatch", "the word is signed too");
}

#[test]
fn a_header_of_s3_that_was_not_signed_is_refused() {
    let mut request = signed("s3");
    assert_eq!(verify(&request, SECRET, noon()), Ok(()));
    request.headers.insert("x-amz-copy-source", HeaderValue::from_static("/other/secret"));
    let fault = verify(&request, SECRET, noon()).unwrap_err();
    assert_eq!((&*fault.code, fault.status), ("AccessDenied", 403));
    assert_eq!(fault.fields, [("HeadersNotSigned", "x-amz-copy-source".to_owned())]);
    // Whatever else the request looks like.
    request.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    assert_eq!(verify(&request, SECRET, noon()).unwrap_err().fields, fault.fields);
    // Elsewhere headers of AWS's carry no commands.
    let mut request = signed("lambda");
    request.headers.insert("x-amz-copy-source", HeaderValue::from_static("/other/secret"));
    assert_eq!(verify(&request, SECRET, noon()), Ok(()));
}

#[test]
fn a_date_outside_fifteen_minutes_is_refused_in_aws_words() {
    let request = signed("lambda");
    verify(&request, SECRET, noon().plus_ms(900_000)).unwrap();
    verify(&request, SECRET, noon().plus_ms(-900_000)).unwrap();
    let late = verify(&request, SECRET, noon().plus_ms(901_000)).unwrap_err();
    assert_eq!(late.code, "InvalidSignatureException");
    assert_eq!(
        late.message,
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"
    );
    let early = verify(&request, SECRET, noon().plus_ms(-901_000)).unwrap_err();
    assert!(
        early.message.starts_with("Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z")
    );
}

#[test]
fn a_bad_signature_is_named_as_the_kind_of_service_names_it() {
    let code = |request: &Request| verify(request, "wrong", noon()).unwrap_err();
    let rest = code(&signed("lambda"));
    assert_eq!((&*rest.code, rest.status), ("InvalidSignatureException", 403));
    assert!(
        rest.message
            .starts_with("The request signature we calculated does not match the signature you provided. Check")
    );
    assert_eq!(code(&signed("s3")).code, "SignatureDoesNotMatch");
    let mut json = signed("logs");
    json.headers.insert("x-amz-target", HeaderValue::from_static("Logs_20140328.CreateLogGroup"));
    assert_eq!((&*code(&json).code, code(&json).status), ("InvalidSignatureException", 400));
    let mut query = signed("sts");
    query.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
    assert_eq!((&*code(&query).code, code(&query).status), ("SignatureDoesNotMatch", 403));
    assert_eq!(sigv4::unknown_key(&query).code, "InvalidClientTokenId");
    assert_eq!(sigv4::unknown_key(&json).code, "UnrecognizedClientException");
    assert_eq!(sigv4::missing(&invoke()).code, "MissingAuthenticationTokenException");
}

#[test]
fn the_session_token_must_be_the_keys() {
    let claim = sigv4::parse(&signed("lambda")).unwrap().unwrap();
    assert!(claim.token_is(Some("token")));
    assert!(!claim.token_is(Some("tokem")));
    assert!(!claim.token_is(None));
}

#[test]
fn half_a_signature_is_incomplete() {
    let mut request = invoke();
    assert_eq!(sigv4::parse(&request), Ok(None));
    request.headers.insert("authorization", HeaderValue::from_static("AWS4-HMAC-SHA256 Credential=a/b"));
    let fault = sigv4::parse(&request).unwrap_err();
    assert_eq!(fault.code, "IncompleteSignatureException");
    assert_eq!(
        fault.message,
        "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. \
         Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256"
    );
}

/// botocore 1.44.5's `generate_presigned_url` for these keys at the suite's moment.
#[test]
fn a_presigned_url_holds_until_it_expires() {
    let request = presigned();
    let claim = sigv4::parse(&request).unwrap().unwrap();
    assert_eq!(claim.kind, Kind::Query { expires_s: 3600 });
    claim.verify(&request, SECRET, noon()).unwrap();
    claim.verify(&request, SECRET, noon().plus_ms(3_600_000)).unwrap();
    assert_eq!(claim.verify(&request, SECRET, noon().plus_ms(3_601_000)).unwrap_err().code, "RequestExpired");
    let mut longer = request.clone();
    longer.query = longer.query.replace("3600", "3601");
    assert!(verify(&longer, SECRET, noon()).is_err());
    longer.query = longer.query.replace("3601", "604801");
    assert!(sigv4::parse(&longer).is_err());
}

fn presigned() -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("sts.us-east-1.amazonaws.com"));
    Request { method: http::Method::GET, path: "/".into(), query: PRESIGNED.into(), headers, body: Bytes::new() }
}

const PRESIGNED: &str = "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Security-Token=a%2Ftoken%2Bwith%3Dodd&X-Amz-Signature=90a8ba7b7dc7ab8d076c26743633dca70ee38af52e138911a36fcff528e7305e";
