//! A room and its callers.

use std::sync::Arc;

use base::{Account, Fault, Principal, Region, RequestId, SystemRng, VirtualClocks};
use door::{Body, Context, Handle, Via};
use identity::{Identity, Options};
use model::iam::{self, ops};
use store::Kv;
use wire::Op;

pub(crate) struct World {
    pub(crate) identity: Arc<Identity>,
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
        Self { identity: Identity::open(options).await.unwrap(), clocks, kv }
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
        let context = Context {
            account: principal.account(),
            principal,
            via: Via::Client { loopback: true },
            region: Region::default_region(),
            request_id: RequestId::new(&SystemRng),
            deadline: None,
            depth: 0,
            trace: None,
            host: None,
        };
        Ok(Handle::<O>::handle(Arc::clone(&self.identity), context, input, Body::Empty).await?.output)
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
