//! What the policies must know of APIs.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon API Gateway Management" and
//! "… Management V2".

use std::collections::BTreeMap;

use door::{About, AuthContext, Need, Subject};

use crate::HttpApis;
use crate::aws::KIND;
use crate::rules::tagged::Tagged;
use crate::serve::PRINCIPAL;

/// How a version of the service names what a call is about.
pub(crate) struct Names {
    pub(crate) kind: &'static str,
    pub(crate) arn: &'static str,
    pub(crate) api: &'static str,
    pub(crate) stage: &'static str,
}

/// What policies know of a call about an API or a stage: its tags, which `tags` finds.
pub(crate) fn about(
    subject: &Subject<'_>,
    names: &Names,
    tags: impl FnOnce(&Tagged) -> Option<BTreeMap<String, String>>,
) -> About {
    // These ARNs name no account: what is there is the caller's own.
    let mut about = About { owner: Some(subject.account()), ..About::default() };
    let named = match subject.text(names.arn) {
        Some(arn) => Tagged::parse(names.kind, &arn, subject.region),
        None => subject.text(names.api).map(|api| Tagged { api, stage: subject.text(names.stage) }),
    };
    let tags = named.and_then(|tagged| tags(&tagged)).unwrap_or_default();
    about.keys = tags.into_iter().map(|(key, value)| (format!("aws:ResourceTag/{key}"), vec![value])).collect();
    about
}

impl AuthContext for HttpApis {
    fn about(&self, subject: &Subject<'_>) -> About {
        let names = Names { kind: KIND, arn: "ResourceArn", api: "ApiId", stage: "StageName" };
        let mut about = about(subject, &names, |tagged| {
            let api = &self.api(subject.account(), subject.region, Some(&tagged.api)).ok()?.api;
            let stage = tagged.stage.as_ref().and_then(|stage| api.stages.get(stage));
            Some(stage.map_or(&api.tags, |stage| &stage.tags).clone())
        });
        about.also.extend(passed_role(subject));
        about
    }
}

/// Who gives an API a role must be allowed to pass it on.
fn passed_role(subject: &Subject<'_>) -> Option<Need> {
    let resource = subject.text("CredentialsArn").or_else(|| subject.text("AuthorizerCredentialsArn"))?;
    let keys = vec![("iam:PassedToService".to_owned(), vec![PRINCIPAL.to_owned()])];
    Some(Need { action: "iam:PassRole", resource, keys, owner: None, policy: None, trust: false })
}
