//! Tags of what has the same three operations for them, and what else is made with some.

use model::iam::{self, ops};

use crate::world::{ALLOW_ALL, World, assert_fault};

fn tag(key: &str) -> iam::Tag {
    iam::Tag { key: Some(key.into()), value: Some(format!("value of {key}")) }
}

macro_rules! comes_and_goes {
    ($world:ident, $name:ident: $value:expr, $tag:ident $tag_in:ident, $untag:ident $untag_in:ident,
     $list:ident $list_in:ident) => {{
        let name = || Some($value.to_owned());
        let put = iam::$tag_in { $name: name(), tags: Some(["a", "b", "c"].map(tag).into()) };
        $world.call::<ops::$tag>(put).await.unwrap();
        let gone = iam::$untag_in { $name: name(), tag_keys: Some(vec!["B".into()]) };
        $world.call::<ops::$untag>(gone).await.unwrap();
        let first = iam::$list_in { $name: name(), max_items: Some(1), ..Default::default() };
        let first = $world.call::<ops::$list>(first).await.unwrap();
        assert_eq!((first.tags, first.is_truncated), (Some(vec![tag("a")]), Some(true)));
        let rest = iam::$list_in { $name: name(), marker: first.marker, ..Default::default() };
        let rest = $world.call::<ops::$list>(rest).await.unwrap();
        assert_eq!((rest.tags, rest.is_truncated), (Some(vec![tag("c")]), Some(false)));
    }};
}

#[tokio::test]
async fn tags_come_go_and_are_listed_in_pages() {
    let world = World::new().await;
    let arn = world.create_policy("p").await;
    comes_and_goes!(world, policy_arn: arn, TagPolicy TagPolicyRequest, UntagPolicy UntagPolicyRequest,
        ListPolicyTags ListPolicyTagsRequest);
    let input = iam::CreateInstanceProfileRequest { instance_profile_name: Some("box".into()), ..Default::default() };
    world.call::<ops::CreateInstanceProfile>(input).await.unwrap();
    comes_and_goes!(world, instance_profile_name: "box", TagInstanceProfile TagInstanceProfileRequest,
        UntagInstanceProfile UntagInstanceProfileRequest, ListInstanceProfileTags ListInstanceProfileTagsRequest);
    let input = iam::CreateOpenIDConnectProviderRequest { url: Some("https://t.example".into()), ..Default::default() };
    let arn =
        world.call::<ops::CreateOpenIDConnectProvider>(input).await.unwrap().open_id_connect_provider_arn.unwrap();
    comes_and_goes!(world, open_id_connect_provider_arn: arn,
        TagOpenIDConnectProvider TagOpenIDConnectProviderRequest,
        UntagOpenIDConnectProvider UntagOpenIDConnectProviderRequest,
        ListOpenIDConnectProviderTags ListOpenIDConnectProviderTagsRequest);
}

#[tokio::test]
async fn what_is_made_with_tags_has_them() {
    let world = World::new().await;
    let tags = || Some(vec![tag("team")]);
    let input = iam::CreatePolicyRequest {
        policy_name: Some("p".into()),
        policy_document: Some(ALLOW_ALL.into()),
        tags: tags(),
        ..Default::default()
    };
    let policy_arn = world.call::<ops::CreatePolicy>(input).await.unwrap().policy.unwrap().arn;
    let got = world.call::<ops::GetPolicy>(iam::GetPolicyRequest { policy_arn }).await.unwrap();
    assert_eq!(got.policy.unwrap().tags, tags());
    let url = Some("https://t.example".to_owned());
    let input = iam::CreateOpenIDConnectProviderRequest { url, tags: tags(), ..Default::default() };
    let made = world.call::<ops::CreateOpenIDConnectProvider>(input).await.unwrap();
    let open_id_connect_provider_arn = made.open_id_connect_provider_arn;
    let input = iam::GetOpenIDConnectProviderRequest { open_id_connect_provider_arn };
    assert_eq!(world.call::<ops::GetOpenIDConnectProvider>(input).await.unwrap().tags, tags());
}

#[tokio::test]
async fn the_list_of_aliases_is_read_as_pages_though_there_is_one() {
    let world = World::new().await;
    let marker = iam::ListAccountAliasesRequest { marker: Some("!".into()), ..Default::default() };
    assert_fault(world.call::<ops::ListAccountAliases>(marker).await, "ValidationError", 400, "Invalid Marker: !");
    let none = iam::ListAccountAliasesRequest { max_items: Some(0), ..Default::default() };
    assert_eq!(world.call::<ops::ListAccountAliases>(none).await.unwrap_err().code, "ValidationError");
}
