//! Forms that a web page posts to a bucket: an object's upload without a client of AWS's.
//!
//! Source: Amazon S3 API Reference, "Browser-based uploads using POST" and "POST policy". The fields before the file say what the object
//! is; a signed policy says what they may say. The file is handed on as it comes.

mod policy;

use base::{Account, Fault, Principal, Region};
use bytes::Bytes;
use door::{Body, Call, Input, Origin, Pieces, Reply};
use futures_util::stream;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use multer::{Field, Multipart};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use wire::sigv4::FormClaim;
use wire::{Operation, Protocol};

use crate::Gateway;
use crate::arrival::Arrival;
use crate::arriving::Arriving;
use crate::authenticate::Caller;
use crate::respond::{self, Outgoing, Response};
use policy::Policy;

/// Most bytes of the fields before the file, names included.
const FIELDS_BYTES: usize = 20 * 1024;
/// Most fields before the file.
const FIELDS: usize = 100;
/// What stays as it is in a URL.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// The fields before the file: names in lower case, in their order.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// A form's file, and what its part says of it.
struct File {
    name: String,
    content_type: Option<String>,
    field: Field<'static>,
}

fn argument(message: &str, name: &str, value: &str) -> Fault {
    Fault::new("InvalidArgument", 400, message).with("ArgumentName", name).with("ArgumentValue", value)
}

fn malformed() -> Fault {
    Fault::new("MalformedPOSTRequest", 400, "The body of your POST request is not well-formed multipart/form-data.")
}

impl Gateway {
    /// Whether a request is a form for a bucket: nothing else of AWS's is sent so.
    pub(crate) fn is_form(&self, arrival: &Arrival<'_>) -> bool {
        let Some(kind) = arrival.header(CONTENT_TYPE.as_str()) else { return false };
        if arrival.request.method != Method::POST || !kind.to_ascii_lowercase().starts_with("multipart/form-data") {
            return false;
        }
        let addressed = self.addressed(arrival);
        let path = addressed.path(&arrival.request.path).trim_matches('/');
        let bucket = !path.is_empty() && !path.contains('/');
        bucket && arrival.request.query.is_empty() && !arrival.request.headers.contains_key("x-amz-target")
    }

    /// Carries a form out.
    pub(crate) async fn form(&self, arrival: Arrival<'_>, body: Arriving) -> Response {
        let id = arrival.request_id;
        let from_page = arrival.header("origin").is_some();
        let store = wire::route::store(self.options.services);
        let response = match self.posted(arrival, body).await {
            Ok(response) => response,
            Err(fault) => {
                tracing::debug!(request = %id, %fault, "refused");
                respond::printed(wire::encode_fault(Protocol::RestXml, store, &fault, id.as_str()))
            }
        };
        if from_page { respond::readable_by_pages(response) } else { response }
    }

