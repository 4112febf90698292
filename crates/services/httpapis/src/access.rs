//! What the policies must know of APIs.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon API Gateway Management" and
//! "… Management V2".

use std::collections::{BTreeMap, BTreeSet};

use door::{About, AuthContext, Need, Subject};
use serde_json::Value;

use crate::HttpApis;
use crate::aws::KIND;
use crate::rules::tagged::Tagged;
use crate::rules::{document, role};
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
        about.also.extend(passed_roles(subject));
        about
    }
}

/// Who gives an API roles must be allowed to pass them on: those that members name, and those within a definition.
fn passed_roles(subject: &Subject<'_>) -> Vec<Need> {
    let named = ["CredentialsArn", "AuthorizerCredentialsArn"].iter().filter_map(|member| subject.text(member));
    passed(named, subject.text("Body").as_deref())
}

/// What it takes to pass roles on to the service, those that are named and those within a definition.
pub(crate) fn passed(named: impl Iterator<Item = String>, definition: Option<&str>) -> Vec<Need> {
    let mut roles: BTreeSet<String> = named.collect();
    if let Some(definition) = definition.and_then(|text| document::read(text).ok()) {
        within(&definition, &mut roles);
    }
    // Who acts as whoever sends requests passes nothing on.
    roles.retain(|role| role != role::CALLER);
    let keys = vec![("iam:PassedToService".to_owned(), vec![PRINCIPAL.to_owned()])];
    let need = |resource| Need {
        action: "iam:PassRole",
        resource,
        keys: keys.clone(),
        owner: None,
        policy: None,
        trust: false,
    };
    roles.into_iter().map(need).collect()
}

/// The credentials that a definition has anywhere.
fn within(value: &Value, roles: &mut BTreeSet<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| within(one, roles)),
        Value::Object(all) => {
            for (name, one) in all {
                match one {
                    Value::String(role) if matches!(name.as_str(), "credentials" | "authorizerCredentials") => {
                        roles.insert(role.clone());
                    }
                    one => within(one, roles),
                }
            }
        }
        _ => {}
    }
}
