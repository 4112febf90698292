//! Which service, which protocol, which operation: decided per request, from what the request itself says.

use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use base::Fault;

use crate::rest::template::{self, Segment};
use crate::sigv4::Scope;
use crate::{Operation, Protocol, Request, Service};

/// What a request says of itself.
#[derive(Debug, Clone)]
pub struct Guess {
    /// Whose it is; none when nothing in the request names a service we model.
    pub service: Option<&'static Service>,
    /// The protocol to answer in, also when the operation is unknown.
    pub protocol: Protocol,
    /// The credential scope's region, if the request is signed.
    pub region: Option<String>,
    /// Whether anything marks it as an AWS API request: a target, an action, a credential scope or a path we model.
    /// A request without is a browser's or a webhook's.
    pub aws: bool,
    /// The operation, or the fault to answer.
    pub operation: Result<&'static Operation, Fault>,
}

/// Decides where a request belongs. The body is looked at only when it is a form.
pub fn detect(services: &[&'static Service], request: &Request) -> Guess {
    let scope = Scope::of(request);
    let signed = scope.as_ref().map(|scope| scope.service.as_str());
    let mut guess = if let Some(target) = text_header(request, "x-amz-target") {
        by_target(services, target, signed, request)
    } else if let Some((action, version)) = action(request) {
        by_action(services, &action, version.as_deref(), signed)
    } else {
        by_path(services, signed, request)
    };
    guess.region = scope.map(|scope| scope.region);
    guess
}

/// The service's operation that the request addresses, if it is modelled.
pub fn find(service: &'static Service, request: &Request) -> Option<&'static Operation> {
    if let Some(target) = text_header(request, "x-amz-target") {
        let (_, name) = target.rsplit_once('.')?;
        return named(service, name);
    }
    if let Some((action, _)) = action(request) {
        return named(service, &action);
    }
    routes(service).find(request)
}

fn text_header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.headers.get(name)?.to_str().ok()
}

fn named(service: &'static Service, name: &str) -> Option<&'static Operation> {
    service.operations.iter().copied().find(|operation| operation.name == name)
}

fn speaks(service: &Service, protocol: Protocol) -> bool {
    service.protocols.contains(&protocol)
}

fn guess(service: Option<&'static Service>, protocol: Protocol, operation: Result<&'static Operation, Fault>) -> Guess {
    Guess { service, protocol, region: None, aws: true, operation }
}

/// awsJson: `X-Amz-Target: Logs_20140328.CreateLogGroup`.
fn by_target(services: &[&'static Service], target: &str, signed: Option<&str>, request: &Request) -> Guess {
    let content_type = text_header(request, "content-type").unwrap_or_default();
    let protocol = if content_type.contains("x-amz-json-1.0") { Protocol::Json10 } else { Protocol::Json11 };
    let (prefix, name) = target.rsplit_once('.').unwrap_or(("", target));
    let service = services.iter().copied().find(|service| !prefix.is_empty() && service.target_prefix == prefix);
    let Some(service) = service else {
        let fault = Fault::not_implemented(format_args!("{}:{name}", signed.unwrap_or(prefix)));
        return guess(None, protocol, Err(fault));
    };
    let operation = named(service, name).ok_or_else(|| Fault::not_implemented(format_args!("{}:{name}", service.name)));
    guess(Some(service), protocol, operation)
}

/// The `Action` and `Version` of a query request.
fn action(request: &Request) -> Option<(String, Option<String>)> {
    let form =
        text_header(request, "content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let body: &[u8] = if form { &request.body } else { &[] };
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

fn by_action(services: &[&'static Service], action: &str, version: Option<&str>, signed: Option<&str>) -> Guess {
    let query = |service: &&'static Service| speaks(service, Protocol::Query);
    let by_scope = services.iter().copied().find(|service| Some(service.signing_name) == signed);
    let by_version = || {
        let of_version = |service: &&'static Service| query(service) && version.is_none_or(|it| it == service.version);
        let mut all = services.iter().copied().filter(of_version);
        all.clone()
            .find(|service| named(service, action).is_some())
            .or_else(|| all.next().filter(|_| version.is_some()))
    };
    // Without a scope the version tells the services apart; the scope of a service we do not have must not fall through.
    let service = if signed.is_some() { by_scope } else { by_version() };
    let Some(service) = service.filter(query) else {
        return guess(
            None,
            Protocol::Query,
            Err(Fault::not_implemented(format_args!("{}:{action}", signed.unwrap_or("query")))),
        );
    };
    let operation =
        named(service, action).ok_or_else(|| Fault::not_implemented(format_args!("{}:{action}", service.name)));
    guess(Some(service), Protocol::Query, operation)
}

/// REST: method and path.
fn by_path(services: &[&'static Service], signed: Option<&str>, request: &Request) -> Guess {
    if let Some(signed) = signed {
        let Some(service) = services.iter().copied().find(|service| service.signing_name == signed) else {
            let fault = Fault::not_implemented(format_args!("the service {signed}"));
            return guess(None, Protocol::RestJson, Err(fault));
        };
        let protocol = service.protocols.first().copied().unwrap_or(Protocol::RestJson);
        let operation = match protocol {
            Protocol::RestJson | Protocol::RestXml => {
                routes(service).find(request).ok_or_else(Fault::unknown_operation)
            }
            Protocol::Query => {
                Err(Fault::new("MissingAction", 400, "The request is missing an action or a required parameter."))
            }
            _ => Err(Fault::unknown_operation()),
        };
        return guess(Some(service), protocol, operation);
    }
    let rest = services.iter().copied().filter(|service| speaks(service, Protocol::RestJson));
    for service in rest {
        if let Some(operation) = routes(service).find(request) {
            return guess(Some(service), Protocol::RestJson, Ok(operation));
        }
    }
    Guess { aws: false, ..guess(None, Protocol::RestJson, Err(Fault::unknown_operation())) }
}

/// A REST service's operations, most specific first.
struct Routes(Vec<&'static Operation>);

impl Routes {
    fn new(service: &'static Service) -> Self {
        let mut rows: Vec<_> = service.operations.to_vec();
        rows.sort_by_key(|operation| specificity(operation.uri));
        Self(rows)
    }

    fn find(&self, request: &Request) -> Option<&'static Operation> {
        let fits = |operation: &Operation| {
            operation.method == request.method.as_str()
                && template::labels(operation.uri, &request.path).is_some()
                && template::constants(operation.uri).all(|(key, value)| has(&request.query, key, value))
        };
        self.0.iter().copied().find(|operation| fits(operation))
    }
}

/// Orders templates: at the first segment that differs a literal goes before a label and a label before a greedy one;
/// more query constants go first.
fn specificity(uri: &str) -> (Vec<u8>, std::cmp::Reverse<usize>) {
    let ranks = template::segments(uri).map(|segment| match segment {
        Segment::Literal(_) => 0,
        Segment::Label(_) => 1,
        Segment::Greedy(_) => 2,
    });
    (ranks.collect(), std::cmp::Reverse(template::constants(uri).count()))
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
