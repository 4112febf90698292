//! An API made ready for requests: once, when it has changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base::{Fault, Region};
use store::Kv;

use crate::rules::table::Table;
use crate::rules::{function, path, variables};
use crate::state;
use crate::types::{Api, Authorization, Cors, Frozen, Integration, Route};

/// An API with its stages made ready.
pub(crate) struct Live {
    pub(crate) api: Api,
    stages: HashMap<String, Serving>,
}

/// A stage that answers.
pub(super) struct Serving {
    pub(super) name: String,
    pub(super) variables: BTreeMap<String, String>,
    // Stages of one deployment share it.
    pub(super) content: Arc<Content>,
}

/// What a deployment answers with.
#[derive(Default)]
pub(super) struct Content {
    pub(super) cors: Option<Cors>,
    pub(super) table: Table,
    // In the table's order.
    pub(super) routes: Vec<Ready>,
}

/// A route with its integration.
pub(super) struct Ready {
    pub(super) key: String,
    pub(super) authorization: Authorization,
    pub(super) target: Option<Arc<Target>>,
}

/// An integration.
pub(super) struct Target {
    uri: String,
    // Where the URI says it without a stage's variables.
    function: Option<Function>,
    pub(super) payload: Payload,
    pub(super) timeout: Duration,
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

impl Function {
    fn of(uri: &str) -> Option<Self> {
        let arn = function::arn_of(uri)?.into_owned();
        let region = function::region_of(&arn)?.parse().ok()?;
        Some(Self { arn, region })
    }
}

impl Target {
    fn of(one: &Integration) -> Self {
        Self {
            uri: one.uri.clone(),
            function: Function::of(&one.uri).filter(|_| !variables::has_any(&one.uri)),
            payload: if one.payload == "1.0" { Payload::V1 } else { Payload::V2 },
            timeout: Duration::from_millis(one.timeout_ms.unsigned_abs()),
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

impl Content {
    fn of(cors: Option<&Cors>, routes: &BTreeMap<String, Route>, integrations: &BTreeMap<String, Integration>) -> Self {
        let targets: HashMap<&str, Arc<Target>> =
            integrations.iter().map(|(id, one)| (id.as_str(), Arc::new(Target::of(one)))).collect();
        let ready = |route: &Route| Ready {
            key: route.key.clone(),
            authorization: route.authorization,
            target: route.integration.as_deref().and_then(|id| targets.get(id)).cloned(),
        };
        Self {
            cors: cors.cloned(),
            table: Table::new(routes.values().map(|route| route.key.as_str())),
            routes: routes.values().map(ready).collect(),
        }
    }
}

impl Live {
    /// An API with all that its stages answer with.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn of(api: Api, kv: &dyn Kv) -> Result<Self, Fault> {
        let now = Arc::new(Content::of(api.cors.as_ref(), &api.routes, &api.integrations));
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
                        let Frozen { cors, routes, integrations } =
                            state::find_frozen(kv, &api.id, deployment)?.unwrap_or_default();
                        let content = Arc::new(Content::of(cors.as_ref(), &routes, &integrations));
                        frozen.insert(deployment, Arc::clone(&content));
                        content
                    }
                },
            };
            let serving = Serving { name: name.clone(), variables: stage.variables.clone(), content };
            stages.insert(name.clone(), serving);
        }
        Ok(Self { api, stages })
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
