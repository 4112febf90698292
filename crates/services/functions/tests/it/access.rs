//! What the door's policies learn of functions, and whom function URLs let in.

use std::sync::{Arc, Mutex};

use base::{Account, Principal, Region, SystemClocks};
use door::{About, Ask, AuthContext, Decision, Denial, Gate, Mode, Policies, Subject};
use model::lambda::{self as aws, ops};
use wire::{Op, Structure};

use crate::urls::{request, serve};
use crate::world::{Disk, ROLE, World, create};

fn about<O: Op>(world: &World, input: &O::Input) -> About {
    let principal = Principal::Root { account: Account::DEFAULT, verified: true };
    let region = Region::default_region();
    let subject = Subject {
        operation: O::ROW,
        input: input as &dyn Structure,
        principal: &principal,
        key_id: None,
        region: &region,
        resource: "*",
    };
    world.functions.about(&subject)
}

fn permit(sid: &str, action: &str, qualifier: Option<&str>) -> aws::AddPermissionRequest {
    aws::AddPermissionRequest {
        function_name: Some("hello".into()),
        statement_id: Some(sid.into()),
        action: Some(action.into()),
        principal: Some("*".into()),
        qualifier: qualifier.map(str::to_owned),
        ..aws::AddPermissionRequest::default()
    }
}

#[tokio::test]
async fn a_function_is_known_by_its_arn_its_policy_and_its_tags() {
    let world = World::new();
    let tags = [("team".to_owned(), "blue".to_owned())].into();
    world
        .call::<ops::CreateFunction>(aws::CreateFunctionRequest { tags: Some(tags), ..create("hello") })
        .await
        .unwrap();
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:hello";
    let ask = |name: &str, qualifier: Option<&str>| {
        let input = aws::InvocationRequest {
            function_name: Some(name.into()),
            qualifier: qualifier.map(str::to_owned),
            ..aws::InvocationRequest::default()
        };
        about::<ops::Invoke>(&world, &input)
    };
    for name in ["hello", "000000000000:function:hello", arn] {
        let known = ask(name, None);
        assert_eq!((known.resource.as_deref(), known.policy), (Some(arn), None), "{name}");
        assert_eq!(known.keys, [("aws:ResourceTag/team".to_owned(), vec!["blue".to_owned()])]);
    }
    assert_eq!(ask("hello:live", None).resource, Some(format!("{arn}:live")));
    assert_eq!(ask("nobody", None).resource.as_deref(), Some("arn:aws:lambda:us-east-1:000000000000:function:nobody"));
    world.call::<ops::AddPermission>(permit("all", "lambda:InvokeFunction", None)).await.unwrap();
    assert!(ask("hello", None).policy.unwrap().contains("\"Sid\":\"all\""), "a change is seen at once");
    assert_eq!(ask("hello", Some("live")).policy, None, "each qualifier has a policy of its own");
}

#[tokio::test]
async fn to_give_a_function_a_role_is_a_permission_of_its_own() {
    let world = World::new();
    let needed = about::<ops::CreateFunction>(&world, &create("hello")).also;
    assert_eq!((needed.len(), needed[0].action, needed[0].resource.as_str()), (1, "iam:PassRole", ROLE));
    assert_eq!(needed[0].keys[0], ("iam:PassedToService".to_owned(), vec!["lambda.amazonaws.com".to_owned()]));
    let name = Some("hello".to_owned());
    let without = aws::UpdateFunctionConfigurationRequest { function_name: name, ..Default::default() };
    assert!(about::<ops::UpdateFunctionConfiguration>(&world, &without).also.is_empty());
    let with = aws::UpdateFunctionConfigurationRequest { role: Some(ROLE.into()), ..without };
    assert_eq!(about::<ops::UpdateFunctionConfiguration>(&world, &with).also[0].action, "iam:PassRole");
}

/// Allows what the resource's policy names for a public URL; remembers who asked for what.
#[derive(Default)]
struct ByPolicy(Mutex<Vec<(String, String)>>);

