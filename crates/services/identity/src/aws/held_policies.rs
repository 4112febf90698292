//! The inline policies of roles, users and groups, and the managed ones attached to them: the same seven operations for
//! each of the three.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use store::Batch;
use wire::Unit;

use super::page::page;
use super::show::encoded;
use crate::Identity;
use crate::engine::policy_name;
use crate::faults::{self, quota};
use crate::holder::Holder;
use crate::managed;
use crate::rules::document::{Purpose, read};
use crate::state::{self, Kind, SPACE};
use crate::types::{Group, Policy, Role, User};

/// The operations that change the policies of one kind of holder.
macro_rules! changes {
    ($holder:ty, $name:ident, $put:ident $put_in:ident, $delete:ident $delete_in:ident, $attach:ident $attach_in:ident,
     $detach:ident $detach_in:ident) => {
        impl Handle<ops::$put> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$put_in,
                _: Body,
            ) -> Result<Answer<Unit>, Fault> {
                let (name, text) = (input.policy_name.unwrap_or_default(), input.policy_document.unwrap_or_default());
                self.put_inline::<$holder>(&context, &input.$name.unwrap_or_default(), name, text).await
            }
        }

        impl Handle<ops::$delete> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$delete_in,
                _: Body,
            ) -> Result<Answer<Unit>, Fault> {
                let name = input.policy_name.unwrap_or_default();
                self.delete_inline::<$holder>(&context, &input.$name.unwrap_or_default(), name).await
            }
        }

        impl Handle<ops::$attach> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$attach_in,
                _: Body,
            ) -> Result<Answer<Unit>, Fault> {
                let (name, arn) = (input.$name.unwrap_or_default(), input.policy_arn.unwrap_or_default());
                self.attachment::<$holder>(&context, name, arn, true).await
            }
        }

        impl Handle<ops::$detach> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$detach_in,
                _: Body,
            ) -> Result<Answer<Unit>, Fault> {
                let (name, arn) = (input.$name.unwrap_or_default(), input.policy_arn.unwrap_or_default());
                self.attachment::<$holder>(&context, name, arn, false).await
            }
        }
    };
}

/// The operations that show the policies of one kind of holder.
macro_rules! reads {
    ($holder:ty, $name:ident, $get:ident $get_in:ident $get_out:ident, $list:ident $list_in:ident $list_out:ident,
     $attached:ident $attached_in:ident $attached_out:ident) => {
        impl Handle<ops::$get> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$get_in,
                _: Body,
            ) -> Result<Answer<iam::$get_out>, Fault> {
                let mut holder: $holder = self.kept(context.account, &input.$name.unwrap_or_default())?;
                let name = input.policy_name.unwrap_or_default();
                let text = holder.inline().remove(&name).ok_or_else(|| faults::no_inline(<$holder>::WORD, &name))?;
                let output = iam::$get_out {
                    policy_document: Some(encoded(&text)),
                    $name: Some(holder.name().to_owned()),
                    policy_name: Some(name),
                };
                Ok(output.into())
            }
        }

        impl Handle<ops::$list> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$list_in,
                _: Body,
            ) -> Result<Answer<iam::$list_out>, Fault> {
                let mut holder: $holder = self.kept(context.account, &input.$name.unwrap_or_default())?;
                let names: Vec<String> = std::mem::take(holder.inline()).into_keys().collect();
                let page = page(names, input.marker.as_deref(), input.max_items, Clone::clone)?;
                let (marker, names) = (page.marker, page.items);
                let output = iam::$list_out { policy_names: Some(names), is_truncated: Some(marker.is_some()), marker };
                Ok(output.into())
            }
        }

        impl Handle<ops::$attached> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$attached_in,
                _: Body,
            ) -> Result<Answer<iam::$attached_out>, Fault> {
                let mut holder: $holder = self.kept(context.account, &input.$name.unwrap_or_default())?;
                let arns = under(std::mem::take(holder.attached()), input.path_prefix.as_deref());
                let page = page(arns, input.marker.as_deref(), input.max_items, Clone::clone)?;
                let (marker, shown) = (page.marker, page.items.into_iter().map(shown).collect());
                let output =
                    iam::$attached_out { attached_policies: Some(shown), is_truncated: Some(marker.is_some()), marker };
                Ok(output.into())
            }
        }
    };
}

changes!(Role, role_name, PutRolePolicy PutRolePolicyRequest, DeleteRolePolicy DeleteRolePolicyRequest,
    AttachRolePolicy AttachRolePolicyRequest, DetachRolePolicy DetachRolePolicyRequest);
reads!(Role, role_name, GetRolePolicy GetRolePolicyRequest GetRolePolicyResponse,
    ListRolePolicies ListRolePoliciesRequest ListRolePoliciesResponse,
    ListAttachedRolePolicies ListAttachedRolePoliciesRequest ListAttachedRolePoliciesResponse);
changes!(User, user_name, PutUserPolicy PutUserPolicyRequest, DeleteUserPolicy DeleteUserPolicyRequest,
    AttachUserPolicy AttachUserPolicyRequest, DetachUserPolicy DetachUserPolicyRequest);
