//! A room and its callers.

use std::sync::Arc;

use base::{Account, Fault, Principal, Region, RequestId, SystemRng, VirtualClocks};
use door::{
    Ask, Body, Call, ConditionKeys, Decision, Dispatch, Gate, Handle, Input, Mode, Origin, Policies, Router,
    RouterBuilder, Via,
};
use identity::{Identity, Options};
use model::iam::{self, ops};
use store::Kv;
use wire::Op;

pub(crate) struct World {
    pub(crate) identity: Arc<Identity>,
    /// The room behind a door that enforces nothing but trust policies.
    pub(crate) router: Arc<Router>,
    /// The same behind a door that enforces everything.
    pub(crate) strict: Arc<Router>,
    pub(crate) clocks: Arc<VirtualClocks>,
    pub(crate) kv: Arc<dyn Kv>,
}

pub(crate) const TRUST_ALL: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
pub(crate) const ALLOW_ALL: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Sid":"all","Effect":"Allow","Action":"*","Resource":"*"}]}"#;

impl World {
    pub(crate) async fn new() -> Self {
        Self::over(store::memory()).await
    }

    pub(crate) async fn over(kv: Arc<dyn Kv>) -> Self {
        let clocks = Arc::new(VirtualClocks::default());
        clocks.pause();
        let options = Options { kv: Arc::clone(&kv), clocks: clocks.clone(), rng: Arc::new(SystemRng), loopback: true };
        let identity = Identity::open(options).await.unwrap();
        let router = |mode| {
            let gate = Arc::new(Gate::new(identity.clone(), mode, clocks.clone()));
            identity::register(RouterBuilder::default(), &identity).dropping(dropped()).build(gate)
        };
        Self { router: router(Mode::Warn), strict: router(Mode::Enforce), identity, clocks, kv }
    }

    pub(crate) async fn call<O: Op>(&self, input: O::Input) -> Result<O::Output, Fault>
    where
        Identity: Handle<O>,
    {
        self.call_as::<O>(root(), input).await
    }

    pub(crate) async fn call_as<O: Op>(&self, principal: Principal, input: O::Input) -> Result<O::Output, Fault>
    where
        Identity: Handle<O>,
    {
        self.send::<O>(&self.router, principal, Origin::default(), input).await
    }

    /// Calls as who a key names, through the door that enforces nothing but trust policies.
    pub(crate) async fn call_with_key<O: Op>(
        &self,
        principal: Principal,
        key_id: &str,
        input: O::Input,
    ) -> Result<O::Output, Fault>
    where
        Identity: Handle<O>,
    {
        let origin = Origin { key_id: Some(key_id.to_owned()), ..Origin::default() };
        self.send::<O>(&self.router, principal, origin, input).await
    }

    /// Calls through the door that enforces, as who a key names.
    pub(crate) async fn strictly<O: Op>(
        &self,
        principal: Principal,
        key_id: Option<&str>,
        input: O::Input,
    ) -> Result<O::Output, Fault> {
        let origin = Origin { key_id: key_id.map(str::to_owned), ..Origin::default() };
        self.send::<O>(&self.strict, principal, origin, input).await
    }

    async fn send<O: Op>(
        &self,
        router: &Router,
        principal: Principal,
        origin: Origin,
        input: O::Input,
    ) -> Result<O::Output, Fault> {
        let call = Call {
            principal,
            origin,
            via: Via::Client { loopback: true },
            operation: O::ROW,
            input: Input::Typed(Box::new(input)),
            body: Body::Empty,
            region: Region::default_region(),
            request_id: RequestId::new(&SystemRng),
            deadline: None,
            depth: 0,
            trace: None,
        };
        Ok(router.call(call).await?.typed().unwrap())
    }

    /// Asks the policies.
    pub(crate) fn ask(&self, principal: &Principal, action: &str, resource: &str) -> Decision {
        self.identity.decide(&question(principal, action, resource))
    }

