//! A REST API made ready for requests: once, when it has changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base::{Fault, Region};
use http::HeaderName;
use regex::Regex;
use store::Kv;

use super::notes::{Executions, Weight};
use crate::rest::rules::models;
use crate::rest::rules::resources;
use crate::rest::rules::schema::{Documents, Schema};
use crate::rest::rules::template::Template;
use crate::rest::state;
use crate::rest::types::{
    Api, Authorizer, Frozen, GatewayResponse, Integration, IntegrationResponse, Kind, Method, Stage, Validator,
};
use crate::rules::table::Table;
use crate::rules::{function, path, variables};
use crate::serve::{Bucket, Buckets, Log, Verdicts};
use crate::types::Authorization;

/// An API with its stages made ready.
pub(crate) struct Live {
    pub(crate) api: Api,
    // What authorizers said, while it counts.
    pub(crate) verdicts: Verdicts,
    stages: HashMap<String, Serving>,
}

/// A stage that answers.
pub(super) struct Serving {
    pub(super) name: String,
    pub(super) deployment: String,
    pub(super) variables: BTreeMap<String, String>,
    // Stages of one deployment share it.
    pub(super) content: Arc<Content>,
    // Of each route, in their order: how often it may be called.
    pub(super) buckets: Vec<Option<Arc<Bucket>>>,
    pub(super) log: Option<Log>,
    // Of each route: how much of its requests is told to the execution log.
    pub(super) told: Vec<Option<Weight>>,
    // None if nothing is.
    pub(super) executions: Option<Executions>,
}

/// What a deployment answers with.
#[derive(Default)]
pub(super) struct Content {
    pub(super) binary: Vec<String>,
    pub(super) compression: Option<usize>,
    pub(super) endpoint_disabled: bool,
    pub(super) responses: BTreeMap<String, GatewayResponse>,
    pub(super) table: Table,
    // In the table's order.
    pub(super) routes: Vec<Ready>,
}

/// A method with its integration.
pub(super) struct Ready {
    // `GET /pets/{id}`
    pub(super) key: String,
    pub(super) path: String,
    pub(super) resource: String,
    pub(super) guard: Guard,
    // Parameters without which a request does not go on.
    pub(super) required: Vec<String>,
    // By content type, what a body must look like.
    pub(super) bodies: BTreeMap<String, Shape>,
    pub(super) timeout: Duration,
    // Where values of the integration's request are from.
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) target: Target,
}

/// What a body must look like; none where the model cannot be asked any more: then no body is right.
pub(super) type Shape = Option<Arc<Schema>>;

/// Who decides about a request.
pub(super) enum Guard {
    /// Nobody: anyone may.
    Open,
    /// Policies.
    Iam,
    /// A function.
    Function(Arc<Judge>),
    /// An authorizer that is not there: nobody may.
    Shut,
}

/// An authorizer.
pub(super) struct Judge {
    pub(super) id: String,
    pub(super) of_request: bool,
    pub(super) function: Called,
    // Where a request says who sends it.
    pub(super) identity: Vec<String>,
    // What a token must look like.
    pub(super) validation: Option<Regex>,
    pub(super) ttl_s: i64,
}

/// Where a method leads.
pub(super) enum Target {
    Function(Called),
    Url(Url),
    Mock(Mock),
}

/// A function by its URI.
pub(super) struct Called {
    pub(super) uri: String,
    // As whom it is called, where not as the service.
    pub(super) role: Option<String>,
    // AWS calls functions by POST, and fails where something else is set.
    pub(super) by_post: bool,
    // Where the URI says it without a stage's variables.
    function: Option<Function>,
}

/// A function that is called.
#[derive(Debug, Clone)]
pub(super) struct Function {
    pub(super) arn: String,
    pub(super) region: Region,
}

/// A URL that is called, by this method or the request's own.
pub(super) struct Url {
    pub(super) uri: String,
    pub(super) method: Option<http::Method>,
}

/// Answers of the API's own making.
pub(super) struct Mock {
    pub(super) requests: BTreeMap<String, Template>,
    pub(super) passthrough: String,
    pub(super) answers: Vec<Answer>,
}

/// One of a mock's answers.
pub(super) struct Answer {
    pub(super) status: u16,
    // For which statuses it is; none for all that no other takes.
    pub(super) pattern: Option<Regex>,
    // Each with where its value is from.
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) templates: BTreeMap<String, Template>,
}

impl Function {
    fn of(uri: &str) -> Option<Self> {
        // Some tools write the path with a slash too many, and AWS does not mind.
        let arn = function::arn_of(&uri.replacen(":lambda:path//", ":lambda:path/", 1))?.into_owned();
        let region = function::region_of(&arn)?.parse().ok()?;
        Some(Self { arn, region })
    }
}