reads!(User, user_name, GetUserPolicy GetUserPolicyRequest GetUserPolicyResponse,
    ListUserPolicies ListUserPoliciesRequest ListUserPoliciesResponse,
    ListAttachedUserPolicies ListAttachedUserPoliciesRequest ListAttachedUserPoliciesResponse);
changes!(Group, group_name, PutGroupPolicy PutGroupPolicyRequest, DeleteGroupPolicy DeleteGroupPolicyRequest,
    AttachGroupPolicy AttachGroupPolicyRequest, DetachGroupPolicy DetachGroupPolicyRequest);
reads!(Group, group_name, GetGroupPolicy GetGroupPolicyRequest GetGroupPolicyResponse,
    ListGroupPolicies ListGroupPoliciesRequest ListGroupPoliciesResponse,
    ListAttachedGroupPolicies ListAttachedGroupPoliciesRequest ListAttachedGroupPoliciesResponse);

/// The ARNs whose policy has a path that begins so, in order.
fn under(mut arns: Vec<String>, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.unwrap_or("/");
    arns.retain(|arn| arn.split_once(":policy").is_some_and(|(_, path)| path.starts_with(prefix)));
    arns.sort();
    arns
}

fn shown(arn: String) -> iam::AttachedPolicy {
    iam::AttachedPolicy { policy_name: arn.rsplit('/').next().map(str::to_owned), policy_arn: Some(arn) }
}

impl Identity {
    async fn put_inline<H: Holder>(
        &self,
        context: &Context,
        holder: &str,
        name: String,
        text: String,
    ) -> Result<Answer<Unit>, Fault> {
        read(&text, Purpose::Identity)?;
        self.change(context.account, holder, move |held: &mut H| {
            held.may_change()?;
            held.inline().insert(name.clone(), text.clone());
            let all = held.inline().values().flat_map(|text| text.chars());
            if all.filter(|letter| !letter.is_whitespace()).count() > H::INLINE_CHARS {
                let (size, word, name) = (H::INLINE_CHARS, H::WORD, held.name());
                let message = format!("Maximum policy size of {size} bytes exceeded for {word} {name}");
                return Err(iam::limit_exceeded_exception(message));
            }
            Ok(())
        })
        .await?;
        Ok(Unit.into())
    }

    async fn delete_inline<H: Holder>(
        &self,
        context: &Context,
        holder: &str,
        name: String,
    ) -> Result<Answer<Unit>, Fault> {
        self.change(context.account, holder, move |held: &mut H| {
            held.may_change()?;
            held.inline().remove(&name).map(drop).ok_or_else(|| faults::no_inline(H::WORD, &name))
        })
        .await?;
        Ok(Unit.into())
    }

    /// Attaches or detaches, and counts it in the policy's row, in one transaction.
    async fn attachment<H: Holder>(
        &self,
        context: &Context,
        name: String,
        arn: String,
        attach: bool,
    ) -> Result<Answer<Unit>, Fault> {
        let account = context.account;
        let holder_row = state::row(account, H::KIND, &name);
        // AWS's own policies have no row; any other ARN must lead to one.
        let policy_row = match managed::find(&arn) {
            Some(_) => None,
            None => {
                let missing = if attach { faults::not_attachable(&arn) } else { faults::no_policy(&arn) };
                Some(policy_name(account, &arn).map(|name| state::row(account, Kind::Policy, name)).ok_or(missing)?)
            }
        };
        let declared = [Some(holder_row.clone()), policy_row.clone()].into_iter().flatten().collect();
        self.transact(declared, move |rows| {
            let mut batch = Batch::new();
            let mut changed: H = rows.json(SPACE, &holder_row)?.ok_or_else(|| H::missing(&name))?;
            changed.may_change()?;
            let held = changed.attached().contains(&arn);
            let (quota_name, most) = H::ATTACHED;
            if attach && !held && changed.attached().len() >= most {
                return Err(quota(quota_name, most));
            }
            if let Some(row) = &policy_row {
                let policy: Option<Policy> = rows.json(SPACE, row)?;
                let missing = || if attach { faults::not_attachable(&arn) } else { faults::no_policy(&arn) };
                let mut policy = policy.filter(|policy| policy.arn(account) == arn).ok_or_else(missing)?;
                if attach != held {
                    policy.attachments =
                        if attach { policy.attachments + 1 } else { policy.attachments.saturating_sub(1) };
                    batch.put_json(SPACE, row.clone(), &policy)?;
                }
            }
            match (attach, held) {
                (true, false) => changed.attached().push(arn.clone()),
                // To attach again changes nothing and is no error.
                (true, true) => {}
                (false, true) => changed.attached().retain(|held| *held != arn),
                (false, false) => return Err(faults::no_policy(&arn)),
            }
            batch.put_json(SPACE, holder_row.clone(), &changed)?;
            Ok((batch, ()))
        })
        .await?;
        Ok(Unit.into())
    }
}
