//! What a request's host and stage say of its path: the path as the models write it.
//!
//! S3's clients put the bucket into the host's name, and those of WebSocket connections the stage before the path. Signatures
//! are over what was sent, so nothing here may be used before they are checked, but to find the operation.

use std::borrow::Cow;

use http::Method;
use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use wire::route::{self, Guess};
use wire::sigv4::service_of;
use wire::{Operation, Protocol, Request, Service};

use crate::Options;
use crate::arrival::Arrival;

/// Where a request is addressed.
#[derive(Debug)]
pub(crate) struct Addressed {
    /// The path with what the host says in front, if it is not the one sent.
    path: Option<String>,
    /// The store of objects, where the host or an unsigned path says that it is meant.
    store: Option<&'static Service>,
    /// The bucket that is meant, by a request for the store.
    bucket: Option<String>,
}

impl Addressed {
    pub(crate) fn of(arrival: &Arrival<'_>, options: &Options) -> Self {
        let (services, hosts) = (options.services, &options.hosts);
        let sent = &arrival.request.path;
        let nowhere = Self { path: None, store: None, bucket: None };
        let Some(store) = route::store(services) else { return nowhere };
        if let Some(place) = of_store(&arrival.host, hosts) {
            return Self::stored(with_bucket(place, sent), Some(store), sent);
        }
        let service = service_of(&arrival.request);
        let signed = service.as_deref().unwrap_or_default();
        if signed == store.signing_name {
            let path = parent(&arrival.host, hosts).and_then(|bucket| with_bucket(bucket, sent));
            return Self::stored(path, None, sent);
        }
        if signed == CONNECTIONS.0 {
            let path = sent.find(CONNECTIONS.1).filter(|at| *at > 0).map(|at| sent[at..].to_owned());
            return Self { path, ..nowhere };
        }
        // A link to an object is not signed: it says no more than the bucket's name.
        let by_name = signed.is_empty()
            && first(sent).is_some_and(|name| options.buckets.exists(name))
            && !is_anothers(services, &arrival.request);
        if by_name { Self::stored(None, Some(store), sent) } else { nowhere }
    }

    fn stored(path: Option<String>, store: Option<&'static Service>, sent: &str) -> Self {
        let bucket = first(path.as_deref().unwrap_or(sent)).map(str::to_owned);
        Self { path, store, bucket }
    }

    /// The bucket, of a request for the store.
    pub(crate) fn bucket(&self) -> Option<&str> {
        self.bucket.as_deref()
    }

    /// The store, of a request that is told to be for it by its host or path alone.
    pub(crate) fn store(&self) -> Option<&'static Service> {
        self.store
    }

    /// The path as codecs read it.
    pub(crate) fn path<'p>(&'p self, sent: &'p str) -> &'p str {
        self.path.as_deref().unwrap_or(sent)
    }

    /// Which operation the request is for.
    pub(crate) fn detect(&self, services: &[&'static Service], request: &Request) -> Guess {
        let request = match &self.path {
            Some(path) => Cow::Owned(Request { path: path.clone(), ..request.clone() }),
            None => Cow::Borrowed(request),
        };
        match self.store {
            Some(store) => route::detect_stored(store, &request),
            None => route::detect(services, &request),
        }
    }

    /// Gives a request, whose signature was checked, the path that codecs read.
    pub(crate) fn settle(self, request: &mut Request) {
        if let Some(path) = self.path {
            request.path = path;
        }
    }
}

/// Old clients of queues post a form to the queue's own URL, and some do not repeat it: `POST /000000000000/jobs`. The request's
/// signature was checked.
pub(crate) fn name_the_queue(request: &mut Request, protocol: Protocol, operation: &'static Operation) {
    if protocol != Protocol::Query || request.path.trim_matches('/').is_empty() {
        return;
    }
    let takes = operation.input_shape.members().iter().any(|member| member.name == QUEUE && member.required);
    let named = |form: &[u8]| form_urlencoded::parse(form).any(|(name, _)| name == QUEUE);
    if takes && !named(&request.body) && !named(request.query.as_bytes()) {
        let mut query = std::mem::take(&mut request.query);
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(QUEUE);
        query.push('=');
        query.extend(form_urlencoded::byte_serialize(request.path.as_bytes()));
        request.query = query;
    }
}