impl Policies for ByPolicy {
    fn trust_of(&self, _: &str) -> Option<Arc<str>> {
        Some("anybody".into())
    }
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        if ask.trust {
            return Decision::Allowed("the role trusts anybody".into());
        }
        self.0.lock().unwrap().push((ask.principal.arn(), ask.action.to_owned()));
        let auth = (ask.keys)().iter().any(|(key, values)| key == "lambda:FunctionUrlAuthType" && values == &["NONE"]);
        let by_url =
            (ask.keys)().iter().any(|(key, values)| key == "lambda:InvokedViaFunctionUrl" && values == &["true"]);
        let named = ask.policy.is_some_and(|policy| policy.contains(&format!("\"{}\"", ask.action)));
        if auth && by_url && named {
            return Decision::Allowed("the policy".into());
        }
        Decision::Denied(Denial { message: "no".into(), because: "no".into(), always: false })
    }
}

#[tokio::test]
async fn a_public_url_needs_both_permissions_and_knows_nobody() {
    let policies = Arc::new(ByPolicy::default());
    let gate = Arc::new(Gate::new(policies.clone(), Mode::Enforce, Arc::new(SystemClocks)));
    let world = World::with(Disk::new(), |options| options.gate = gate);
    let host = crate::urls::with_url(&world, "NONE", None).await;
    let visit = || async {
        let mut visit = request("GET", &host, "/", &[], b"");
        visit.principal = Principal::User { account: Account::DEFAULT, name: "ann".into() };
        serve(&world, visit).await.0
    };
    assert_eq!(visit().await, 403);
    world.call::<ops::AddPermission>(permit("one", "lambda:InvokeFunctionUrl", None)).await.unwrap();
    assert_eq!(visit().await, 403);
    world.call::<ops::AddPermission>(permit("two", "lambda:InvokeFunction", None)).await.unwrap();
    assert_eq!(visit().await, 200);
    assert!(policies.0.lock().unwrap().iter().all(|(who, _)| who == "*"), "nobody's signature counts here");
    // Strangers are let in as the last was, until the policy changes.
    let asked = policies.0.lock().unwrap().len();
    assert_eq!((visit().await, policies.0.lock().unwrap().len()), (200, asked));
    let remove = aws::RemovePermissionRequest {
        function_name: Some("hello".into()),
        statement_id: Some("two".into()),
        ..Default::default()
    };
    world.call::<ops::RemovePermission>(remove).await.unwrap();
    assert_eq!(visit().await, 403);
}

/// Knows two roles; one lets Lambda in.
struct Roles;

impl Policies for Roles {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        let lambda = Principal::Service {
            name: "lambda.amazonaws.com",
            source_arn: "arn:aws:lambda:us-east-1:000000000000:function:hello".into(),
            source_account: Account::DEFAULT,
        };
        assert_eq!((ask.principal, ask.action, ask.trust), (&lambda, "sts:AssumeRole", true));
        let source =
            ("aws:SourceArn".to_owned(), vec!["arn:aws:lambda:us-east-1:000000000000:function:hello".to_owned()]);
        assert!((ask.keys)().contains(&source));
        match ask.policy {
            Some("open") => Decision::Allowed("test".into()),
            _ => Decision::Denied(Denial { message: "no".into(), because: "no".into(), always: true }),
        }
    }
    fn trust_of(&self, role: &str) -> Option<Arc<str>> {
        let name = role.strip_prefix("arn:aws:iam::000000000000:role/")?;
        ["open", "shut"].contains(&name).then(|| name.into())
    }
}

