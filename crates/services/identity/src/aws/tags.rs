//! The tags of everything in IAM that has some: the same three operations for each.
//!
//! Keys have no case: a tag replaces one whose key differs in case alone. Source: IAM User Guide, "Tags for AWS Identity
//! and Access Management resources".

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::iam::{self, ops};
use wire::Unit;

use super::page::page;
use super::show;
use crate::Identity;
use crate::faults::quota;
use crate::holder::Tagged;
use crate::types::{InstanceProfile, OidcProvider, Policy, Role, User};

/// Tags of one thing.
const TAGS: usize = 50;

macro_rules! tags {
    ($tagged:ty, $name:ident, $tag:ident $tag_in:ident, $untag:ident $untag_in:ident,
     $list:ident $list_in:ident $list_out:ident) => {
        impl Handle<ops::$tag> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$tag_in,
                _: Body,
            ) -> Result<Answer<Unit>, Fault> {
                let tags = given(input.tags)?;
                self.change(context.account, &input.$name.unwrap_or_default(), move |held: &mut $tagged| {
                    tag(held, &tags)
                })
                .await?;
                Ok(Unit.into())
            }
        }

        impl Handle<ops::$untag> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$untag_in,
                _: Body,
            ) -> Result<Answer<Unit>, Fault> {
                let keys = input.tag_keys.unwrap_or_default();
                self.change(context.account, &input.$name.unwrap_or_default(), move |held: &mut $tagged| {
                    held.tags().retain(|held, _| !keys.iter().any(|key| key.eq_ignore_ascii_case(held)));
                    Ok(())
                })
                .await?;
                Ok(Unit.into())
            }
        }

        impl Handle<ops::$list> for Identity {
            async fn handle(
                self: Arc<Self>,
                context: Context,
                input: iam::$list_in,
                _: Body,
            ) -> Result<Answer<iam::$list_out>, Fault> {
                let mut held: $tagged = self.kept(context.account, &input.$name.unwrap_or_default())?;
                let key = |tag: &iam::Tag| tag.key.clone().unwrap_or_default();
                let page = page(show::tags(held.tags()), input.marker.as_deref(), input.max_items, key)?;
                let (tags, marker) = (Some(page.items), page.marker);
                Ok(iam::$list_out { tags, is_truncated: Some(marker.is_some()), marker }.into())
            }
        }
    };
}

tags!(Role, role_name, TagRole TagRoleRequest, UntagRole UntagRoleRequest,
    ListRoleTags ListRoleTagsRequest ListRoleTagsResponse);
tags!(User, user_name, TagUser TagUserRequest, UntagUser UntagUserRequest,
    ListUserTags ListUserTagsRequest ListUserTagsResponse);
tags!(Policy, policy_arn, TagPolicy TagPolicyRequest, UntagPolicy UntagPolicyRequest,
    ListPolicyTags ListPolicyTagsRequest ListPolicyTagsResponse);
tags!(InstanceProfile, instance_profile_name, TagInstanceProfile TagInstanceProfileRequest,
    UntagInstanceProfile UntagInstanceProfileRequest,
    ListInstanceProfileTags ListInstanceProfileTagsRequest ListInstanceProfileTagsResponse);
tags!(OidcProvider, open_id_connect_provider_arn, TagOpenIDConnectProvider TagOpenIDConnectProviderRequest,
    UntagOpenIDConnectProvider UntagOpenIDConnectProviderRequest,
    ListOpenIDConnectProviderTags ListOpenIDConnectProviderTagsRequest ListOpenIDConnectProviderTagsResponse);

/// The tags of a request, no key of which may come twice.
///
/// # Errors
/// `InvalidInput`.
pub(super) fn given(tags: Option<Vec<iam::Tag>>) -> Result<BTreeMap<String, String>, Fault> {
    let mut found = BTreeMap::new();
    for iam::Tag { key, value } in tags.unwrap_or_default() {
        let key = key.unwrap_or_default();
        if found.keys().any(|known: &String| known.eq_ignore_ascii_case(&key)) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(iam::invalid_input_exception(message));
        }
        found.insert(key, value.unwrap_or_default());
    }
    Ok(found)
}

fn tag<T: Tagged>(held: &mut T, tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    let all = held.tags();
    all.retain(|held, _| !tags.keys().any(|key| key.eq_ignore_ascii_case(held)));
    all.extend(tags.clone());
    if all.len() > TAGS { Err(quota(T::QUOTA, TAGS)) } else { Ok(()) }
}
