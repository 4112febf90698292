//! Resource policies are kept and shown.

use model::lambda::{self as aws, ops};
use serde_json::{Value, json};

use crate::world::World;

fn permission(sid: &str) -> aws::AddPermissionRequest {
    aws::AddPermissionRequest {
        function_name: Some("hello".into()),
        statement_id: Some(sid.into()),
        action: Some("lambda:InvokeFunction".into()),
        principal: Some("s3.amazonaws.com".into()),
        ..aws::AddPermissionRequest::default()
    }
}

fn get() -> aws::GetPolicyRequest {
    aws::GetPolicyRequest { function_name: Some("hello".into()), qualifier: None }
}

#[tokio::test]
async fn statements_are_written_as_aws_writes_them() {
    let world = World::new();
    world.create("hello").await;
    let none = world.call::<ops::GetPolicy>(get()).await.unwrap_err();
    assert_eq!((none.status, none.message.as_str()), (404, "The resource you requested does not exist."));
    let mut input = permission("s3");
    input.source_arn = Some("arn:aws:s3:::bucket".into());
    input.source_account = Some("000000000000".into());
    let added = world.call::<ops::AddPermission>(input).await.unwrap();
    let statement: Value = serde_json::from_str(&added.statement.unwrap()).unwrap();
    let expected = json!({
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": { "Service": "s3.amazonaws.com" },
        "Action": "lambda:InvokeFunction",
        "Resource": "arn:aws:lambda:us-east-1:000000000000:function:hello",
        "Condition": {
            "StringEquals": { "AWS:SourceAccount": "000000000000" },
            "ArnLike": { "AWS:SourceArn": "arn:aws:s3:::bucket" },
        },
    });
    assert_eq!(statement, expected);
    let policy = world.call::<ops::GetPolicy>(get()).await.unwrap();
    let document: Value = serde_json::from_str(&policy.policy.unwrap()).unwrap();
    assert_eq!(document, json!({ "Version": "2012-10-17", "Id": "default", "Statement": [expected] }));

    let again = world.call::<ops::AddPermission>(permission("s3")).await.unwrap_err();
    assert_eq!(
        (again.status, again.message.as_str()),
        (
            409,
            "The statement id (s3) provided already exists. Please provide a new statement id, or remove the existing \
             statement."
        )
    );
    let remove = |sid: &str, revision_id| aws::RemovePermissionRequest {
        function_name: Some("hello".into()),
        statement_id: Some(sid.into()),
        qualifier: None,
        revision_id,
    };
    let unknown = world.call::<ops::RemovePermission>(remove("x", None)).await.unwrap_err();
    assert_eq!(unknown.message, "Statement x is not found in resource policy.");
    let stale = world.call::<ops::RemovePermission>(remove("s3", Some("old".into()))).await.unwrap_err();
    assert_eq!(stale.status, 412);
    world.call::<ops::RemovePermission>(remove("s3", policy.revision_id)).await.unwrap();
    assert_eq!(world.call::<ops::GetPolicy>(get()).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn what_narrows_a_permission_becomes_its_conditions() {
    let world = World::new();
    world.create("hello").await;
    let condition = async |input: aws::AddPermissionRequest| -> Value {
        let added = world.call::<ops::AddPermission>(input).await.unwrap();
        let statement: Value = serde_json::from_str(&added.statement.unwrap()).unwrap();
        statement["Condition"].clone()
    };
    let url = aws::AddPermissionRequest {
        action: Some("lambda:InvokeFunctionUrl".into()),
        principal: Some("*".into()),
        function_url_auth_type: Some("NONE".into()),
        ..permission("url")
    };
    assert_eq!(condition(url).await, json!({ "StringEquals": { "lambda:FunctionUrlAuthType": "NONE" } }));
    let via = aws::AddPermissionRequest { invoked_via_function_url: Some(true), ..permission("via") };
    assert_eq!(condition(via).await, json!({ "Bool": { "lambda:InvokedViaFunctionUrl": "true" } }));
    let token = aws::AddPermissionRequest { event_source_token: Some("skill".into()), ..permission("token") };
    assert_eq!(condition(token).await, json!({ "StringEquals": { "lambda:EventSourceToken": "skill" } }));
    let org = aws::AddPermissionRequest {
        principal: Some("*".into()),
        principal_org_id: Some("o-0123456789".into()),
        ..permission("org")
    };
    assert_eq!(condition(org).await, json!({ "StringEquals": { "aws:PrincipalOrgID": "o-0123456789" } }));
}

#[tokio::test]
async fn a_policy_has_a_limit() {
    let world = World::new();
    world.create("hello").await;
    for n in 0..200 {
        let added = world.call::<ops::AddPermission>(permission(&n.to_string())).await;
        if let Err(fault) = added {
            assert_eq!((fault.code.as_ref(), fault.status), ("PolicyLengthExceededException", 400));
            return;
        }
    }
    panic!("two hundred statements fit into 20 KB");
}

#[tokio::test]
async fn a_policy_is_of_one_version_and_changes_only_as_it_was_read() {
    let world = World::new();
    world.create("hello").await;
    let publish = aws::PublishVersionRequest { function_name: Some("hello".into()), ..Default::default() };
    world.call::<ops::PublishVersion>(publish).await.unwrap();
    let one = || Some("1".to_owned());
    let added = aws::AddPermissionRequest { qualifier: one(), ..permission("a") };
    let added = world.call::<ops::AddPermission>(added).await.unwrap();
    assert!(added.statement.unwrap().contains(":function:hello:1"));
    assert_eq!(world.call::<ops::GetPolicy>(get()).await.unwrap_err().status, 404, "the function itself has none");
    let of_one = || aws::GetPolicyRequest { qualifier: one(), ..get() };
    let policy = world.call::<ops::GetPolicy>(of_one()).await.unwrap();
    assert!(policy.policy.unwrap().contains("\"Sid\":\"a\""));
    let stale = aws::AddPermissionRequest { revision_id: Some("old".into()), ..permission("b") };
    assert_eq!(world.call::<ops::AddPermission>(stale).await.unwrap_err().status, 412);
    let remove = |qualifier| aws::RemovePermissionRequest {
        function_name: Some("hello".into()),
        statement_id: Some("a".into()),
        qualifier,
        revision_id: None,
    };
    assert_eq!(world.call::<ops::RemovePermission>(remove(None)).await.unwrap_err().status, 404);
    world.call::<ops::RemovePermission>(remove(one())).await.unwrap();
    assert_eq!(world.call::<ops::GetPolicy>(of_one()).await.unwrap_err().status, 404);
}
