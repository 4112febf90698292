//! What policies would say: SimulatePrincipalPolicy, SimulateCustomPolicy, and the explanation for people.

use base::{RequestId, SystemRng};
use door::{Body, Origin, Site, SiteRequest};
use model::iam::{self, ops};
use serde_json::{Value, json};

use crate::world::{World, assert_fault, document, root, user};

fn texts(all: &[&str]) -> Option<Vec<String>> {
    Some(all.iter().map(|one| (*one).to_owned()).collect())
}

fn brief(answer: &iam::SimulatePolicyResponse) -> Vec<(String, String, String)> {
    let results = answer.evaluation_results.iter().flatten();
    let text = |value: &Option<String>| value.clone().unwrap();
    results.map(|one| (text(&one.eval_action_name), text(&one.eval_resource_name), text(&one.eval_decision))).collect()
}

#[tokio::test]
async fn a_principals_policies_are_simulated_for_each_action_and_resource() {
    let world = World::new().await;
    world.create_user("ann").await;
    world
        .allow_user(
            "ann",
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username}/*"},
            {"Effect":"Deny","Action":"s3:Delete*","Resource":"*"},
            {"Effect":"Allow","Action":"sqs:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}"#,
        )
        .await;
    let ask = |entries: Vec<iam::ContextEntry>, marker: Option<String>| iam::SimulatePrincipalPolicyRequest {
        policy_source_arn: Some("arn:aws:iam::000000000000:user/ann".into()),
        action_names: texts(&["s3:GetObject", "s3:DeleteObject", "sqs:SendMessage"]),
        resource_arns: texts(&["arn:aws:s3:::ann/x", "arn:aws:s3:::bob/x"]),
        context_entries: Some(entries),
        max_items: Some(4),
        marker,
        ..Default::default()
    };
    let first = world.call::<ops::SimulatePrincipalPolicy>(ask(Vec::new(), None)).await.unwrap();
    let row =
        |action: &str, who: &str, says: &str| (action.to_owned(), format!("arn:aws:s3:::{who}/x"), says.to_owned());
    assert_eq!(
        brief(&first),
        [
            row("s3:GetObject", "ann", "allowed"),
            row("s3:GetObject", "bob", "implicitDeny"),
            row("s3:DeleteObject", "ann", "explicitDeny"),
            row("s3:DeleteObject", "bob", "explicitDeny"),
        ]
    );
    let results = first.evaluation_results.unwrap();
    let matched = results[0].matched_statements.as_ref().unwrap();
    assert_eq!(matched[0].source_policy_id.as_deref(), Some("inline"));
    assert_eq!(first.is_truncated, Some(true));
    let second = world.call::<ops::SimulatePrincipalPolicy>(ask(Vec::new(), first.marker.clone())).await.unwrap();
    assert_eq!(brief(&second)[0].2, "implicitDeny");
    let missing = second.evaluation_results.unwrap()[0].missing_context_values.clone();
    assert_eq!(missing, texts(&["aws:SourceIp"]));
    let entry = iam::ContextEntry {
        context_key_name: Some("aws:SourceIp".into()),
        context_key_values: texts(&["10.1.2.3"]),
        context_key_type: Some("ip".into()),
    };
    let with = world.call::<ops::SimulatePrincipalPolicy>(ask(vec![entry], first.marker)).await.unwrap();
    assert_eq!(brief(&with)[0].2, "allowed");
    let nobody = iam::SimulatePrincipalPolicyRequest {
        policy_source_arn: Some("arn:aws:iam::000000000000:role/none".into()),
        action_names: texts(&["s3:GetObject"]),
        ..Default::default()
    };
    let fault = world.call::<ops::SimulatePrincipalPolicy>(nobody).await;
    assert_fault(fault, "NoSuchEntity", 404, "The role with name none cannot be found.");
}

#[tokio::test]
async fn policies_nobody_has_are_simulated_with_boundary_and_resource_policy() {
    let world = World::new().await;
    let all = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    let ask = iam::SimulateCustomPolicyRequest {
        policy_input_list: Some(vec![document(all)]),
        permissions_boundary_policy_input_list: Some(vec![document(
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#,
        )]),
        action_names: texts(&["s3:GetObject", "sqs:SendMessage"]),
        ..Default::default()
    };
    let answer = world.call::<ops::SimulateCustomPolicy>(ask.clone()).await.unwrap();
    let says: Vec<String> = brief(&answer).into_iter().map(|(_, _, says)| says).collect();
    assert_eq!(says, ["allowed", "implicitDeny"]);
    let details: Vec<Option<bool>> = answer
        .evaluation_results
        .unwrap()
        .iter()
        .map(|one| one.permissions_boundary_decision_detail.as_ref().unwrap().allowed_by_permissions_boundary)
        .collect();
    assert_eq!(details, [Some(true), Some(false)]);
    let refusal =
        r#"{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::000000000000:user/ann"},"Action":"s3:*","Resource":"*"}"#;
    let with = iam::SimulateCustomPolicyRequest {
        resource_policy: Some(document(refusal)),
        caller_arn: Some("arn:aws:iam::000000000000:user/ann".into()),
        ..ask.clone()
    };
    let answer = world.call::<ops::SimulateCustomPolicy>(with).await.unwrap();
    assert_eq!(brief(&answer)[0].2, "explicitDeny");
    let broken = iam::SimulateCustomPolicyRequest { policy_input_list: texts(&["{}"]), ..ask };
    assert_eq!(world.call::<ops::SimulateCustomPolicy>(broken).await.unwrap_err().code, "InvalidInput");
}

async fn explained(world: &World, who: base::Principal, body: &Value) -> (u16, Value) {
    let request = SiteRequest {
        method: http::Method::POST,
        path: "/_lambent/iam/explain".into(),
        query: String::new(),
        host: "localhost".into(),
        authority: "localhost".into(),
        headers: http::HeaderMap::new(),
        body: body.to_string().into(),
        peer: [127, 0, 0, 1].into(),
        principal: who,
        origin: Origin::default(),
        request_id: RequestId::new(&SystemRng),
        takeover: None,
    };
    assert!(world.identity.claims("localhost", &request.path));
    let response = world.identity.serve(request).await;
    let Body::Bytes(bytes) = response.body else { panic!("the answer is bytes") };
    (response.status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn an_explanation_names_the_statement_or_what_is_missing() {
    let world = World::new().await;
    world.create_user("ann").await;
    world.allow_user("ann", r#"{"Sid":"own","Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::ann/*"}"#).await;
    let ask = |resource: &str| json!({"principal": "arn:aws:iam::000000000000:user/ann", "action": "s3:GetObject", "resource": resource});
    let (status, answer) = explained(&world, root(), &ask("arn:aws:s3:::ann/x")).await;
    assert_eq!((status, &answer["allowed"]), (200, &json!(true)));
    assert_eq!(answer["because"], "statement own of inline (identity-based policy)");
    let (_, answer) = explained(&world, root(), &ask("arn:aws:s3:::bob/x")).await;
    assert_eq!(answer["allowed"], false);
    assert_eq!(
        answer["because"],
        "no statement of inline allows it; statement own of inline would but for its Resource"
    );
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .ends_with("because no identity-based policy allows the s3:GetObject action")
    );
    // Policies are nobody's business who may not simulate.
    let (status, answer) = explained(&world, user("ann"), &ask("arn:aws:s3:::ann/x")).await;
    assert_eq!((status, &answer["code"]), (403, &json!("AccessDenied")));
}

const ANN: &str = "arn:aws:iam::000000000000:user/ann";

#[tokio::test]
async fn a_principals_policies_are_simulated_with_others_added() {
    let world = World::new().await;
    for user in ["ann", "bob"] {
        world.create_user(user).await;
    }
    let ask = iam::SimulatePrincipalPolicyRequest {
        policy_source_arn: Some(ANN.into()),
        action_names: texts(&["s3:GetObject"]),
        ..Default::default()
    };
    let says = async |input: iam::SimulatePrincipalPolicyRequest| {
        brief(&world.call::<ops::SimulatePrincipalPolicy>(input).await.unwrap()).remove(0).2
    };
    assert_eq!(says(ask.clone()).await, "implicitDeny");
    let all = document(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
    let added = iam::SimulatePrincipalPolicyRequest { policy_input_list: Some(vec![all]), ..ask.clone() };
    assert_eq!(says(added.clone()).await, "allowed");
    let queues = document(r#"{"Effect":"Allow","Action":"sqs:*","Resource":"*"}"#);
    let bounded = iam::SimulatePrincipalPolicyRequest {
        permissions_boundary_policy_input_list: Some(vec![queues]),
        ..added.clone()
    };
    assert_eq!(says(bounded).await, "implicitDeny");
    // What the resource says of somebody else concerns who is said to call, not whose policies are asked.
    let deny = format!(r#"{{"Effect":"Deny","Principal":{{"AWS":"{ANN}"}},"Action":"s3:*","Resource":"*"}}"#);
    let denied = iam::SimulatePrincipalPolicyRequest { resource_policy: Some(document(&deny)), ..added };
    assert_eq!(says(denied.clone()).await, "explicitDeny");
    let by_bob = iam::SimulatePrincipalPolicyRequest { caller_arn: Some(ANN.replace("ann", "bob")), ..denied };
    assert_eq!(says(by_bob).await, "allowed");
}

#[tokio::test]
async fn a_resource_of_another_account_needs_its_permission_too() {
    let world = World::new().await;
    world.create_user("ann").await;
    let all = Some(vec![document(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#)]);
    let theirs = Some("arn:aws:iam::111122223333:root".to_owned());
    let custom = |owner: &Option<String>| iam::SimulateCustomPolicyRequest {
        policy_input_list: all.clone(),
        action_names: texts(&["s3:GetObject"]),
        resource_arns: texts(&["arn:aws:s3:::bucket/key"]),
        resource_owner: owner.clone(),
        ..Default::default()
    };
    let principal = |owner: &Option<String>| iam::SimulatePrincipalPolicyRequest {
        policy_source_arn: Some(ANN.into()),
        policy_input_list: all.clone(),
        action_names: texts(&["s3:GetObject"]),
        resource_arns: texts(&["arn:aws:s3:::bucket/key"]),
        resource_owner: owner.clone(),
        ..Default::default()
    };
    for (owner, says) in [(None, "allowed"), (theirs, "implicitDeny")] {
        let answer = world.call::<ops::SimulateCustomPolicy>(custom(&owner)).await.unwrap();
        assert_eq!(brief(&answer)[0].2, says, "{owner:?}");
        let answer = world.call::<ops::SimulatePrincipalPolicy>(principal(&owner)).await.unwrap();
        assert_eq!(brief(&answer)[0].2, says, "{owner:?}");
    }
}

#[tokio::test]
async fn simulated_policies_are_asked_about_each_resource_with_the_context_given_page_by_page() {
    let world = World::new().await;
    let own = r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::own/*",
        "Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}"#;
    let entry = iam::ContextEntry {
        context_key_name: Some("aws:SourceIp".into()),
        context_key_values: texts(&["10.1.2.3"]),
        context_key_type: Some("ip".into()),
    };
    let ask = |marker| iam::SimulateCustomPolicyRequest {
        policy_input_list: Some(vec![document(own)]),
        action_names: texts(&["s3:GetObject"]),
        resource_arns: texts(&["arn:aws:s3:::own/x", "arn:aws:s3:::other/x"]),
        context_entries: Some(vec![entry.clone()]),
        max_items: Some(1),
        marker,
        ..Default::default()
    };
    let first = world.call::<ops::SimulateCustomPolicy>(ask(None)).await.unwrap();
    let row = |bucket: &str, says: &str| {
        vec![("s3:GetObject".to_owned(), format!("arn:aws:s3:::{bucket}/x"), says.to_owned())]
    };
    assert_eq!(brief(&first), row("own", "allowed"));
    let second = world.call::<ops::SimulateCustomPolicy>(ask(first.marker)).await.unwrap();
    assert_eq!((brief(&second), second.is_truncated), (row("other", "implicitDeny"), Some(false)));
}