    async fn posted(&self, arrival: Arrival<'_>, body: Arriving) -> Result<Response, Fault> {
        let store = wire::route::store(self.options.services).ok_or_else(Fault::unknown_operation)?;
        let put = store.operations.iter().copied().find(|operation| operation.name == "PutObject");
        let put = put.ok_or_else(Fault::unknown_operation)?;
        let bucket = self.addressed(&arrival).path(&arrival.request.path).trim_matches('/').to_owned();
        let kind = arrival.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind).map_err(|_| malformed())?;
        let mut form = Multipart::new(self.pieces(body), boundary);
        let (fields, file) = fields(&mut form).await?;
        let file = file.ok_or_else(|| argument("POST requires exactly one file upload per request.", "file", "0"))?;
        let key = fields.get("key").ok_or_else(|| {
            let words = "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.";
            argument(words, "key", "")
        })?;
        let key = key.replace("${filename}", &file.name);
        let caller = self.form_caller(&arrival, &fields)?;
        let policy = match fields.get("policy") {
            Some(text) => Policy::read(text)?,
            None => Policy::default(),
        };
        policy.check(&fields, &bucket, &key, self.options.clocks.signing())?;
        let request = put_request(&fields, &bucket, &key, file.content_type.as_deref())?;
        let call = Call {
            principal: caller.principal,
            origin: caller.origin,
            via: arrival.connection.entrance.via,
            operation: put,
            trace: arrival.header("x-amzn-trace-id").map(str::to_owned),
            input: Input::Encoded(Protocol::RestXml, request),
            body: Body::Stream(within(file.field, policy.least_bytes, policy.most_bytes)),
            region: caller.region,
            request_id: arrival.request_id,
            deadline: None,
            depth: 0,
        };
        let dispatch = std::sync::Arc::clone(&self.options.dispatch);
        let done = tokio::spawn(async move { dispatch.call(call).await }).await;
        let reply = done.map_err(|broken| Fault::internal(format_args!("a call broke: {broken}")))??;
        Ok(answer(&arrival, put, reply, &fields, &bucket, &key))
    }

    /// Who posts: whom the key that signed the policy names, else whom an unsigned request would be believed to be.
    fn form_caller(&self, arrival: &Arrival<'_>, fields: &Fields) -> Result<Caller, Fault> {
        let mut caller = Caller {
            principal: Principal::Anonymous,
            region: Region::default_region(),
            origin: Origin { form: true, ..crate::authenticate::origin_of(arrival) },
        };
        let denied = || Fault::new("AccessDenied", 403, "Access Denied");
        let older = fields.get("awsaccesskeyid").zip(fields.get("signature"));
        let Some(signature) = fields.get("x-amz-signature").or(older.map(|(_, signature)| signature)) else {
            caller.principal = self.unproven(arrival, Account::DEFAULT, denied)?;
            return Ok(caller);
        };
        let field = |name: &'static str| {
            let words = format!(
                "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
            );
            fields.get(name).ok_or_else(|| argument(&words, name, ""))
        };
        let policy = field("policy")?;
        let token = fields.get("x-amz-security-token");
        let claim = match older {
            Some(_) => None,
            None => Some(FormClaim::of(field("x-amz-algorithm")?, field("x-amz-credential")?, signature, token)?),
        };
        if let Some(claim) = &claim {
            field("x-amz-date")?;
            caller.region = claim.scope.region.parse().unwrap_or_else(|()| Region::default_region());
        }
        let key_id = claim.as_ref().map_or_else(|| field("awsaccesskeyid"), |claim| Ok(&*claim.key_id))?.to_owned();
        let Some(credential) = self.options.keys.find(&key_id) else {
            let account = key_id.parse().unwrap_or(Account::DEFAULT);
            let unknown = || {
                let words = "The AWS Access Key Id you provided does not exist in our records.";
                Fault::new("InvalidAccessKeyId", 403, words).with("AWSAccessKeyId", key_id.clone())
            };
            caller.principal = self.unproven(arrival, account, unknown)?;
            return Ok(caller);
        };
        self.usable(arrival, &credential, credential.session_token.as_deref() == token)?;
        match claim {
            Some(claim) => claim.verify(&credential.secret, policy)?,
            None => wire::sigv2::verify(&credential.secret, policy, signature)?,
        }
        caller.origin.key_id = Some(key_id);
        caller.principal = credential.principal;
        Ok(caller)
    }
}

/// The fields before the file, and the file.
async fn fields(form: &mut Multipart<'static>) -> Result<(Fields, Option<File>), Fault> {
    let mut fields = Fields::default();
    let mut bytes = 0;
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_ascii_lowercase();
        if name == "file" {
            // Old browsers send a whole path.
            let file_name = field.file_name().unwrap_or_default();
            let name = file_name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
            let content_type = field.content_type().map(ToString::to_string);
            return Ok((fields, Some(File { name, content_type, field })));
        }
        let mut value = Vec::new();
        bytes += name.len();
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            bytes += piece.len();
            if bytes > FIELDS_BYTES {
                let words = "Your POST request fields preceeding the upload file was too large.";
                return Err(Fault::new("MaxPostPreDataLengthExceededError", 400, words)
                    .with("MaxPostPreDataLengthBytes", FIELDS_BYTES.to_string()));
            }
            value.extend_from_slice(&piece);
        }
        if fields.0.len() == FIELDS {
            return Err(malformed());
        }
        let value = String::from_utf8(value).map_err(|_| malformed())?;
        fields.0.push((name, value));
    }
    Ok((fields, None))
}

/// Why a form could not be read on.
fn broken(error: multer::Error) -> Fault {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<Fault>() {
            Ok(fault) => *fault,
            Err(_) => malformed(),
        },
        _ => malformed(),
    }
}

