//! Which service, which protocol, which operation: decided per request, from what the request itself says.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use base::Fault;
use http::HeaderName;
use http::header::CONTENT_TYPE;

use crate::cbor::PROTOCOL;
use crate::rest::template::{self, Segment};
use crate::sigv4::service_of;
use crate::{Location, Operation, Other, Protocol, Request, Service};

// Names made once: a request's headers are asked for them again and again.
static TARGET: HeaderName = HeaderName::from_static("x-amz-target");
static SMITHY_PROTOCOL: HeaderName = HeaderName::from_static(PROTOCOL.0);

/// What a request says of itself.
#[derive(Debug, Clone)]
pub struct Guess {
    /// Whose it is; none when nothing in the request names a service we model.
    pub service: Option<&'static Service>,
    /// The protocol to answer in, also when the operation is unknown.
    pub protocol: Protocol,
    /// Whether anything marks it as an AWS API request: a target, an action, a credential scope or a path we model.
    /// A request without is a browser's or a webhook's.
    pub aws: bool,
    /// The operation, or the fault to answer.
    pub operation: Result<&'static Operation, Fault>,
}

/// Decides where a request belongs. The body is looked at only when it is a form.
pub fn detect(services: &[&'static Service], request: &Request) -> Guess {
    let service = service_of(request);
    let signed = service.as_deref();
    // An object may be a form, and its headers anything.
    let stored = store(services).filter(|store| signed == Some(store.signing_name));
    if stored.is_some() {
        by_path(services, signed, request)
    } else if is_cbor(request) {
        by_operation_path(services, signed, request)
    } else if let Some(target) = text_header(request, &TARGET) {
        by_target(services, target, signed, request)
    } else if let Some((action, version)) = action(request) {
        by_action(services, &action, version.as_deref(), signed)
    } else {
        by_path(services, signed, request)
    }
}

/// The same for a request that a store of objects gets at a host of its own: it need not be signed.
pub fn detect_stored(store: &'static Service, request: &Request) -> Guess {
    by_path(&[store], Some(store.signing_name), request)
}

/// The service that takes every path for its own: a store of objects.
pub fn store(services: &[&'static Service]) -> Option<&'static Service> {
    services.iter().copied().find(|service| service.bare_errors)
}

/// The service's operation that the request addresses, if it is modelled.
pub fn find(service: &'static Service, request: &Request) -> Option<&'static Operation> {
    if is_cbor(request) {
        let (_, name) = operation_path(&request.path)?;
        return named(service, name);
    }
    if let Some(target) = text_header(request, &TARGET) {
        let (_, name) = target.rsplit_once('.')?;
        return named(service, name);
    }
    if let Some((action, _)) = action(request) {
        return named(service, &action);
    }
    match routes(service).find(request)? {
        Target::Ours(operation) => Some(operation),
        Target::Other(_) => None,
    }
}

fn text_header<'r>(request: &'r Request, name: &HeaderName) -> Option<&'r str> {
    request.headers.get(name)?.to_str().ok()
}

fn named(service: &'static Service, name: &str) -> Option<&'static Operation> {
    service.operations.iter().copied().find(|operation| operation.name == name)
}

fn speaks(service: &Service, protocol: Protocol) -> bool {
    service.protocols.contains(&protocol)
}

fn guess(service: Option<&'static Service>, protocol: Protocol, operation: Result<&'static Operation, Fault>) -> Guess {
    Guess { service, protocol, aws: true, operation }
}

/// The named operation, or why there is none: AWS has it and the model has not, or nobody has it.
fn named_or_fault(
    service: &'static Service,
    protocol: Protocol,
    name: &str,
    version: Option<&str>,
) -> Result<&'static Operation, Fault> {
    named(service, name).ok_or_else(|| {
        if service.others.iter().any(|other| other.0 == name) {
            return Fault::not_implemented(format_args!("{}:{name}", service.name));
        }
        unknown(service, protocol, name, version.unwrap_or(service.version))
    })
}

/// What a service says of an operation that it does not have.
fn unknown(service: &'static Service, protocol: Protocol, name: &str, version: &str) -> Fault {
    match protocol {
        Protocol::Json10 | Protocol::Json11 => Fault::new("UnknownOperationException", 400, ""),
        Protocol::Query => {
            Fault::new("InvalidAction", 400, format!("Could not find operation {name} for version {version}"))
        }
        Protocol::Ec2Query => {
            Fault::new("InvalidAction", 400, format!("The action {name} is not valid for this web service."))
        }
        Protocol::RestXml if service.bare_errors => {
            Fault::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
        }
        Protocol::RestJson | Protocol::RestXml | Protocol::Cbor => Fault::unknown_operation(),
    }
}

fn is_cbor(request: &Request) -> bool {
    text_header(request, &SMITHY_PROTOCOL) == Some(PROTOCOL.1)
}

/// The service and operation of `/service/GraniteServiceVersion20100801/operation/GetMetricData`, whatever stands before.
fn operation_path(path: &str) -> Option<(&str, &str)> {
    let (_, rest) = path.rsplit_once("/service/")?;
    let (service, name) = rest.split_once("/operation/")?;
    Some((service, name.strip_suffix('/').unwrap_or(name)))
}

/// rpcv2Cbor.
fn by_operation_path(services: &[&'static Service], signed: Option<&str>, request: &Request) -> Guess {
    let Some((prefix, name)) = operation_path(&request.path) else {
        return guess(None, Protocol::Cbor, Err(Fault::unknown_operation()));
    };
    let service = services.iter().copied().find(|service| !prefix.is_empty() && service.target_prefix == prefix);
    let Some(service) = service.filter(|service| speaks(service, Protocol::Cbor)) else {
        let fault = Fault::not_implemented(format_args!("{}:{name}", signed.unwrap_or(prefix)));
        return guess(None, Protocol::Cbor, Err(fault));
    };
    guess(Some(service), Protocol::Cbor, named_or_fault(service, Protocol::Cbor, name, None))
}

/// awsJson: `X-Amz-Target: Logs_20140328.CreateLogGroup`.
fn by_target(services: &[&'static Service], target: &str, signed: Option<&str>, request: &Request) -> Guess {
    let (prefix, name) = target.rsplit_once('.').unwrap_or(("", target));
    let service = services.iter().copied().find(|service| !prefix.is_empty() && service.target_prefix == prefix);
    let content_type = text_header(request, &CONTENT_TYPE).unwrap_or_default();
    let protocol = if content_type.contains("x-amz-json-1.0") {
        Protocol::Json10
    } else if content_type.contains("x-amz-json-1.1") {
        Protocol::Json11
    } else {
        let json = |protocol: &&Protocol| matches!(protocol, Protocol::Json10 | Protocol::Json11);
        service.and_then(|service| service.protocols.iter().find(json)).copied().unwrap_or(Protocol::Json11)
    };
    let Some(service) = service else {
        let fault = Fault::not_implemented(format_args!("{}:{name}", signed.unwrap_or(prefix)));
        return guess(None, protocol, Err(fault));
    };
    guess(Some(service), protocol, named_or_fault(service, protocol, name, None))
}

/// The `Action` and `Version` of a query request.
fn action(request: &Request) -> Option<(String, Option<String>)> {
    let form =
        text_header(request, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let body: &[u8] = if form { &request.body } else { &[] };
    if body.is_empty() && request.query.is_empty() {
        return None;
    }
    let (mut action, mut version) = (None, None);
    for (name, value) in form_urlencoded::parse(body).chain(form_urlencoded::parse(request.query.as_bytes())) {
        match &*name {
            "Action" if action.is_none() => action = Some(value.into_owned()),
            "Version" if version.is_none() => version = Some(value.into_owned()),
            _ => {}
        }
    }
    // A function behind a URL may have an Action parameter of its own: a query request also names its version, or is a form.
    action.filter(|_| form || version.is_some()).map(|action| (action, version))
}

/// The query protocol that a service speaks, if it speaks one.
fn query_protocol(service: &Service) -> Option<Protocol> {
    service.protocols.iter().copied().find(|protocol| matches!(protocol, Protocol::Query | Protocol::Ec2Query))
}

fn by_action(services: &[&'static Service], action: &str, version: Option<&str>, signed: Option<&str>) -> Guess {
    let all = || services.iter().copied().filter(|service| query_protocol(service).is_some());
    let of_version = |service: &&'static Service| version.is_none_or(|it| it == service.version);
    let found = match signed {
        // Two versions of a service may share a name. The scope of a service we do not have must not fall through.
        Some(signed) => {
            let mut scoped = all().filter(|service| service.signing_name == signed);
            scoped.clone().find(of_version).or_else(|| scoped.next())
        }
        // Without a scope the version tells the services apart.
        None => {
            let mut fitting = all().filter(of_version);
            fitting
                .clone()
                .find(|service| named(service, action).is_some())
                .or_else(|| fitting.next().filter(|_| version.is_some()))
        }
    };
    let Some((service, protocol)) = found.and_then(|service| Some((service, query_protocol(service)?))) else {
        let fault = Fault::not_implemented(format_args!("{}:{action}", signed.unwrap_or("query")));
        let protocol = if signed == Some("ec2") { Protocol::Ec2Query } else { Protocol::Query };
        return guess(None, protocol, Err(fault));
    };
    guess(Some(service), protocol, named_or_fault(service, protocol, action, version))
}

/// REST: method and path.
fn by_path(services: &[&'static Service], signed: Option<&str>, request: &Request) -> Guess {
    let rest = |service: &Service| {
        service.protocols.iter().copied().find(|it| matches!(it, Protocol::RestJson | Protocol::RestXml))
    };
    // A store of objects takes every path for its own, so only a signature leads there.
    let fits = |service: &Service| signed.map_or(!service.bare_errors, |signed| service.signing_name == signed);
    let mut candidates = services.iter().copied().filter(|service| fits(service));
    let first = candidates.clone().next();
    for service in candidates.clone() {
        let Some(protocol) = rest(service) else { continue };
        match routes(service).find(request) {
            Some(Target::Ours(operation)) => return guess(Some(service), protocol, Ok(operation)),
            Some(Target::Other(other)) => {
                let fault = Fault::not_implemented(format_args!("{}:{}", service.name, other.0));
                return guess(Some(service), protocol, Err(fault));
            }
            None => {}
        }
    }
    let (Some(signed), Some(first)) = (signed, first) else {
        return match signed {
            Some(signed) => {
                let fault = Fault::not_implemented(format_args!("the service {signed}"));
                guess(None, Protocol::RestJson, Err(fault))
            }
            None => Guess { aws: false, ..guess(None, Protocol::RestJson, Err(Fault::unknown_operation())) },
        };
    };
    let service = candidates.find(|service| rest(service).is_some()).unwrap_or(first);
    let protocol = rest(service).or(service.protocols.first().copied()).unwrap_or(Protocol::RestJson);
    let fault = match protocol {
        Protocol::Query | Protocol::Ec2Query => {
            Fault::new("MissingAction", 400, "The request is missing an action or a required parameter.")
        }
        protocol => unknown(service, protocol, signed, service.version),
    };
    guess(Some(service), protocol, Err(fault))
}

/// An operation of a REST service, modelled or not.
#[derive(Clone, Copy)]
enum Target {
    Ours(&'static Operation),
    Other(&'static Other),
}

/// How a request for an operation looks. Several may share a method and a path; what they need tells them apart: a part of
/// an upload goes where the object would, but for its `partNumber`.
struct Route {
    method: &'static str,
    uri: &'static str,
    // What every path that fits begins with, and how many segments it has.
    start: &'static str,
    count: Option<usize>,
    // The parameters and headers it cannot do without.
    query: Vec<&'static str>,
    headers: Vec<&'static str>,
    // How specific its template is.
    rank: Rank,
    target: Target,
}

/// A template's segments from literal to greedy, and the number of its query constants: more go first.
type Rank = (Vec<u8>, Reverse<usize>);

impl Route {
    fn ours(operation: &'static Operation) -> Self {
        let needed = |location: Location| {
            let members = operation.input_shape.members().iter();
            members.filter(|member| member.required && member.location == location).map(|member| member.wire).collect()
        };
        let (query, headers) = (needed(Location::Query), needed(Location::Header));
        let (method, uri) = (operation.method, operation.uri);
        let (start, count, rank) = (template::start(uri), template::count(uri), specificity(uri));
        Self { method, uri, start, count, query, headers, rank, target: Target::Ours(operation) }
    }

    fn other(other: &'static Other) -> Self {
        let Other(_, method, place) = other;
        let (uri, headers) = place.split_once('#').unwrap_or((place, ""));
        let headers = headers.split(',').filter(|name| !name.is_empty()).collect();
        let (start, count, rank) = (template::start(uri), template::count(uri), specificity(uri));
        Self { method, uri, start, count, query: Vec::new(), headers, rank, target: Target::Other(other) }
    }

    /// Whether a request has its method, path (of so many segments) and query constants.
    fn fits(&self, request: &Request, count: usize) -> bool {
        // What is told quickly goes first: a service has a hundred routes.
        self.count.is_none_or(|of_ours| of_ours == count)
            && request.path.starts_with(self.start)
            && self.method == request.method.as_str()
            && template::matches(self.uri, &request.path)
            && template::constants(self.uri).all(|(key, value)| has(&request.query, key, value))
    }

    /// Whether a request has what it needs besides.
    fn is_served(&self, request: &Request) -> bool {
        self.query.iter().all(|name| has(&request.query, name, None))
            && self.headers.iter().all(|name| request.headers.contains_key(*name))
    }
}

/// A REST service's operations, most specific first. Those that the model leaves out are among them: a request for one
/// must not be taken for another's.
struct Routes(Vec<Route>);

impl Routes {
    fn new(service: &'static Service) -> Self {
        let ours = service.operations.iter().copied().map(Route::ours);
        let others = service.others.iter().filter(|other| !other.2.is_empty()).map(Route::other);
        let mut all: Vec<Route> = ours.chain(others).collect();
        all.sort_by(|a, b| {
            let needs = |route: &Route| Reverse(route.query.len() + route.headers.len());
            a.rank.cmp(&b.rank).then_with(|| needs(a).cmp(&needs(b)))
        });
        Self(all)
    }

    /// Of the most specific operations that fit, the one that has all it needs, else the one that needs least: it will say
    /// what is missing.
    fn find(&self, request: &Request) -> Option<Target> {
        let count = template::count_in(&request.path);
        let mut best: Option<&Route> = None;
        for route in self.0.iter().filter(|route| route.fits(request, count)) {
            if best.is_some_and(|best| best.rank != route.rank) {
                break;
            }
            if route.is_served(request) {
                return Some(route.target);
            }
            best = Some(route);
        }
        best.map(|route| route.target)
    }
}

/// Orders templates: at the first segment that differs a literal goes before a label and a label before a greedy one;
/// more query constants go first.
fn specificity(uri: &str) -> Rank {
    let ranks = template::segments(uri).map(|segment| match segment {
        Segment::Literal(_) => 0,
        Segment::Label(_) => 1,
        Segment::Greedy(_) => 2,
    });
    (ranks.collect(), Reverse(template::constants(uri).count()))
}

fn has(query: &str, key: &str, value: Option<&str>) -> bool {
    form_urlencoded::parse(query.as_bytes())
        .any(|(name, found)| name == key && value.is_none_or(|value| found == value))
}

/// The routes of a service, made at its first request. They live as long as the service's own static.
fn routes(service: &'static Service) -> &'static Routes {
    static ALL: OnceLock<RwLock<HashMap<usize, &'static Routes>>> = OnceLock::new();
    let all = ALL.get_or_init(RwLock::default);
    let key = std::ptr::from_ref(service).addr();
    let known = all.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
    known.unwrap_or_else(|| {
        let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(key).or_insert_with(|| Box::leak(Box::new(Routes::new(service))))
    })
}
