//! An API made ready for requests: once, when it has changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base::{Fault, Region};
use store::Kv;

use super::log::Log;
use super::throttle::{Bucket, Buckets};
use super::verdicts::Verdicts;
use crate::rules::mapping::{self, Changes, Of};
use crate::rules::selection::Selection;
use crate::rules::table::Table;
use crate::rules::{function, path, variables};
use crate::state;
use crate::types::{Api, Authorization, Authorizer, By, Cors, Frozen, Integration, Kind, Route, Stage};

/// An API with its stages made ready.
pub(crate) struct Live {
    pub(crate) api: Api,
    stages: HashMap<String, Serving>,
    // What authorizers said, while it counts.
    pub(crate) verdicts: Verdicts,
}

/// A stage that answers.
pub(super) struct Serving {
    pub(super) name: String,
    pub(super) variables: BTreeMap<String, String>,
    // Stages of one deployment share it.
    pub(super) content: Arc<Content>,
    // Of each route, in their order: how often it may be called.
    buckets: Vec<Option<Arc<Bucket>>>,
    pub(super) log: Option<Log>,
}

/// What a deployment answers with.
#[derive(Default)]
pub(super) struct Content {
    pub(super) cors: Option<Cors>,
    pub(super) table: Table,
    // In the table's order.
    pub(super) routes: Vec<Ready>,
    // What requests take that no route takes.
    pub(super) nowhere: Ready,
}

/// A route with its integration.
pub(super) struct Ready {
    pub(super) key: String,
    pub(super) guard: Guard,
    pub(super) target: Option<Arc<Target>>,
}

impl Default for Ready {
    fn default() -> Self {
        Self { key: "-".into(), guard: Guard::Open, target: None }
    }
}

/// Who decides about a request.
pub(super) enum Guard {
    /// Nobody: anyone may.
    Open,
    /// Policies.
    Iam,
    /// A token, which has one of these scopes if there are any.
    Token(Arc<Judge>, Vec<String>),
    /// A function.
    Function(Arc<Judge>),
    /// An authorizer that is not there: nobody may.
    Shut,
}

/// An authorizer.
pub(super) struct Judge {
    pub(super) id: String,
    pub(super) identity: Vec<Selection>,
    pub(super) by: Judging,
}

/// By what an authorizer decides.
pub(super) enum Judging {
    Token { issuer: String, audience: Vec<String> },
    Function { function: Called, payload: Payload, ttl_s: i64, simple: bool },
}

/// An integration.
pub(super) struct Target {
    pub(super) to: To,
    pub(super) timeout: Duration,
    pub(super) of_request: Changes,
    // By the answer's status.
    pub(super) of_answer: BTreeMap<u16, Changes>,
}

/// Where an integration leads.
pub(super) enum To {
    /// To a function.
    Function(Called, Payload),
    /// To a URL, by this method, or the request's own.
    Url { uri: String, method: Option<http::Method> },
}

/// A function by its URI.
pub(super) struct Called {
    uri: String,
    // The role that calls it: its ARN.
    pub(super) role: Option<String>,
    // Where the URI says it without a stage's variables.
    function: Option<Function>,
}

/// A function that is called.
#[derive(Debug, Clone)]
pub(super) struct Function {
    pub(super) arn: String,
    pub(super) region: Region,
}

/// The form of events and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    V1,
    V2,
}

impl Payload {
    fn of(version: &str) -> Self {
        if version == "1.0" { Self::V1 } else { Self::V2 }
    }
}

impl Function {
    fn of(uri: &str) -> Option<Self> {
        let arn = function::arn_of(uri)?.into_owned();
        let region = function::region_of(&arn)?.parse().ok()?;
        Some(Self { arn, region })
    }
}

impl Called {
    fn of(uri: &str, role: Option<&String>) -> Self {
        let role = role.cloned();
        Self { uri: uri.to_owned(), role, function: Function::of(uri).filter(|_| !variables::has_any(uri)) }
    }

    /// The function that is meant, with a stage's variables; none if the URI then names none.
    pub(super) fn function(&self, stage: &BTreeMap<String, String>) -> Option<Cow<'_, Function>> {
        match &self.function {
            Some(function) => Some(Cow::Borrowed(function)),
            None => Function::of(&variables::filled(&self.uri, stage)).map(Cow::Owned),
        }
    }
}

impl Target {
    fn of(one: &Integration) -> Self {
        let to = match one.kind {
            Kind::Function => To::Function(Called::of(&one.uri, one.role.as_ref()), Payload::of(&one.payload)),
            Kind::Url => {
                let method = Some(one.method.as_str()).filter(|method| *method != "ANY");
                To::Url { uri: one.uri.clone(), method: method.and_then(|method| method.parse().ok()) }
            }
        };
        // What does not read is never kept.
        let changes = |of, map| mapping::changes(of, map).unwrap_or_default();
        let of_answer = one.response_parameters.iter();
        let of_answer = of_answer.filter_map(|(status, map)| Some((status.parse().ok()?, changes(Of::Answer, map))));
        Self {
            to,
            timeout: Duration::from_millis(one.timeout_ms.unsigned_abs()),
            of_request: changes(Of::Request, &one.request_parameters),
            of_answer: of_answer.collect(),
        }
    }
}

