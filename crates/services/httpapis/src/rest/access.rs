//! What the policies must know of REST APIs.

use std::any::Any;

use door::{About, AuthContext, Need, Subject};
use model::apigateway as aws;

use super::RestApis;
use super::aws::KIND;
use crate::access::{Names, about, passed};

impl AuthContext for RestApis {
    fn about(&self, subject: &Subject<'_>) -> About {
        let names = Names { kind: KIND, arn: "resourceArn", api: "restApiId", stage: "stageName" };
        let mut about = about(subject, &names, |tagged| {
            let api = &self.api(subject.account(), subject.region, Some(&tagged.api)).ok()?.api;
            let stage = tagged.stage.as_ref().and_then(|stage| api.stages.get(stage));
            Some(stage.map_or(&api.tags, |stage| &stage.tags).clone())
        });
        about.also.extend(passed_roles(subject));
        about
    }
}

/// Who gives an API roles must be allowed to pass them on: by a member, by a patch, or within a definition.
fn passed_roles(subject: &Subject<'_>) -> Vec<Need> {
    let input: &dyn Any = subject.input;
    let named = ["credentials", "authorizerCredentials"].iter().filter_map(|member| subject.text(member));
    let patches = None
        .or_else(|| input.downcast_ref::<aws::UpdateIntegrationRequest>()?.patch_operations.as_ref())
        .or_else(|| input.downcast_ref::<aws::UpdateAuthorizerRequest>()?.patch_operations.as_ref());
    let of_credentials =
        |patch: &&aws::PatchOperation| matches!(patch.path.as_deref(), Some("/credentials" | "/authorizerCredentials"));
    let patched = patches.into_iter().flatten().filter(of_credentials).filter_map(|patch| patch.value.clone());
    let body = None
        .or_else(|| input.downcast_ref::<aws::ImportRestApiRequest>()?.body.as_ref())
        .or_else(|| input.downcast_ref::<aws::PutRestApiRequest>()?.body.as_ref());
    let body = body.and_then(|body| std::str::from_utf8(body).ok());
    passed(named.chain(patched).filter(|role| !role.is_empty()), body)
}
