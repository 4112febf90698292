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
