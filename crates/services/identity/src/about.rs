//! The port [`AuthContext`] for IAM and STS: the real ARNs of roles, users and groups with their paths, their tags, and
//! trust policies.
//!
//! Source: Service Authorization Reference, "AWS Identity and Access Management" and "AWS Security Token Service".

use std::sync::Arc;

use base::{Account, Arn, Principal};
use door::{About, AuthContext, ConditionKeys, Need, Subject};
use model::sts;

use crate::engine::Identity;
use crate::holder::Holder;
use crate::state::Kind;
use crate::types::{Group, Role, User};

impl AuthContext for Identity {
    fn about(&self, subject: &Subject<'_>) -> About {
        match (subject.operation.service.name, subject.operation.name) {
            // Both answer whoever is known, even against an explicit deny. Source: AWS STS API reference.
            ("sts", "GetCallerIdentity" | "GetSessionToken") => About { free: true, ..About::default() },
            ("sts", "AssumeRole") => self.about_assuming(subject),
            ("sts", _) => About::default(),
            _ => self.about_iam(subject),
        }
    }
}

impl Identity {
    fn about_assuming(&self, subject: &Subject<'_>) -> About {
        let arn = subject.text("RoleArn").unwrap_or_default();
        if !arn.parse().is_ok_and(|arn: Arn| arn.service == "iam" && arn.resource.starts_with("role/")) {
            // There is nothing to allow: the operation refuses what is no role's ARN.
            return About { free: true, ..About::default() };
        }
        let mut keys = ConditionKeys::new();
        for (key, member) in [("sts:ExternalId", "ExternalId"), ("sts:RoleSessionName", "RoleSessionName")] {
            keys.extend(subject.text(member).map(|value| (key.to_owned(), vec![value])));
        }
        let owner: Option<Account> = crate::decide::owner(&arn);
        let name = arn.rsplit('/').next().unwrap_or_default();
        let role = owner.and_then(|account| self.role(account, name).ok().filter(|role| role.arn(account) == arn));
        let policy: Option<Arc<str>> = role.as_ref().map(|role| role.trust.as_str().into());
        tags(&mut keys, role.iter().flat_map(|role| &role.tags));
        let before = subject.key_id.and_then(|id| self.session_of(id));
        let inherited = before.as_ref().and_then(|session| session.source_identity.clone());
        let source = subject.text("SourceIdentity").or(inherited);
        keys.extend(source.iter().map(|source| ("sts:SourceIdentity".to_owned(), vec![source.clone()])));
        let any: &dyn std::any::Any = subject.input;
        let transitive =
            any.downcast_ref::<sts::AssumeRoleRequest>().and_then(|input| input.transitive_tag_keys.clone());
        keys.extend(transitive.map(|names| ("sts:TransitiveTagKeys".to_owned(), names)));
        // Session tags, also those that go on from the caller's session, and a source identity are permissions of their
        // own: in the caller's policies and in the trust policy.
        let given = subject.tags();
        let tags = !given.is_empty() || before.is_some_and(|session| !session.transitive.is_empty());
        let also = [("sts:TagSession", tags), ("sts:SetSourceIdentity", source.is_some())];
        let also = also.into_iter().filter(|(_, asked)| *asked).map(|(action, _)| Need {
            action,
            resource: arn.clone(),
            keys: keys.iter().chain(&given).cloned().collect(),
            policy: policy.clone(),
            trust: true,
        });
        let also = also.collect();
        About { owner, policy, trust: true, keys, also, ..About::default() }
    }

    fn about_iam(&self, subject: &Subject<'_>) -> About {
        let account = subject.account();
        let mut keys = ConditionKeys::new();
        for (key, member) in [("iam:PolicyARN", "PolicyArn"), ("iam:PermissionsBoundary", "PermissionsBoundary")] {
            keys.extend(subject.text(member).map(|value| (key.to_owned(), vec![value])));
        }
        let made = subject.operation.name.strip_prefix("Create");
        let resource = match made {
            Some(kind @ ("Role" | "User" | "Group" | "Policy")) => {
                let name = subject.text(&format!("{kind}Name")).unwrap_or_default();
                let path = subject.text("Path").unwrap_or_else(|| "/".into());
                Some(format!("arn:aws:iam::{account}:{}{path}{name}", kind.to_ascii_lowercase()))
            }
            _ => self.existing(subject, account, &mut keys),
        };
        About { resource, keys, ..About::default() }
    }

    /// The ARN of the role, user or group that is there already, its tags and its boundary.
    fn existing(&self, subject: &Subject<'_>, account: Account, keys: &mut ConditionKeys) -> Option<String> {
        if subject.resource.contains(":group/") {
            let group: Group = self.holder(account, &subject.text("GroupName")?).ok()?;
            return Some(group.arn_in(account));
        }
        let (kind, name) = if subject.resource.contains(":role/") {
            (Kind::Role, subject.text("RoleName")?)
        } else if subject.resource.contains(":user/") {
            // Without a name the caller's own user is meant.
            let own = match subject.principal {
                Principal::User { name, .. } => Some(name.clone()),
                _ => None,
            };
            (Kind::User, subject.text("UserName").or(own)?)
        } else {
            return None;
        };
        let (arn, held, boundary) = match kind {
            Kind::Role => {
                let role: Role = self.role(account, &name).ok()?;
                (role.arn(account), role.tags, role.boundary)
            }
            _ => {
                let user: User = self.user(account, &name).ok()?;
                (user.arn(account), user.tags, user.boundary)
            }
        };
        tags(keys, &held);
        let known = keys.iter().any(|(key, _)| key == "iam:PermissionsBoundary");
        if !known {
            keys.extend(boundary.map(|arn| ("iam:PermissionsBoundary".to_owned(), vec![arn])));
        }
        Some(arn)
    }
}

fn tags<'a>(keys: &mut ConditionKeys, held: impl IntoIterator<Item = (&'a String, &'a String)>) {
    for (key, value) in held {
        keys.push((format!("aws:ResourceTag/{key}"), vec![value.clone()]));
        keys.push((format!("iam:ResourceTag/{key}"), vec![value.clone()]));
    }
}