impl Called {
    fn of(uri: &str, role: Option<&String>, by_post: bool) -> Self {
        Self {
            role: role.cloned(),
            function: Function::of(uri).filter(|_| !variables::has_any(uri)),
            by_post,
            uri: uri.to_owned(),
        }
    }

    /// The function that is meant, with a stage's variables; none if the URI then names none.
    pub(super) fn function(&self, stage: &BTreeMap<String, String>) -> Option<Cow<'_, Function>> {
        match &self.function {
            Some(function) => Some(Cow::Borrowed(function)),
            None => Function::of(&variables::filled(&self.uri, stage)).map(Cow::Owned),
        }
    }
}

/// Templates were read when they were put: one that cannot be read any more answers nothing.
fn ready(templates: &BTreeMap<String, String>) -> BTreeMap<String, Template> {
    templates.iter().map(|(of, text)| (of.clone(), Template::parse(text).unwrap_or_default())).collect()
}

impl Answer {
    fn of(status: &str, one: &IntegrationResponse) -> Option<Self> {
        let pattern = one.pattern.as_deref().filter(|pattern| !pattern.is_empty());
        let header = |(key, value): (&String, &String)| {
            Some((key.strip_prefix("method.response.header.")?.parse().ok()?, value.clone()))
        };
        Some(Self {
            status: status.parse().ok()?,
            pattern: match pattern {
                Some(pattern) => Some(Regex::new(&format!("^(?:{pattern})$")).ok()?),
                None => None,
            },
            headers: one.parameters.iter().filter_map(header).collect(),
            templates: ready(&one.templates),
        })
    }
}

impl Target {
    fn of(one: &Integration) -> Self {
        match one.kind {
            Kind::Function => {
                let by_post = one.method.as_deref() == Some("POST");
                Self::Function(Called::of(one.uri.as_deref().unwrap_or_default(), one.credentials.as_ref(), by_post))
            }
            Kind::Url => Self::Url(Url {
                uri: one.uri.clone().unwrap_or_default(),
                method: one.method.as_deref().filter(|method| *method != "ANY").and_then(|method| method.parse().ok()),
            }),
            Kind::Mock => Self::Mock(Mock {
                requests: ready(&one.templates),
                passthrough: one.passthrough.clone(),
                answers: one.responses.iter().filter_map(|(status, one)| Answer::of(status, one)).collect(),
            }),
        }
    }
}

impl Judge {
    pub(super) fn of(id: &str, one: &Authorizer) -> Option<Self> {
        let validation = one.validation.as_ref().map(|pattern| Regex::new(&format!("^(?:{pattern})$")));
        Some(Self {
            id: id.to_owned(),
            of_request: one.of_request,
            function: Called::of(&one.uri, one.role.as_ref(), true),
            identity: one.sources().map(str::to_owned).collect(),
            validation: validation.transpose().ok()?,
            ttl_s: one.ttl_s,
        })
    }
}

impl Guard {
    fn of(method: &Method, judges: &HashMap<&str, Arc<Judge>>) -> Self {
        let judge = method.authorizer.as_deref().and_then(|id| judges.get(id)).cloned();
        match (method.authorization, judge) {
            (Authorization::None, _) => Self::Open,
            (Authorization::Iam, _) => Self::Iam,
            (Authorization::Custom, Some(judge)) => Self::Function(judge),
            (Authorization::Custom | Authorization::Jwt, _) => Self::Shut,
        }
    }
}

/// The models that a deployment's methods check bodies by, made ready together.
struct Shapes(Option<Arc<Documents>>);

impl Shapes {
    fn of(api: &str, frozen: &Frozen) -> Self {
        let methods = frozen.resources.values().flat_map(|resource| resource.methods.values());
        let checked = methods.filter(|method| {
            let validator = method.validator.as_ref().and_then(|id| frozen.validators.get(id));
            validator.is_some_and(|validator| validator.body)
        });
        match models::ready(api, &frozen.models, checked.flat_map(|method| method.models.values())) {
            Ok(documents) => Self(Some(Arc::new(documents))),
            Err((model, why)) => {
                tracing::warn!(api, model, why, "models cannot be asked");
                Self(None)
            }
        }
    }

    /// None where a model says nothing of bodies that could be checked.
    fn find(&self, name: &str) -> Option<Shape> {
        match &self.0 {
            Some(documents) => Schema::of(documents, name).map(|schema| Some(Arc::new(schema))),
            None => Some(None),
        }
    }
}

