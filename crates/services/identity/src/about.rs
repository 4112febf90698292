//! The port [`AuthContext`] for IAM and STS: the real ARNs of roles, users and groups with their paths, their tags, and
//! trust policies.
//!
//! Source: Service Authorization Reference, "AWS Identity and Access Management" and "AWS Security Token Service".

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{Account, Arn, Principal};
use door::{About, AuthContext, ConditionKeys, Need, Subject};
use model::sts;

use crate::engine::Identity;
use crate::types::{Group, InstanceProfile, OidcProvider, Policy};

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
            owner: None,
            policy: policy.clone(),
            trust: true,
        });
        let also = also.collect();
        About { owner, policy, trust: true, keys, also, ..About::default() }
    }

    fn about_iam(&self, subject: &Subject<'_>) -> About {
        let account = subject.account();
        let mut keys = ConditionKeys::new();
        let members = [
            ("iam:PolicyARN", "PolicyArn"),
            ("iam:PermissionsBoundary", "PermissionsBoundary"),
            ("iam:AWSServiceName", "AWSServiceName"),
        ];
        for (key, member) in members {
            keys.extend(subject.text(member).map(|value| (key.to_owned(), vec![value])));
        }
        let kinds = [("Role", "role"), ("User", "user"), ("Group", "group"), ("Policy", "policy")];
        let kinds = kinds.into_iter().chain([("InstanceProfile", "instance-profile")]);
        let made = subject.operation.name.strip_prefix("Create");
        let resource = match kinds.into_iter().find(|(kind, _)| made == Some(*kind)) {
            Some((kind, word)) => {
                let name = subject.text(&format!("{kind}Name")).unwrap_or_default();
                let path = subject.text("Path").unwrap_or_else(|| "/".into());
                Some(format!("arn:aws:iam::{account}:{word}{path}{name}"))
            }
            None => self.existing(subject, account, &mut keys),
        };
        let also = self.passed_role(subject).into_iter().chain(self.renamed(subject, account)).collect();
        About { resource, keys, also, ..About::default() }
    }

    /// Who renames or moves a user or group must be allowed to do so with the new name, too.
    /// Source: IAM User Guide, "Rename an IAM user".
    fn renamed(&self, subject: &Subject<'_>, account: Account) -> Option<Need> {
        let kind = subject.operation.name.strip_prefix("Update").filter(|kind| matches!(*kind, "User" | "Group"))?;
        let given = (subject.text("NewPath"), subject.text(&format!("New{kind}Name")));
        if given == (None, None) {
            return None;
        }
        let name = subject.text(&format!("{kind}Name"))?;
        let (old_path, old_name) = match kind {
            "User" => self.user(account, &name).map(|user| (user.path, user.name)).ok()?,
            _ => self.kept(account, &name).map(|group: Group| (group.path, group.name)).ok()?,
        };
        let (path, name) = (given.0.unwrap_or(old_path), given.1.unwrap_or(old_name));
        let resource = format!("arn:aws:iam::{account}:{}{path}{name}", kind.to_ascii_lowercase());
        let action = subject.operation.action;
        Some(Need { action, resource, keys: ConditionKeys::new(), owner: None, policy: None, trust: false })
    }

    /// Who puts a role into an instance profile passes it to every machine with the profile.
    fn passed_role(&self, subject: &Subject<'_>) -> Option<Need> {
        if subject.operation.name != "AddRoleToInstanceProfile" {
            return None;
        }
        let role = self.role(subject.account(), &subject.text("RoleName")?).ok()?;
        let resource = role.arn(subject.account());
        Some(Need {
            action: "iam:PassRole",
            resource,
            keys: ConditionKeys::new(),
            owner: None,
            policy: None,
            trust: false,
        })
    }

    /// The ARN of what is there already, its tags and its boundary.
    fn existing(&self, subject: &Subject<'_>, account: Account, keys: &mut ConditionKeys) -> Option<String> {
        let (_, rest) = subject.resource.split_once(&format!("::{account}:"))?;
        let (arn, held, boundary) = match rest.split_once('/')?.0 {
            "group" => {
                let group: Group = self.kept(account, &subject.text("GroupName")?).ok()?;
                (group.arn(account), BTreeMap::new(), None)
            }
            "role" => {
                let role = self.role(account, &subject.text("RoleName")?).ok()?;
                (role.arn(account), role.tags, role.boundary)
            }
            "user" => {
                // Without a name the caller's own user is meant.
                let own = match subject.principal {
                    Principal::User { name, .. } => Some(name.clone()),
                    _ => None,
                };
                let user = self.user(account, &subject.text("UserName").or(own)?).ok()?;
                (user.arn(account), user.tags, user.boundary)
            }
            "instance-profile" => {
                let profile: InstanceProfile = self.kept(account, &subject.text("InstanceProfileName")?).ok()?;
                (profile.arn(account), profile.tags, None)
            }
            "policy" => {
                let policy: Policy = self.kept(account, subject.resource).ok()?;
                (policy.arn(account), policy.tags, None)
            }
            "oidc-provider" => {
                let provider: OidcProvider = self.kept(account, subject.resource).ok()?;
                (provider.arn(account), provider.tags, None)
            }
            _ => return None,
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
