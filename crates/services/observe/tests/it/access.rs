//! What the door's policies learn of log groups.

use base::{Account, Principal, Region};
use door::{AuthContext, Subject};
use model::logs::{self, ops};
use wire::Op;

use crate::world::World;

#[tokio::test]
async fn a_group_is_known_by_its_name_or_its_identifier() {
    let world = World::new();
    let (principal, region) = (Principal::Root { account: Account::DEFAULT, verified: true }, Region::default_region());
    let ask = |identifier: Option<&str>| {
        let input = logs::GetLogEventsRequest {
            log_group_identifier: identifier.map(str::to_owned),
            log_stream_name: Some("s".into()),
            ..Default::default()
        };
        let operation = ops::GetLogEvents::ROW;
        let (input, principal) = (&input, &principal);
        let subject = Subject { operation, input, principal, key_id: None, region: &region, resource: "*" };
        world.observe.about(&subject).resource
    };
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:/g";
    assert_eq!(ask(None), None, "the template says it");
    for identifier in ["/g", arn, "arn:aws:logs:us-east-1:000000000000:log-group:/g:*"] {
        assert_eq!(ask(Some(identifier)), Some(format!("{arn}:log-stream:s")), "{identifier}");
    }
}

#[tokio::test]
async fn whose_tags_are_meant_is_said_alike_in_both_spellings() {
    let world = World::new();
    let (principal, region) = (Principal::Root { account: Account::DEFAULT, verified: true }, Region::default_region());
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:/g";
    for spelled in [arn.to_owned(), format!("{arn}:*")] {
        let input = logs::ListTagsForResourceRequest { resource_arn: Some(spelled.clone()) };
        let operation = ops::ListTagsForResource::ROW;
        let (input, principal) = (&input, &principal);
        let subject = Subject { operation, input, principal, key_id: None, region: &region, resource: &spelled };
        assert_eq!(world.observe.about(&subject).resource.as_deref(), Some(arn));
    }
}
