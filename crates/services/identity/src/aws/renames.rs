//! UpdateUser and UpdateGroup: another name or path, under which everything of it goes on.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::{Batch, Rows};
use wire::Unit;

use crate::Identity;
use crate::faults;
use crate::state::{self, Kind, SPACE};
use crate::types::{AccessKey, Group, User};

/// What was read before the transaction began is no longer so.
fn changed_meanwhile() -> Fault {
    let message = "The request was rejected because multiple requests to change this object were submitted simultaneously. \
                   Wait a few minutes and submit your request again.";
    iam::concurrent_modification_exception(message)
}

/// Whether a name can be taken: it is free, or it is the same but for its case.
fn check_free(rows: &Rows, from: &[u8], to: &[u8], word: &str, name: &str) -> Result<(), Fault> {
    if from != to && rows.get(SPACE, to).is_some() {
        return Err(iam::entity_already_exists_exception(format!("{word} with name {name} already exists.")));
    }
    Ok(())
}

fn rename(names: &mut [String], from: &str, to: &str) {
    for name in names.iter_mut().filter(|name| *name == from) {
        to.clone_into(name);
    }
}

impl Handle<ops::UpdateUser> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::UpdateUserRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let account = context.account;
        let before = self.user(account, &input.user_name.unwrap_or_default())?;
        let name = input.new_user_name.unwrap_or_else(|| before.name.clone());
        let path = input.new_path.unwrap_or_else(|| before.path.clone());
        let (from, to) = (state::row(account, Kind::User, &before.name), state::row(account, Kind::User, &name));
        let groups: Vec<_> = before.groups.iter().map(|group| state::row(account, Kind::Group, group)).collect();
        let keys: Vec<_> = before.keys.iter().map(|id| state::key_row(id)).collect();
        let declared = [from.clone(), to.clone()].into_iter().chain(groups.clone()).chain(keys.clone()).collect();
        let ids = before.keys.clone();
        self.transact(declared, move |rows| {
            let mut user: User = rows.json(SPACE, &from)?.ok_or_else(|| faults::no_user(&before.name))?;
            if user != before {
                return Err(changed_meanwhile());
            }
            check_free(rows, &from, &to, "User", &name)?;
            let mut batch = Batch::new();
            for row in &groups {
                let mut group: Group = rows.json(SPACE, row)?.ok_or_else(changed_meanwhile)?;
                rename(&mut group.members, &before.name, &name);
                batch.put_json(SPACE, row.clone(), &group)?;
            }
            for row in &keys {
                let mut key: AccessKey = rows.json(SPACE, row)?.ok_or_else(changed_meanwhile)?;
                key.user = Some(name.clone());
                batch.put_json(SPACE, row.clone(), &key)?;
            }
            (user.name, user.path) = (name.clone(), path.clone());
            if from != to {
                batch.delete(SPACE, from.clone());
            }
            batch.put_json(SPACE, to.clone(), &user)?;
            Ok((batch, ()))
        })
        .await?;
        ids.iter().try_for_each(|id| self.refresh_key(id))?;
        Ok(Unit.into())
    }
}

impl Handle<ops::UpdateGroup> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: iam::UpdateGroupRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        let account = context.account;
        let before: Group = self.kept(account, &input.group_name.unwrap_or_default())?;
        let name = input.new_group_name.unwrap_or_else(|| before.name.clone());
        let path = input.new_path.unwrap_or_else(|| before.path.clone());
        let (from, to) = (state::row(account, Kind::Group, &before.name), state::row(account, Kind::Group, &name));
        let members: Vec<_> = before.members.iter().map(|user| state::row(account, Kind::User, user)).collect();
        let declared = [from.clone(), to.clone()].into_iter().chain(members.clone()).collect();
        self.transact(declared, move |rows| {
            let mut group: Group = rows.json(SPACE, &from)?.ok_or_else(|| faults::none_such("group", &before.name))?;
            if group != before {
                return Err(changed_meanwhile());
            }
            check_free(rows, &from, &to, "Group", &name)?;
            let mut batch = Batch::new();
            for row in &members {
                let mut user: User = rows.json(SPACE, row)?.ok_or_else(changed_meanwhile)?;
                rename(&mut user.groups, &before.name, &name);
                batch.put_json(SPACE, row.clone(), &user)?;
            }
            (group.name, group.path) = (name.clone(), path.clone());
            if from != to {
                batch.delete(SPACE, from.clone());
            }
            batch.put_json(SPACE, to.clone(), &group)?;
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}
