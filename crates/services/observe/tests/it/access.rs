//! What the door's policies learn of log groups.

use std::sync::Arc;

use base::{Account, Principal, Region};
use door::{Ask, AuthContext, Decision, Denial, Gate, Mode, Policies, Subject};
use model::logs::{self, ops};
use wire::Op;

use crate::world::{GROUP, World, call};

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

/// Allows everything but to unmask.
struct AllButUnmask;

impl Policies for AllButUnmask {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        if ask.action != "logs:Unmask" {
            return Decision::Allowed("all but one".into());
        }
        let message = format!("{} on {}", ask.action, ask.resource);
        Decision::Denied(Denial { message, because: "test".into(), always: false })
    }
}

#[tokio::test]
async fn to_see_what_is_masked_is_a_permission_of_its_own() {
    let world = World::new();
    world.write("s", &[(world.now(), "x")]);
    let gate = Arc::new(Gate::new(Arc::new(AllButUnmask), Mode::Enforce, world.clocks.clone()));
    let strict = world.behind(gate);
    let group = Some(GROUP.to_owned());
    let get = |unmask| logs::GetLogEventsRequest {
        log_group_name: group.clone(),
        log_stream_name: Some("s".into()),
        unmask,
        ..Default::default()
    };
    let filter = |unmask| logs::FilterLogEventsRequest { log_group_name: group.clone(), unmask, ..Default::default() };
    for unmask in [None, Some(false)] {
        call::<ops::GetLogEvents>(&strict, get(unmask)).await.unwrap();
        call::<ops::FilterLogEvents>(&strict, filter(unmask)).await.unwrap();
    }
    let refused = call::<ops::GetLogEvents>(&strict, get(Some(true))).await.unwrap_err();
    let stream = format!("logs:Unmask on arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:log-stream:s");
    assert_eq!((refused.code.as_ref(), refused.message), ("AccessDeniedException", stream));
    let refused = call::<ops::FilterLogEvents>(&strict, filter(Some(true))).await.unwrap_err();
    assert_eq!(refused.code, "AccessDeniedException");
}
