//! Groups and who belongs to them.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::Batch;
use wire::Unit;

use super::page::page;
use super::show;
use crate::Identity;
use crate::faults::{self, quota};
use crate::rules::credential;
use crate::state::{self, Kind, SPACE};
use crate::types::{Group, User};

/// Source: IAM User Guide, "IAM and AWS STS quotas".
pub(super) const GROUPS_PER_ACCOUNT: usize = 300;
pub(super) const GROUPS_PER_USER: usize = 10;

impl Handle<ops::CreateGroup> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::CreateGroupRequest,
        _: Body,
    ) -> Result<Answer<iam::CreateGroupResponse>, Fault> {
        let account = context.account;
        let group = Group {
            name: input.group_name.unwrap_or_default(),
            path: input.path.unwrap_or_else(|| "/".into()),
            id: credential::unique_id("AGPA", &*self.rng),
            created_ms: self.clocks.product().0 / 1000 * 1000,
            inline: Default::default(),
            attached: Vec::new(),
            members: Vec::new(),
        };
        let taken = format!("Group with name {} already exists.", group.name);
        self.make(account, &group.name, &group, ("GroupsPerAccount", GROUPS_PER_ACCOUNT), taken).await?;
        Ok(iam::CreateGroupResponse { group: Some(show::group(&group, account)) }.into())
    }
}

impl Handle<ops::GetGroup> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::GetGroupRequest,
        _: Body,
    ) -> Result<Answer<iam::GetGroupResponse>, Fault> {
        let account = context.account;
        let mut group: Group = self.kept(account, &input.group_name.unwrap_or_default())?;
        let mut names = std::mem::take(&mut group.members);
        names.sort_by_key(|name| name.to_lowercase());
        let page = page(names, input.marker.as_deref(), input.max_items, |name| name.to_lowercase())?;
        let users = page.items.iter().map(|name| self.user(account, name)).collect::<Result<Vec<_>, _>>()?;
        let shown = users.iter().map(|user| show::listed_user(user, account));
        let output = iam::GetGroupResponse {
            group: Some(show::group(&group, account)),
            users: Some(shown.collect()),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

impl Handle<ops::DeleteGroup> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeleteGroupRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = input.group_name.unwrap_or_default();
        let row = state::row(context.account, Kind::Group, &name);
        self.transact(vec![row.clone()], move |rows| {
            let group: Group = rows.json(SPACE, &row)?.ok_or_else(|| faults::none_such("group", &name))?;
            let conflict = |message: &str| Err(iam::delete_conflict_exception(message));
            if !group.members.is_empty() {
                return conflict("Cannot delete entity, must remove users from group first.");
            }
            if !group.attached.is_empty() {
                return conflict("Cannot delete entity, must detach all policies first.");
            }
            if !group.inline.is_empty() {
                return conflict("Cannot delete entity, must delete policies first.");
            }
            let mut batch = Batch::new();
            batch.delete(SPACE, row.clone());
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListGroups> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListGroupsRequest,
        _: Body,
    ) -> Result<Answer<iam::ListGroupsResponse>, Fault> {
        let prefix = input.path_prefix.unwrap_or_else(|| "/".into());
        let mut groups: Vec<Group> = Vec::new();
        state::each(&*self.kv, &state::prefix(context.account, Kind::Group), |_, group: Group| {
            if group.path.starts_with(&prefix) {
                groups.push(group);
            }
        })?;
        let page = page(groups, input.marker.as_deref(), input.max_items, |group| group.name.to_lowercase())?;
        let output = iam::ListGroupsResponse {
            groups: Some(page.items.iter().map(|group| show::group(group, context.account)).collect()),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

impl Handle<ops::ListGroupsForUser> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListGroupsForUserRequest,
        _: Body,
    ) -> Result<Answer<iam::ListGroupsForUserResponse>, Fault> {
        let mut names = self.user(context.account, &input.user_name.unwrap_or_default())?.groups;
        names.sort_by_key(|name| name.to_lowercase());
        let page = page(names, input.marker.as_deref(), input.max_items, |name| name.to_lowercase())?;
        let groups = page.items.iter().map(|name| self.kept(context.account, name));
        let groups = groups.collect::<Result<Vec<Group>, _>>()?;
        let output = iam::ListGroupsForUserResponse {
            groups: Some(groups.iter().map(|group| show::group(group, context.account)).collect()),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

impl Handle<ops::AddUserToGroup> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::AddUserToGroupRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (group, user) = (input.group_name.unwrap_or_default(), input.user_name.unwrap_or_default());
        self.membership(&context, group, user, true).await
    }
}

impl Handle<ops::RemoveUserFromGroup> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::RemoveUserFromGroupRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let (group, user) = (input.group_name.unwrap_or_default(), input.user_name.unwrap_or_default());
        self.membership(&context, group, user, false).await
    }
}

impl Identity {
    /// Both rows know of a membership, so that neither side needs a search. To add again changes nothing.
    async fn membership(
        &self,
        context: &Context,
        group: String,
        user: String,
        joins: bool,
    ) -> Result<Answer<Unit>, Fault> {
        let group_row = state::row(context.account, Kind::Group, &group);
        let user_row = state::row(context.account, Kind::User, &user);
        self.transact(vec![group_row.clone(), user_row.clone()], move |rows| {
            let missing = || faults::none_such("group", &group);
            let mut group: Group = rows.json(SPACE, &group_row)?.ok_or_else(missing)?;
            let mut user: User = rows.json(SPACE, &user_row)?.ok_or_else(|| faults::no_user(&user))?;
            let belongs = group.members.contains(&user.name);
            match (joins, belongs) {
                (true, false) if user.groups.len() >= GROUPS_PER_USER => {
                    return Err(quota("GroupsPerUser", GROUPS_PER_USER));
                }
                (true, false) => {
                    group.members.push(user.name.clone());
                    user.groups.push(group.name.clone());
                }
                (true, true) => {}
                (false, true) => {
                    group.members.retain(|name| *name != user.name);
                    user.groups.retain(|name| *name != group.name);
                }
                (false, false) => {
                    let message = format!("User {} is not in group {}.", user.name, group.name);
                    return Err(iam::no_such_entity_exception(message));
                }
            }
            let mut batch = Batch::new();
            batch.put_json(SPACE, group_row.clone(), &group)?;
            batch.put_json(SPACE, user_row.clone(), &user)?;
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}
