//! Tags of APIs and stages.

use model::apigateway::ops;

use super::world::{Rest, rest, texts};
use crate::world::refused;

#[tokio::test]
async fn apis_and_stages_have_tags() {
    let rest = Rest::new();
    let (api, root) = rest.api().await;
    rest.mock(&api, &root, "GET").await;
    rest.deploy(&api, "dev").await;
    let arn = format!("arn:aws:apigateway:us-east-1::/restapis/{api}");
    for arn in [arn.clone(), format!("{arn}/stages/dev")] {
        let input = rest!(TagResourceRequest { resource_arn: &*arn, tags: texts(&[("a", "1"), ("b", "2")]) });
        rest.call::<ops::TagResource>(input).await.unwrap();
        let untag = rest!(UntagResourceRequest { resource_arn: &*arn, tag_keys: ["a".to_owned()] });
        rest.call::<ops::UntagResource>(untag).await.unwrap();
        let read = rest.call::<ops::GetTags>(rest!(GetTagsRequest { resource_arn: &*arn })).await.unwrap();
        assert_eq!(read.tags.unwrap(), texts(&[("b", "2")]));
    }
    let stage =
        rest.call::<ops::GetStage>(rest!(GetStageRequest { rest_api_id: &*api, stage_name: "dev" })).await.unwrap();
    assert_eq!(stage.tags.unwrap(), texts(&[("b", "2")]));
    let read = rest.call::<ops::GetTags>(rest!(GetTagsRequest { resource_arn: format!("{arn}/stages/none") })).await;
    refused(read, "NotFoundException", "Invalid stage identifier specified");
    let read = rest.call::<ops::GetTags>(rest!(GetTagsRequest { resource_arn: "arn:aws:sqs:us-east-1:1:q" })).await;
    refused(read, "BadRequestException", "Invalid resource ARN specified");
    let input = rest!(TagResourceRequest { resource_arn: &*arn, tags: texts(&[("aws:a", "1")]) });
    refused(rest.call::<ops::TagResource>(input).await, "BadRequestException", "reserved");
}