    /// Gives a user or a role an inline policy.
    pub(crate) async fn allow_user(&self, user: &str, statement: &str) {
        let input = iam::PutUserPolicyRequest {
            user_name: Some(user.into()),
            policy_name: Some("inline".into()),
            policy_document: Some(document(statement)),
        };
        self.call::<ops::PutUserPolicy>(input).await.unwrap();
    }

    /// Gives a role an inline policy.
    pub(crate) async fn allow_role(&self, role: &str, statement: &str) {
        let input = iam::PutRolePolicyRequest {
            role_name: Some(role.into()),
            policy_name: Some("inline".into()),
            policy_document: Some(document(statement)),
        };
        self.call::<ops::PutRolePolicy>(input).await.unwrap();
    }

    pub(crate) async fn create_role(&self, name: &str) -> iam::Role {
        let input = iam::CreateRoleRequest {
            role_name: Some(name.into()),
            assume_role_policy_document: Some(TRUST_ALL.into()),
            ..Default::default()
        };
        self.call::<ops::CreateRole>(input).await.unwrap().role.unwrap()
    }

    pub(crate) async fn create_user(&self, name: &str) -> iam::User {
        let input = iam::CreateUserRequest { user_name: Some(name.into()), ..Default::default() };
        self.call::<ops::CreateUser>(input).await.unwrap().user.unwrap()
    }

    pub(crate) async fn create_key(&self, user: &str) -> iam::AccessKey {
        let input = iam::CreateAccessKeyRequest { user_name: Some(user.into()) };
        self.call::<ops::CreateAccessKey>(input).await.unwrap().access_key.unwrap()
    }

    /// Makes a policy and gives its ARN.
    pub(crate) async fn create_policy(&self, name: &str) -> String {
        let input = iam::CreatePolicyRequest {
            policy_name: Some(name.into()),
            policy_document: Some(ALLOW_ALL.into()),
            ..Default::default()
        };
        self.call::<ops::CreatePolicy>(input).await.unwrap().policy.unwrap().arn.unwrap()
    }

    pub(crate) async fn attach(&self, role: &str, arn: &str) -> Result<(), Fault> {
        let input = iam::AttachRolePolicyRequest { role_name: Some(role.into()), policy_arn: Some(arn.into()) };
        self.call::<ops::AttachRolePolicy>(input).await.map(drop)
    }

    pub(crate) async fn detach(&self, role: &str, arn: &str) -> Result<(), Fault> {
        let input = iam::DetachRolePolicyRequest { role_name: Some(role.into()), policy_arn: Some(arn.into()) };
        self.call::<ops::DetachRolePolicy>(input).await.map(drop)
    }
}

/// What `cargo xtask drops` takes away to see which test notices.
fn dropped() -> Option<door::Dropped> {
    std::env::var("LAMBENT_DROP").ok().map(|member| member.parse().unwrap())
}

pub(crate) fn root() -> Principal {
    Principal::Root { account: Account::DEFAULT, verified: true }
}

pub(crate) fn user(name: &str) -> Principal {
    Principal::User { account: Account::DEFAULT, name: name.into() }
}

pub(crate) fn assert_fault<T: std::fmt::Debug>(result: Result<T, Fault>, code: &str, status: u16, message: &str) {
    let fault = result.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status, fault.message.as_str()), (code, status, message));
}

/// A question without resource policy and condition keys.
pub(crate) fn question<'a>(principal: &'a Principal, action: &'a str, resource: &'a str) -> Ask<'a> {
    Ask {
        principal,
        key_id: None,
        action,
        resource,
        owner: None,
        policy: None,
        trust: false,
        keys: &ConditionKeys::new,
    }
}

/// A policy of these statements.
pub(crate) fn document(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

pub(crate) fn session(role: &str) -> Principal {
    Principal::Session { account: Account::DEFAULT, role: role.into(), session: "s".into() }
}
