//! Users.

use std::sync::Arc;

use base::{Fault, Principal, Timestamp};
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::Batch;
use wire::Unit;

use super::page::page;
use super::roles::check_boundary;
use super::{show, tags};
use crate::Identity;
use crate::faults;
use crate::rules::credential;
use crate::state::{self, Kind, SPACE};
use crate::types::User;

/// Source: IAM User Guide, "IAM and AWS STS quotas".
pub(super) const USERS_PER_ACCOUNT: usize = 5000;

impl Handle<ops::CreateUser> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::CreateUserRequest,
        _: Body,
    ) -> Result<Answer<iam::CreateUserResponse>, Fault> {
        let account = context.account;
        check_boundary(&self, account, input.permissions_boundary.as_deref())?;
        let user = User {
            name: input.user_name.unwrap_or_default(),
            path: input.path.unwrap_or_else(|| "/".into()),
            id: credential::unique_id("AIDA", &*self.rng),
            created_ms: self.clocks.product().0 / 1000 * 1000,
            boundary: input.permissions_boundary,
            tags: tags::given(input.tags)?,
            keys: Vec::new(),
            inline: Default::default(),
            attached: Vec::new(),
            groups: Vec::new(),
        };
        let taken = format!("User with name {} already exists.", user.name);
        self.make(account, &user.name, &user, ("UsersPerAccount", USERS_PER_ACCOUNT), taken).await?;
        Ok(iam::CreateUserResponse { user: Some(show::user(&user, account)) }.into())
    }
}

impl Handle<ops::GetUser> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::GetUserRequest,
        _: Body,
    ) -> Result<Answer<iam::GetUserResponse>, Fault> {
        let account = context.account;
        let user = match (input.user_name, &context.principal) {
            (Some(name), _) => show::user(&self.user(account, &name)?, account),
            (None, Principal::User { name, .. }) => show::user(&self.user(account, name)?, account),
            // Root is no user; IAM shows it as one.
            (None, Principal::Root { .. }) => iam::User {
                user_id: Some(account.to_string()),
                arn: Some(context.principal.arn()),
                create_date: Some(Timestamp(0)),
                path: Some("/".into()),
                user_name: Some("root".into()),
                ..Default::default()
            },
            (None, _) => {
                return Err(faults::invalid("Must specify userName when calling with non-User credentials"));
            }
        };
        Ok(iam::GetUserResponse { user: Some(user) }.into())
    }
}

impl Handle<ops::DeleteUser> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeleteUserRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let name = input.user_name.unwrap_or_default();
        let row = state::row(context.account, Kind::User, &name);
        self.transact(vec![row.clone()], move |rows| {
            let user: User = rows.json(SPACE, &row)?.ok_or_else(|| faults::no_user(&name))?;
            let conflict = |message: &str| Err(iam::delete_conflict_exception(message));
            if !user.keys.is_empty() {
                return conflict("Cannot delete entity, must delete access keys first.");
            }
            if !user.groups.is_empty() {
                return conflict("Cannot delete entity, must remove users from group first.");
            }
            if !user.attached.is_empty() {
                return conflict("Cannot delete entity, must detach all policies first.");
            }
            if !user.inline.is_empty() {
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

impl Handle<ops::ListUsers> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListUsersRequest,
        _: Body,
    ) -> Result<Answer<iam::ListUsersResponse>, Fault> {
        let prefix = input.path_prefix.unwrap_or_else(|| "/".into());
        let mut users: Vec<User> = Vec::new();
        state::each(&*self.kv, &state::prefix(context.account, Kind::User), |_, user: User| {
            if user.path.starts_with(&prefix) {
                users.push(user);
            }
        })?;
        let page = page(users, input.marker.as_deref(), input.max_items, |user| user.name.to_lowercase())?;
        let shown = page.items.iter().map(|user| show::listed_user(user, context.account));
        let output = iam::ListUsersResponse {
            users: Some(shown.collect()),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}