/// The parameter that names a queue.
const QUEUE: &str = "QueueUrl";

/// The first part of a path, if there is one.
fn first(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.split('/').next().filter(|name| !name.is_empty())
}

/// Whether a request, or the one that a browser asks about, is an operation of another service.
fn is_anothers(services: &[&'static Service], request: &Request) -> bool {
    let asked = request.headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| request.method == Method::OPTIONS);
    match asked.and_then(|method| Method::from_bytes(method.as_bytes()).ok()) {
        Some(method) => route::detect(services, &Request { method, ..request.clone() }).aws,
        None => route::detect(services, request).aws,
    }
}

/// What API Gateway's connections are signed for, and what follows their stage.
const CONNECTIONS: (&str, &str) = ("execute-api", "/@connections/");

/// The bucket in a host that is S3's by name, empty for S3's bare host; none if it is not: `b.s3.localhost`,
/// `b.s3.eu-west-1.amazonaws.com`, `s3-eu-west-1.amazonaws.com`.
pub(crate) fn of_store<'h>(host: &'h str, hosts: &[String]) -> Option<&'h str> {
    if hosts.iter().any(|known| known == host) {
        return None;
    }
    let is_label =
        |label: &str| label == "s3" || label.strip_prefix("s3-").is_some_and(|rest| !rest.starts_with("website"));
    // The bucket's own name may have such a part, so the last one counts. The host's last part is nobody's.
    let (before, _) = host.rsplit_once('.')?;
    let mut starts = before.rmatch_indices('.').map(|(at, _)| at + 1).chain([0]);
    let start = starts.find(|&start| is_label(before[start..].split('.').next().unwrap_or_default()))?;
    Some(host[..start].trim_end_matches('.'))
}

/// What stands before a name of this platform: `b` of `b.localhost`.
fn parent<'h>(host: &'h str, hosts: &[String]) -> Option<&'h str> {
    let names = hosts.iter().map(String::as_str).chain(["localhost", "localhost.localstack.cloud"]);
    names
        .filter_map(|name| host.strip_suffix(name)?.strip_suffix('.'))
        .filter(|bucket| !bucket.is_empty())
        .min_by_key(|it| it.len())
}

fn with_bucket(bucket: &str, path: &str) -> Option<String> {
    (!bucket.is_empty()).then(|| format!("/{bucket}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_a_store_are_told_by_their_name() {
        let known = ["s3.example.com".to_owned(), "build.lan".to_owned()];
        for (host, bucket) in [
            ("s3.localhost", Some("")),
            ("b.s3.localhost", Some("b")),
            ("a.b.s3.eu-west-1.amazonaws.com", Some("a.b")),
            ("my.s3.x.s3.localhost", Some("my.s3.x")),
            ("s3-eu-west-1.amazonaws.com", Some("")),
            ("b.s3-eu-west-1.amazonaws.com", Some("b")),
            ("b.s3-website-us-east-1.amazonaws.com", None),
            ("s3.example.com", None),
            ("s3", None),
            ("localhost", None),
            ("x.s3", None),
            ("127.0.0.1", None),
            ("abc.lambda-url.us-east-1.localhost", None),
            ("", None),
        ] {
            assert_eq!(of_store(host, &known), bucket, "{host}");
        }
        for (host, bucket) in [
            ("b.localhost", Some("b")),
            ("a.b.build.lan", Some("a.b")),
            ("b.localhost.localstack.cloud", Some("b")),
            ("localhost", None),
            ("notlocalhost", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(parent(host, &known), bucket, "{host}");
        }
    }
}
