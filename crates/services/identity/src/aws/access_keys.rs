//! Access keys of users and of root.

use std::sync::Arc;

use base::{Fault, Principal, Timestamp};
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::Batch;
use wire::Unit;

use super::page::page;
use crate::Identity;
use crate::faults::{self, quota};
use crate::rules::credential::{self, KeyKind};
use crate::state::{self, Kind, SPACE};
use crate::types::{AccessKey, User};

/// Source: IAM User Guide, "IAM and AWS STS quotas".
pub(super) const KEYS_PER_USER: usize = 2;

/// What IAM calls root's user name.
const ROOT: &str = "root";

fn status(active: bool) -> Option<String> {
    Some(if active { "Active" } else { "Inactive" }.into())
}

/// Whose keys are meant: the named user's, or the caller's own; none is root.
fn owner(named: Option<String>, caller: &Principal) -> Result<Option<String>, Fault> {
    match (named, caller) {
        (Some(name), _) => Ok(Some(name)),
        (None, Principal::Root { .. }) => Ok(None),
        (None, Principal::User { name, .. }) => Ok(Some(name.clone())),
        (None, _) => Err(faults::invalid("Must specify userName when calling with non-User credentials")),
    }
}

impl Handle<ops::CreateAccessKey> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::CreateAccessKeyRequest,
        _: Body,
    ) -> Result<Answer<iam::CreateAccessKeyResponse>, Fault> {
        let account = context.account;
        let user = owner(input.user_name, &context.principal)?;
        if user.is_none() && self.keys_of(account, None).len() >= KEYS_PER_USER {
            return Err(quota("AccessKeysPerUser", KEYS_PER_USER));
        }
        let id = credential::key_id(KeyKind::LongLived, account, self.noise());
        let key = AccessKey {
            account: account.to_string(),
            user: user.clone(),
            secret: credential::fresh_secret(&*self.rng),
            active: true,
            created_ms: self.clocks.product().0 / 1000 * 1000,
            first: false,
        };
        let user_row = user.as_ref().map(|name| state::row(account, Kind::User, name));
        let (key_row, stored, new_id) = (state::key_row(&id), key.clone(), id.clone());
        let declared = [Some(key_row.clone()), user_row.clone()].into_iter().flatten().collect();
        self.transact(declared, move |rows| {
            let mut batch = Batch::new();
            if rows.get(SPACE, &key_row).is_some() {
                return Err(Fault::internal("a fresh access key id is taken; try again"));
            }
            let mut stored = stored.clone();
            if let (Some(row), Some(name)) = (&user_row, &stored.user) {
                let mut user: User = rows.json(SPACE, row)?.ok_or_else(|| faults::no_user(name))?;
                if user.keys.len() >= KEYS_PER_USER {
                    return Err(quota("AccessKeysPerUser", KEYS_PER_USER));
                }
                user.keys.push(new_id.clone());
                batch.put_json(SPACE, row.clone(), &user)?;
                // As the user is written, whatever case the request used.
                stored.user = Some(user.name);
            }
            batch.put_json(SPACE, key_row.clone(), &stored)?;
            Ok((batch, ()))
        })
        .await?;
        self.refresh_key(&id)?;
        let shown = iam::AccessKey {
            user_name: Some(user.unwrap_or_else(|| ROOT.into())),
            access_key_id: Some(id),
            status: status(true),
            secret_access_key: Some(key.secret),
            create_date: Some(Timestamp(key.created_ms)),
        };
        Ok(iam::CreateAccessKeyResponse { access_key: Some(shown) }.into())
    }
}

impl Handle<ops::UpdateAccessKey> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::UpdateAccessKeyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let id = input.access_key_id.unwrap_or_default();
        let active = match input.status.as_deref() {
            Some("Active") => true,
            Some("Inactive") => false,
            _ => return Err(iam::invalid_input_exception("Status must be Active or Inactive.")),
        };
        self.own_key(&context, input.user_name, &id)?;
        let (row, missing) = (state::key_row(&id), faults::no_key(&id));
        self.transact(vec![row.clone()], move |rows| {
            let mut key: AccessKey = rows.json(SPACE, &row)?.ok_or_else(|| missing.clone())?;
            key.active = active;
            let mut batch = Batch::new();
            batch.put_json(SPACE, row.clone(), &key)?;
            Ok((batch, ()))
        })
        .await?;
        self.refresh_key(&id)?;
        Ok(Unit.into())
    }
}

impl Handle<ops::DeleteAccessKey> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::DeleteAccessKeyRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let id = input.access_key_id.unwrap_or_default();
        let user = self.own_key(&context, input.user_name, &id)?;
        let user_row = user.map(|name| state::row(context.account, Kind::User, &name));
        let (key_row, gone) = (state::key_row(&id), id.clone());
        let declared = [Some(key_row.clone()), user_row.clone()].into_iter().flatten().collect();
        self.transact(declared, move |rows| {
            if rows.get(SPACE, &key_row).is_none() {
                return Err(faults::no_key(&gone));
            }
            let mut batch = Batch::new();
            batch.delete(SPACE, key_row.clone());
            if let Some(row) = &user_row
                && let Some(mut user) = rows.json::<User>(SPACE, row)?
            {
                user.keys.retain(|id| *id != gone);
                batch.put_json(SPACE, row.clone(), &user)?;
            }
            Ok((batch, ()))
        })
        .await?;
        self.refresh_key(&id)?;
        Ok(Unit.into())
    }
}

impl Handle<ops::ListAccessKeys> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::ListAccessKeysRequest,
        _: Body,
    ) -> Result<Answer<iam::ListAccessKeysResponse>, Fault> {
        let user = match owner(input.user_name, &context.principal)? {
            Some(name) => Some(self.user(context.account, &name)?.name),
            None => None,
        };
        let mut keys = self.keys_of(context.account, user.as_deref());
        keys.sort_by(|a, b| a.0.cmp(&b.0));
        let page = page(keys, input.marker.as_deref(), input.max_items, |(id, _)| id.clone())?;
        let shown = page.items.into_iter().map(|(id, key)| iam::AccessKeyMetadata {
            user_name: Some(key.user.unwrap_or_else(|| ROOT.into())),
            access_key_id: Some(id),
            status: status(key.active),
            create_date: Some(Timestamp(key.created_ms)),
        });
        let output = iam::ListAccessKeysResponse {
            access_key_metadata: Some(shown.collect()),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        };
        Ok(output.into())
    }
}

impl Identity {
    /// The owner of a key that must belong to the named user, or to the caller.
    fn own_key(&self, context: &Context, named: Option<String>, id: &str) -> Result<Option<String>, Fault> {
        let user = match owner(named, &context.principal)? {
            Some(name) => Some(self.user(context.account, &name)?.name),
            None => None,
        };
        match self.key(id) {
            Some(key) if key.account() == context.account && key.user == user => Ok(user),
            _ => Err(faults::no_key(id)),
        }
    }
}