/// A file's bytes, which must be so many.
fn within(field: Field<'static>, least: u64, most: u64) -> Pieces {
    Box::pin(stream::unfold(Some((field, 0u64)), move |state| async move {
        let (mut field, mut came) = state?;
        match field.chunk().await {
            Ok(Some(piece)) => {
                came += piece.len() as u64;
                if came > most {
                    let words = "Your proposed upload exceeds the maximum allowed size";
                    let fault = Fault::new("EntityTooLarge", 400, words)
                        .with("ProposedSize", came.to_string())
                        .with("MaxSizeAllowed", most.to_string());
                    return Some((Err(fault), None));
                }
                Some((Ok(piece), Some((field, came))))
            }
            Ok(None) if came < least => {
                let words = "Your proposed upload is smaller than the minimum allowed size";
                let fault = Fault::new("EntityTooSmall", 400, words)
                    .with("ProposedSize", came.to_string())
                    .with("MinSizeAllowed", least.to_string());
                Some((Err(fault), None))
            }
            Ok(None) => None,
            Err(error) => Some((Err(broken(error)), None)),
        }
    }))
}

/// The request that puts the object.
fn put_request(fields: &Fields, bucket: &str, key: &str, content_type: Option<&str>) -> Result<wire::Request, Fault> {
    let mut headers = HeaderMap::new();
    let mut set = |name: &str, value: &str| {
        let wrong = || argument("A field of the form cannot be a header's value.", name, value);
        let (Ok(header), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) else {
            return Err(wrong());
        };
        headers.insert(header, value);
        Ok(())
    };
    if let Some(kind) = fields.get("content-type").or(content_type) {
        set("content-type", kind)?;
    }
    for (name, value) in &fields.0 {
        match name.as_str() {
            "acl" => set("x-amz-acl", value)?,
            "tagging" => set("x-amz-tagging", &tags(value)?)?,
            "cache-control" | "content-disposition" | "content-encoding" | "content-language" | "expires" => {
                set(name, value)?;
            }
            "x-amz-signature" | "x-amz-credential" | "x-amz-algorithm" | "x-amz-date" | "x-amz-security-token" => {}
            other if other.starts_with("x-amz-") => set(other, value)?,
            _ => {}
        }
    }
    Ok(wire::Request {
        method: Method::PUT,
        path: format!("/{bucket}/{}", utf8_percent_encode(key, URL)),
        query: String::new(),
        headers,
        body: Bytes::new(),
    })
}

/// The tags of a form, which are XML there, as the header has them.
fn tags(xml: &str) -> Result<String, Fault> {
    let wrong = || {
        let words = "The XML you provided was not well-formed or did not validate against our published schema";
        Fault::new("MalformedXML", 400, words)
    };
    let pairs = wire::pairs_of_xml(xml.as_bytes(), "Tag", ["Key", "Value"]).ok_or_else(wrong)?;
    let side = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = pairs.iter().map(|[key, value]| format!("{}={}", side(key), side(value)));
    Ok(pairs.collect::<Vec<_>>().join("&"))
}

/// What the page hears.
fn answer(
    arrival: &Arrival<'_>,
    put: &'static Operation,
    reply: Reply,
    fields: &Fields,
    bucket: &str,
    key: &str,
) -> Response {
    let id = arrival.request_id;
    let printed = wire::encode(Protocol::RestXml, put, &*reply.output, id.as_str());
    let mut headers = printed.headers;
    headers.remove(CONTENT_TYPE);
    let etag = headers.get("etag").and_then(|etag| etag.to_str().ok()).unwrap_or_default().to_owned();
    let shown = utf8_percent_encode(key, URL).to_string();
    let location = format!("http://{}/{bucket}/{shown}", arrival.authority);
    let redirect = fields.get("success_action_redirect").or(fields.get("redirect"));
    if let Some(to) = redirect
        && (to.starts_with("http://") || to.starts_with("https://"))
    {
        let query = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mark = if to.contains('?') { '&' } else { '?' };
        let to = format!("{to}{mark}bucket={}&key={}&etag={}", query(bucket), query(key), query(&etag));
        if let Ok(to) = HeaderValue::from_str(&to) {
            headers.insert(LOCATION, to);
            return respond::build(303, headers, Outgoing::Whole(None));
        }
    }
    if let Ok(location) = HeaderValue::from_str(&location) {
        headers.insert(LOCATION, location);
    }
    match fields.get("success_action_status") {
        Some("200") => respond::build(200, headers, Outgoing::Whole(None)),
        Some("201") => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            let body = wire::xml_document(
                "PostResponse",
                &[("Location", &location), ("Bucket", bucket), ("Key", key), ("ETag", &etag)],
            );
            respond::build(201, headers, Outgoing::Whole(Some(body)))
        }
        _ => respond::build(204, headers, Outgoing::Whole(None)),
    }
}