impl Judge {
    fn of(id: &str, one: &Authorizer) -> Self {
        let by = match &one.by {
            By::Token { issuer, audience } => Judging::Token { issuer: issuer.clone(), audience: audience.clone() },
            By::Function { uri, payload, ttl_s, simple } => Judging::Function {
                function: Called::of(uri, one.role.as_ref()),
                payload: Payload::of(payload),
                ttl_s: *ttl_s,
                simple: *simple,
            },
        };
        let identity = one.identity.iter().filter_map(|text| Selection::parse(text)).collect();
        Self { id: id.to_owned(), identity, by }
    }
}

impl Guard {
    fn of(route: &Route, judges: &HashMap<&str, Arc<Judge>>) -> Self {
        let judge = route.authorizer.as_deref().and_then(|id| judges.get(id)).cloned();
        match (route.authorization, judge) {
            (Authorization::None, _) => Self::Open,
            (Authorization::Iam, _) => Self::Iam,
            (Authorization::Jwt, Some(judge)) => Self::Token(judge, route.scopes.clone()),
            (Authorization::Custom, Some(judge)) => Self::Function(judge),
            (Authorization::Jwt | Authorization::Custom, None) => Self::Shut,
        }
    }
}

impl Content {
    fn of(frozen: &Frozen) -> Self {
        let Frozen { cors, routes, integrations, authorizers } = frozen;
        let targets: HashMap<&str, Arc<Target>> =
            integrations.iter().map(|(id, one)| (id.as_str(), Arc::new(Target::of(one)))).collect();
        let judges: HashMap<&str, Arc<Judge>> =
            authorizers.iter().map(|(id, one)| (id.as_str(), Arc::new(Judge::of(id, one)))).collect();
        let ready = |route: &Route| Ready {
            key: route.key.clone(),
            guard: Guard::of(route, &judges),
            target: route.integration.as_deref().and_then(|id| targets.get(id)).cloned(),
        };
        Self {
            cors: cors.clone(),
            table: Table::new(routes.values().map(|route| route.key.as_str())),
            routes: routes.values().map(ready).collect(),
            nowhere: Ready::default(),
        }
    }
}

impl Serving {
    fn of(api: &Api, name: &str, stage: &Stage, content: Arc<Content>, buckets: &Buckets) -> Self {
        let bucket = |route: &Ready| {
            // Settings of the route itself go before those of all.
            let (own, all) = (stage.settings.get(&route.key), &stage.default_settings);
            let rate = own.and_then(|own| own.rate_limit).or(all.rate_limit);
            let burst = own.and_then(|own| own.burst_limit).or(all.burst_limit);
            buckets.find((&api.id, name, &route.key), rate, burst)
        };
        let log = stage.access_log.as_ref().and_then(|log| Log::of(log, &api.id, name));
        let buckets = content.routes.iter().map(bucket).collect();
        Self { name: name.to_owned(), variables: stage.variables.clone(), content, buckets, log }
    }

    /// The route that takes a request, and whether it is not called too often.
    pub(super) fn route(&self, method: &str, parts: &[Cow<'_, str>], now: std::time::Instant) -> (&Ready, bool) {
        let Some(at) = self.content.table.find(method, parts) else { return (&self.content.nowhere, true) };
        let bucket = self.buckets.get(at).and_then(Option::as_deref);
        (&self.content.routes[at], bucket.is_none_or(|bucket| bucket.take(now)))
    }
}

impl Live {
    /// An API with all that its stages answer with, and how often.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn of(api: Api, kv: &dyn Kv, buckets: &Buckets) -> Result<Self, Fault> {
        let now = Arc::new(Content::of(&api.freeze()));
        let mut frozen: HashMap<&str, Arc<Content>> = HashMap::new();
        let mut stages = HashMap::new();
        for (name, stage) in &api.stages {
            let content = match stage.deployment.as_deref() {
                // What was never deployed answers nothing.
                None => Arc::default(),
                Some(_) if stage.auto_deploy => Arc::clone(&now),
                Some(deployment) => match frozen.get(deployment) {
                    Some(content) => Arc::clone(content),
                    None => {
                        let kept = state::find_frozen(kv, &api.id, deployment)?.unwrap_or_default();
                        let content = Arc::new(Content::of(&kept));
                        frozen.insert(deployment, Arc::clone(&content));
                        content
                    }
                },
            };
            stages.insert(name.clone(), Serving::of(&api, name, stage, content, buckets));
        }
        let kept = stages.values().flat_map(|stage: &Serving| {
            let routes = stage.content.routes.iter().zip(&stage.buckets).filter(|(_, bucket)| bucket.is_some());
            routes.map(|(route, _)| (stage.name.clone(), route.key.clone()))
        });
        buckets.keep(&api.id, &kept.collect());
        Ok(Self { api, stages, verdicts: Verdicts::default() })
    }

    /// The stage a path means, and the path behind it: the stage that the first part names, else `$default`.
    pub(super) fn stage<'p>(&self, sent: &'p str) -> Option<(&Serving, &'p str)> {
        let (first, rest) = path::first(sent);
        match self.stages.get(&*first).filter(|stage| stage.name != DEFAULT) {
            Some(stage) => Some((stage, rest)),
            None => self.stages.get(DEFAULT).map(|stage| (stage, sent)),
        }
    }
}

/// The stage without a name in the path.
const DEFAULT: &str = "$default";
