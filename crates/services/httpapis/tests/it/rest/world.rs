//! A room with REST APIs.

use std::sync::Arc;

use base::{Account, Fault, Principal, Region, RequestId, SystemRng};
use door::{Body, Call, Dispatch, Gate, Handle, Input, Origin, Router, RouterBuilder, Site, Via};
use httpapis::rest::RestApis;
use model::apigateway::{self as aws, ops};
use store::Kv;
use wire::Op;

use crate::world::{FUNCTION, Request, Seen, World, dropped, request, root};

pub(crate) struct Rest {
    pub(crate) world: World,
    pub(crate) apis: Arc<RestApis>,
    pub(crate) router: Arc<Router>,
}

/// An input: its members, each set. Texts are given as they are.
macro_rules! rest {
    ($name:ident { $($member:ident: $value:expr),* $(,)? }) => {
        model::apigateway::$name { $($member: Some($value.into()),)* ..Default::default() }
    };
}
pub(crate) use rest;

/// Patch operations, as `op path value`; a value that is `-` is none.
pub(crate) fn patches(all: &[(&str, &str, &str)]) -> Vec<aws::PatchOperation> {
    let one = |(op, path, value): &(&str, &str, &str)| aws::PatchOperation {
        op: Some((*op).into()),
        path: Some((*path).into()),
        value: Some((*value).to_owned()).filter(|value| value != "-"),
        from: None,
    };
    all.iter().map(one).collect()
}

pub(crate) fn texts(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn truths(pairs: &[(&str, bool)]) -> std::collections::BTreeMap<String, bool> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
}

/// The function as an integration's URI names it.
pub(crate) fn uri() -> String {
    format!("arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations")
}

pub(crate) const MISSING_TOKEN: (u16, &str) = (403, r#"{"message":"Missing Authentication Token"}"#);
pub(crate) const INTERNAL: (u16, &str) = (500, r#"{"message": "Internal server error"}"#);
pub(crate) const MALFORMED: (u16, &str) = (502, r#"{"message": "Internal server error"}"#);

impl Rest {
    pub(crate) fn new() -> Self {
        Self::over(store::memory(), Gate::off())
    }

    pub(crate) fn over(kv: Arc<dyn Kv>, gate: Arc<Gate>) -> Self {
        let world = World::over(kv, Arc::clone(&gate));
        let apis = RestApis::open(Arc::clone(&world.apis));
        let router = httpapis::rest::register(RouterBuilder::default(), &apis).dropping(dropped()).build(gate);
        Self { world, apis, router }
    }

    /// The same rows under a room that has just started.
    pub(crate) fn restarted(&self) -> Self {
        Self::over(Arc::clone(&self.world.kv), Gate::off())
    }

    pub(crate) async fn call<O: Op>(&self, input: O::Input) -> Result<O::Output, Fault>
    where
        RestApis: Handle<O>,
    {
        self.call_as::<O>(root(Account::DEFAULT), input).await
    }

    pub(crate) async fn call_as<O: Op>(&self, principal: Principal, input: O::Input) -> Result<O::Output, Fault>
    where
        RestApis: Handle<O>,
    {
        let call = Call {
            principal,
            via: Via::Client { loopback: true },
            origin: Origin::default(),
            operation: O::ROW,
            input: Input::Typed(Box::new(input)),
            body: Body::Empty,
            region: Region::default_region(),
            request_id: RequestId::new(&SystemRng),
            deadline: None,
            depth: 0,
            trace: None,
        };
        Ok(self.router.call(call).await?.typed().unwrap())
    }

    /// An API with nothing in it; its id and that of its root.
    pub(crate) async fn api(&self) -> (String, String) {
        let made = self.call::<ops::CreateRestApi>(rest!(CreateRestApiRequest { name: "api" })).await.unwrap();
        (made.id.unwrap(), made.root_resource_id.unwrap())
    }

    pub(crate) async fn resource(&self, api: &str, parent: &str, part: &str) -> String {
        let input = rest!(CreateResourceRequest { rest_api_id: api, parent_id: parent, path_part: part });
        self.call::<ops::CreateResource>(input).await.unwrap().id.unwrap()
    }

    /// A method that anybody may use.
    pub(crate) async fn method(&self, api: &str, resource: &str, method: &str) {
        let input = rest!(PutMethodRequest {
            rest_api_id: api,
            resource_id: resource,
            http_method: method,
            authorization_type: "NONE",
        });
        self.call::<ops::PutMethod>(input).await.unwrap();
    }

    /// A method that the function answers.
    pub(crate) async fn proxy(&self, api: &str, resource: &str, method: &str) {
        self.method(api, resource, method).await;
        let input = rest!(PutIntegrationRequest {
            rest_api_id: api,
            resource_id: resource,
            http_method: method,
            type_: "AWS_PROXY",
            integration_http_method: "POST",
            uri: uri(),
        });
        self.call::<ops::PutIntegration>(input).await.unwrap();
    }

    /// A method that the API answers itself, with 200.
    pub(crate) async fn mock(&self, api: &str, resource: &str, method: &str) {
        self.method(api, resource, method).await;
        let input = rest!(PutIntegrationRequest {
            rest_api_id: api,
            resource_id: resource,
            http_method: method,
            type_: "MOCK",
            request_templates: texts(&[("application/json", "{\"statusCode\": 200}")]),
        });
        self.call::<ops::PutIntegration>(input).await.unwrap();
        let input = rest!(PutIntegrationResponseRequest {
            rest_api_id: api,
            resource_id: resource,
            http_method: method,
            status_code: "200",
        });
        self.call::<ops::PutIntegrationResponse>(input).await.unwrap();
    }

    /// Deploys an API at a stage; the deployment's id.
    pub(crate) async fn deploy(&self, api: &str, stage: &str) -> String {
        let input = rest!(CreateDeploymentRequest { rest_api_id: api, stage_name: stage });
        self.call::<ops::CreateDeployment>(input).await.unwrap().id.unwrap()
    }

    /// An API with these paths, each `ANY` to the function, at the stage `dev`; its id.
    pub(crate) async fn serving(&self, paths: &[&str]) -> String {
        let (api, root) = self.api().await;
        for path in paths {
            let mut at = root.clone();
            for part in path.split('/').filter(|part| !part.is_empty()) {
                at = self.resource(&api, &at, part).await;
            }
            self.proxy(&api, &at, "ANY").await;
        }
        self.deploy(&api, "dev").await;
        api
    }

    /// A request to an API's own host.
    pub(crate) async fn visit(&self, api: &str, method: &str, path: &str) -> Seen {
        self.send(&request(api, method, path, &[], "")).await
    }

    pub(crate) async fn send(&self, request: &Request) -> Seen {
        assert!(self.apis.claims(&request.host, &request.path));
        let answer = self.apis.serve(request.to_site()).await;
        let body = match answer.body {
            Body::Empty => bytes::Bytes::new(),
            Body::Bytes(bytes) => bytes,
            Body::Stream(_) => panic!("a whole body"),
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        Seen { status: answer.status, headers: answer.headers, body }
    }
}
