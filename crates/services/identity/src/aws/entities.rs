//! Which roles, users and groups a managed policy is attached to, or bounds.

use std::sync::Arc;

use base::{Account, Fault};
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};

use super::page::page;
use crate::Identity;
use crate::faults;
use crate::holder::Holder;
use crate::managed;
use crate::state;
use crate::types::{Group, Role, User};

/// One that a policy is about: its kind by IAM's word, its name and its id.
type Entity = (&'static str, String, String);

impl Handle<ops::ListEntitiesForPolicy> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListEntitiesForPolicyRequest,
        _: Body,
    ) -> Result<Answer<iam::ListEntitiesForPolicyResponse>, Fault> {
        let arn = input.policy_arn.clone().unwrap_or_default();
        if managed::find(&arn).is_none() && self.policy(context.account, &arn)?.is_none() {
            return Err(faults::no_policy(&arn));
        }
        let mut all = self.of_kind::<Group>(context.account, "Group", &arn, &input)?;
        all.extend(self.of_kind::<User>(context.account, "User", &arn, &input)?);
        all.extend(self.of_kind::<Role>(context.account, "Role", &arn, &input)?);
        let page = page(all, input.marker.as_deref(), input.max_items, |(word, name, _)| {
            // In the order they were gathered in.
            let order = ["Group", "User", "Role"].iter().position(|one| one == word).unwrap_or_default();
            format!("{order}/{}", name.to_lowercase())
        })?;
        let mut output = iam::ListEntitiesForPolicyResponse {
            policy_groups: Some(Vec::new()),
            policy_users: Some(Vec::new()),
            policy_roles: Some(Vec::new()),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        for (word, name, id) in page.items {
            let (name, id) = (Some(name), Some(id));
            match word {
                "Group" => output
                    .policy_groups
                    .get_or_insert_default()
                    .push(iam::PolicyGroup { group_name: name, group_id: id }),
                "User" => {
                    output.policy_users.get_or_insert_default().push(iam::PolicyUser { user_name: name, user_id: id })
                }
                _ => output.policy_roles.get_or_insert_default().push(iam::PolicyRole { role_name: name, role_id: id }),
            }
        }
        Ok(output.into())
    }
}

impl Identity {
    fn of_kind<H: Holder>(
        &self,
        account: Account,
        word: &'static str,
        arn: &str,
        asked: &iam::ListEntitiesForPolicyRequest,
    ) -> Result<Vec<Entity>, Fault> {
        let mut found = Vec::new();
        // AWS's filter can also say that one kind of policies is meant; that says nothing about one policy's users.
        let other = asked.entity_filter.as_deref().filter(|filter| ["User", "Role", "Group"].contains(filter));
        if other.is_some_and(|filter| filter != word) {
            return Ok(found);
        }
        let prefix = asked.path_prefix.as_deref().unwrap_or("/");
        let usage = asked.policy_usage_filter.as_deref();
        state::each(&*self.kv, &state::prefix(account, H::KIND), |_, mut one: H| {
            let attached = usage != Some("PermissionsBoundary") && one.attached().iter().any(|held| held == arn);
            let bounds = usage != Some("PermissionsPolicy") && one.boundary() == Some(arn);
            if (attached || bounds) && one.path().starts_with(prefix) {
                found.push((word, one.name().to_owned(), one.id().to_owned()));
            }
        })?;
        Ok(found)
    }
}
