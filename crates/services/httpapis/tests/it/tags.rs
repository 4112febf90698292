//! Tags.

use model::apigatewayv2::ops;

use crate::world::{World, input, refused};

#[tokio::test]
async fn apis_and_stages_have_tags() {
    let world = World::new();
    let api = world.api().await;
    world.stage(&api, "dev").await;
    for arn in [
        format!("arn:aws:apigateway:us-east-1::/apis/{api}"),
        format!("arn:aws:apigateway:us-east-1::/apis/{api}/stages/dev"),
    ] {
        let tag = input!(TagResourceRequest {
            resource_arn: &*arn,
            tags: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())],
        });
        world.call::<ops::TagResource>(tag).await.unwrap();
        let untag = input!(UntagResourceRequest { resource_arn: &*arn, tag_keys: ["a".to_owned()] });
        world.call::<ops::UntagResource>(untag).await.unwrap();
        let got = world.call::<ops::GetTags>(input!(GetTagsRequest { resource_arn: &*arn })).await.unwrap();
        assert_eq!(got.tags.unwrap(), [("b".to_owned(), "2".to_owned())].into());
    }
    let got = world.call::<ops::GetApi>(input!(GetApiRequest { api_id: &*api })).await.unwrap();
    assert_eq!(got.tags.unwrap()["b"], "2");
    for (arn, code) in [
        ("arn:aws:apigateway:us-east-1::/apis/unmade".to_owned(), "NotFoundException"),
        (format!("arn:aws:apigateway:us-east-1::/apis/{api}/stages/unmade"), "NotFoundException"),
        ("arn:aws:s3:::b".to_owned(), "BadRequestException"),
    ] {
        let get = input!(GetTagsRequest { resource_arn: &*arn });
        refused(world.call::<ops::GetTags>(get).await, code, "");
        let tag = input!(TagResourceRequest { resource_arn: &*arn, tags: [("a".to_owned(), "1".to_owned())] });
        refused(world.call::<ops::TagResource>(tag).await, code, "");
        let untag = input!(UntagResourceRequest { resource_arn: arn, tag_keys: ["a".to_owned()] });
        refused(world.call::<ops::UntagResource>(untag).await, code, "");
    }
    let many: std::collections::BTreeMap<_, _> = (0..51).map(|n| (format!("k{n}"), String::new())).collect();
    let tag =
        input!(TagResourceRequest { resource_arn: format!("arn:aws:apigateway:us-east-1::/apis/{api}"), tags: many });
    refused(world.call::<ops::TagResource>(tag).await, "BadRequestException", "tags");
}