#[tokio::test]
async fn a_role_must_let_lambda_in_and_where_denials_hold_it_must_be_there() {
    for mode in [Mode::Off, Mode::Warn, Mode::Enforce] {
        let gate = Arc::new(Gate::new(Arc::new(Roles), mode, Arc::new(SystemClocks)));
        let world = World::with(Disk::new(), |options| options.gate = gate);
        let role = |name: &str| Some(format!("arn:aws:iam::000000000000:role/{name}"));
        let refused = |result: Result<aws::FunctionConfiguration, base::Fault>| {
            let fault = result.unwrap_err();
            let message = "The role defined for the function cannot be assumed by Lambda.";
            assert_eq!((&*fault.code, fault.status), ("InvalidParameterValueException", 400), "{mode:?}");
            assert_eq!(fault.message, message);
        };
        let made = |name: &str| aws::CreateFunctionRequest { role: role(name), ..create("hello") };
        refused(world.call::<ops::CreateFunction>(made("shut")).await);
        if mode == Mode::Enforce {
            refused(world.call::<ops::CreateFunction>(made("nobody")).await);
        }
        world.call::<ops::CreateFunction>(made("open")).await.unwrap();
        // The role is looked at before the name.
        refused(world.call::<ops::CreateFunction>(made("shut")).await);
        let changed = |name: Option<&str>| aws::UpdateFunctionConfigurationRequest {
            function_name: Some("hello".into()),
            timeout: Some(5),
            role: name.and_then(role),
            ..Default::default()
        };
        refused(world.call::<ops::UpdateFunctionConfiguration>(changed(Some("shut"))).await);
        let missing = world.call::<ops::UpdateFunctionConfiguration>(changed(Some("nobody"))).await;
        if mode == Mode::Enforce {
            refused(missing);
        } else {
            missing.unwrap();
        }
        world.call::<ops::UpdateFunctionConfiguration>(changed(None)).await.unwrap();
    }
}

#[tokio::test]
async fn a_layer_version_is_known_by_its_number_however_the_layer_is_named() {
    let world = World::new();
    let arn = "arn:aws:lambda:us-east-1:000000000000:layer:libs";
    for name in ["libs", arn] {
        let input = aws::DeleteLayerVersionRequest { layer_name: Some(name.into()), version_number: Some(7) };
        assert_eq!(about::<ops::DeleteLayerVersion>(&world, &input).resource, Some(format!("{arn}:7")), "{name}");
    }
}

#[tokio::test]
async fn a_code_signing_configuration_is_known_by_its_tags_and_is_a_condition_of_functions() {
    let world = World::new();
    let publishers = Some(vec!["arn:aws:signer:us-east-1:000000000000:/signing-profiles/ours".to_owned()]);
    let input = aws::CreateCodeSigningConfigRequest {
        allowed_publishers: Some(aws::AllowedPublishers { signing_profile_version_arns: publishers }),
        tags: Some([("team".to_owned(), "blue".to_owned())].into()),
        ..Default::default()
    };
    let made = world.call::<ops::CreateCodeSigningConfig>(input).await.unwrap().code_signing_config.unwrap();
    let arn = made.code_signing_config_arn.unwrap();
    let tags = [("aws:ResourceTag/team".to_owned(), vec!["blue".to_owned()])];
    let get = aws::GetCodeSigningConfigRequest { code_signing_config_arn: Some(arn.clone()) };
    assert_eq!(about::<ops::GetCodeSigningConfig>(&world, &get).keys, tags);
    assert_eq!(about::<ops::ListTags>(&world, &aws::ListTagsRequest { resource: Some(arn.clone()) }).keys, tags);

    let key = ("lambda:CodeSigningConfigArn".to_owned(), vec![arn.clone()]);
    let with = aws::CreateFunctionRequest { code_signing_config_arn: Some(arn.clone()), ..create("hello") };
    assert!(about::<ops::CreateFunction>(&world, &with).keys.contains(&key));
    let put = aws::PutFunctionCodeSigningConfigRequest {
        code_signing_config_arn: Some(arn.clone()),
        function_name: Some("hello".into()),
    };
    let known = about::<ops::PutFunctionCodeSigningConfig>(&world, &put);
    assert_eq!(known.resource.as_deref(), Some("arn:aws:lambda:us-east-1:000000000000:function:hello"));
    assert!(known.keys.contains(&key));
    let [also] = &known.also[..] else { panic!("{known:?}") };
    assert_eq!((also.action, &also.resource), ("lambda:PutFunctionCodeSigningConfig", &arn));
    assert_eq!(also.keys, [&[key][..], &tags].concat(), "the configuration's own tags");
}