impl Ready {
    fn of(
        (path, resource, name): (&str, &str, &str),
        method: &Method,
        guard: Guard,
        validator: &Validator,
        shapes: &Shapes,
    ) -> Option<Self> {
        let integration = method.integration.as_ref()?;
        let bodies = method.models.iter().filter(|_| validator.body);
        Some(Self {
            key: format!("{name} {path}"),
            path: path.to_owned(),
            resource: resource.to_owned(),
            guard,
            required: method
                .parameters
                .iter()
                .filter(|(_, must)| validator.parameters && **must)
                .map(|(key, _)| key.clone())
                .collect(),
            bodies: bodies.filter_map(|(of, model)| Some((of.clone(), shapes.find(model)?))).collect(),
            timeout: Duration::from_millis(integration.timeout_ms.unsigned_abs()),
            parameters: integration.parameters.clone(),
            target: Target::of(integration),
        })
    }
}

impl Content {
    pub(super) fn of(api: &str, frozen: Frozen) -> Self {
        let judges: HashMap<&str, Arc<Judge>> = frozen
            .authorizers
            .iter()
            .filter_map(|(id, one)| Some((id.as_str(), Arc::new(Judge::of(id, one)?))))
            .collect();
        let mut routes = Vec::new();
        let shapes = Shapes::of(api, &frozen);
        let none = Validator::default();
        for (id, resource) in &frozen.resources {
            let path = resources::path(&frozen.resources, id);
            for (name, one) in &resource.methods {
                let validator = one.validator.as_ref().and_then(|id| frozen.validators.get(id)).unwrap_or(&none);
                let guard = Guard::of(one, &judges);
                routes.extend(Ready::of((&path, id, name), one, guard, validator, &shapes));
            }
        }
        Self {
            table: Table::new(routes.iter().map(|route| &*route.key)),
            routes,
            binary: frozen.binary,
            compression: frozen.compression,
            endpoint_disabled: frozen.endpoint_disabled,
            responses: frozen.responses,
        }
    }
}

impl Serving {
    /// A stage that there is only for a test.
    pub(super) fn trial(name: &str, content: Content, variables: BTreeMap<String, String>) -> Self {
        Self {
            name: name.to_owned(),
            deployment: String::new(),
            variables,
            buckets: Vec::new(),
            log: None,
            told: Vec::new(),
            executions: None,
            content: Arc::new(content),
        }
    }

    fn of(api: &Api, name: &str, stage: &Stage, content: Arc<Content>, buckets: &Buckets) -> Self {
        let all = stage.settings.get("*/*");
        // Settings of a method itself go before those of all.
        let own = |route: &Ready| {
            let verb = route.key.split(' ').next().unwrap_or_default();
            stage.settings.get(&format!("{}/{verb}", route.path.trim_start_matches('/')))
        };
        let told: Vec<Option<Weight>> = content.routes.iter().map(|route| Weight::of(own(route), all)).collect();
        let logs = told.iter().any(Option::is_some);
        let bucket = |route: &Ready| {
            let own = own(route);
            let rate = own.and_then(|own| own.rate).or_else(|| all?.rate);
            let burst = own.and_then(|own| own.burst).or_else(|| all?.burst);
            buckets.find((&api.id, name, &route.key), rate, burst)
        };
        Self {
            name: name.to_owned(),
            deployment: stage.deployment.clone(),
            variables: stage.variables.clone(),
            buckets: content.routes.iter().map(bucket).collect(),
            told,
            executions: if logs { Executions::of(api, name, &stage.deployment) } else { None },
            log: stage.access_log.as_ref().and_then(|log| Log::of(log, &api.id, name)),
            content,
        }
    }
}

impl Live {
    /// An API with all that its stages answer with, and how often.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn of(api: Api, kv: &dyn Kv, buckets: &Buckets) -> Result<Self, Fault> {
        let mut frozen: HashMap<&str, Arc<Content>> = HashMap::new();
        let mut stages = HashMap::new();
        for (name, stage) in &api.stages {
            let content = match frozen.get(&*stage.deployment) {
                Some(content) => Arc::clone(content),
                None => {
                    let kept = state::find_frozen(kv, &api.id, &stage.deployment)?.unwrap_or_default();
                    let content = Arc::new(Content::of(&api.id, kept));
                    frozen.insert(&stage.deployment, Arc::clone(&content));
                    content
                }
            };
            stages.insert(name.clone(), Serving::of(&api, name, stage, content, buckets));
        }
        let kept = stages.values().flat_map(|stage: &Serving| {
            let routes = stage.content.routes.iter().zip(&stage.buckets).filter(|(_, bucket)| bucket.is_some());
            routes.map(|(route, _)| (stage.name.clone(), route.key.clone()))
        });
        buckets.keep(&api.id, &kept.collect());
        Ok(Self { api, verdicts: Verdicts::default(), stages })
    }

    /// The stage that the first part of a path names, and the path behind it.
    pub(super) fn stage<'p>(&self, sent: &'p str) -> Option<(&Serving, &'p str)> {
        let (first, rest) = path::first(sent);
        Some((self.stages.get(&*first)?, rest))
    }
}
