//! What the door tells of calls: to policies, to the audit log, to the metrics page; and how a denial looks.

use std::sync::{Arc, Mutex};

use base::{Fault, LogLine, LogSink, Principal, SystemClocks};
use door::{
    About, Answer, Ask, Audit, AuthContext, Body, Context, Decision, Denial, Dispatch, Gate, Handle, Input, Mode, Need,
    Origin, Policies, Router, RouterBuilder, Subject, Throttle,
};
use model::{iam, lambda, logs, s3, sqs};
use serde_json::Value;
use wire::{Op, Unit};

use crate::call;

/// Answers operations of some services; fails for the name `fail`.
struct Room;

impl Handle<iam::ops::TagUser> for Room {
    async fn handle(self: Arc<Self>, _: Context, _: iam::TagUserRequest, _: Body) -> Result<Answer<Unit>, Fault> {
        Ok(Unit.into())
    }
}

impl Handle<logs::ops::DeleteLogGroup> for Room {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        _: logs::DeleteLogGroupRequest,
        _: Body,
    ) -> Result<Answer<Unit>, Fault> {
        Ok(Unit.into())
    }
}

impl Handle<sqs::ops::DeleteMessage> for Room {
    async fn handle(self: Arc<Self>, _: Context, _: sqs::DeleteMessageRequest, _: Body) -> Result<Answer<Unit>, Fault> {
        Ok(Unit.into())
    }
}

impl Handle<s3::ops::AbortMultipartUpload> for Room {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        _: s3::AbortMultipartUploadRequest,
        _: Body,
    ) -> Result<Answer<s3::AbortMultipartUploadOutput>, Fault> {
        Ok(s3::AbortMultipartUploadOutput::default().into())
    }
}

impl Handle<lambda::ops::GetFunctionConfiguration> for Room {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: lambda::GetFunctionConfigurationRequest,
        _: Body,
    ) -> Result<Answer<lambda::FunctionConfiguration>, Fault> {
        match input.function_name.as_deref() {
            Some("fail") => Err(Fault::new("ResourceNotFoundException", 404, "a secret of the request")),
            _ => Ok(lambda::FunctionConfiguration::default().into()),
        }
    }
}

/// Knows a better resource, a policy, and something that is needed besides.
struct Knows;

impl AuthContext for Knows {
    fn about(&self, subject: &Subject<'_>) -> About {
        assert_eq!(subject.text("FunctionName").as_deref(), Some("hello"));
        About {
            resource: Some("arn:better".into()),
            policy: Some("{}".into()),
            keys: vec![("lambda:Key".into(), vec!["v".into()])],
            also: vec![Need {
                action: "iam:PassRole",
                resource: "arn:role".into(),
                keys: vec![("iam:PassedToService".into(), vec!["lambda.amazonaws.com".into()])],
                owner: None,
                policy: None,
                trust: false,
            }],
            ..About::default()
        }
    }
}

type Asked = (String, String, Option<String>, Vec<(String, Vec<String>)>);

/// Remembers every question; denies the actions it is told to.
#[derive(Default)]
struct Clerk {
    asked: Mutex<Vec<Asked>>,
    denies: Vec<&'static str>,
}

impl Policies for Clerk {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        let (action, policy) = (ask.action.to_owned(), ask.policy.map(str::to_owned));
        self.asked.lock().unwrap().push((action, ask.resource.to_owned(), policy, (ask.keys)()));
        if self.denies.contains(&ask.action) {
            let because = "statement no of p".to_owned();
            return Decision::Denied(Denial { message: format!("not {}", ask.action), because, always: false });
        }
        Decision::Allowed("test".into())
    }
}

#[derive(Default)]
struct Book(Mutex<Vec<LogLine>>);

impl LogSink for Book {
    fn write(&self, lines: Vec<LogLine>) {
        self.0.lock().unwrap().extend(lines);
    }
}

impl Book {
    fn lines(&self) -> Vec<Value> {
        self.0.lock().unwrap().iter().map(|line| serde_json::from_str(&line.text).unwrap()).collect()
    }
}

fn world(clerk: Clerk, knows: bool) -> (Arc<Router>, Arc<Clerk>, Arc<Book>) {
    let (clerk, book, room) = (Arc::new(clerk), Arc::new(Book::default()), Arc::new(Room));
    let clocks = Arc::new(SystemClocks);
    let gate = Gate::new(clerk.clone(), Mode::Enforce, clocks.clone()).audited(Audit::new(book.clone(), clocks));
    let mut builder = RouterBuilder::default()
        .on::<iam::ops::TagUser, _>(&room)
        .on::<logs::ops::DeleteLogGroup, _>(&room)
        .on::<sqs::ops::DeleteMessage, _>(&room)
        .on::<s3::ops::AbortMultipartUpload, _>(&room)
        .on::<lambda::ops::GetFunctionConfiguration, _>(&room);
    if knows {
        builder = builder.knows("lambda", Arc::new(Knows));
    }
    (builder.build(Arc::new(gate)), clerk, book)
}

fn configuration(name: &str) -> Input {
    Input::Typed(Box::new(lambda::GetFunctionConfigurationRequest {
        function_name: Some(name.into()),
        ..Default::default()
    }))
}

fn tag_user() -> Input {
    Input::Typed(Box::new(iam::TagUserRequest {
        user_name: Some("ann".into()),
        tags: Some(vec![iam::Tag { key: Some("team".into()), value: Some("blue".into()) }]),
    }))
}

#[tokio::test]
async fn policies_learn_what_is_known_of_a_request() {
    let (router, clerk, _) = world(Clerk::default(), false);
    let mut one = call(iam::ops::TagUser::ROW, tag_user());
    one.principal = Principal::Anonymous;
    one.origin = Origin {
        key_id: None,
        source_ip: Some("203.0.113.9".parse().unwrap()),
        user_agent: Some("agent".into()),
        secure: true,
        tls: false,
        form: false,
    };
    router.call(one).await.unwrap();
    let asked = clerk.asked.lock().unwrap();
    let (action, resource, policy, keys) = &asked[0];
    assert_eq!((action.as_str(), resource.as_str()), ("iam:TagUser", "arn:aws:iam::000000000000:user/ann"));
    assert_eq!(*policy, None);
    let key = |name: &str| keys.iter().find(|(key, _)| key == name).map(|(_, values)| values.join(","));
    assert_eq!(key("aws:SourceIp").as_deref(), Some("203.0.113.9"));
    assert_eq!(key("aws:UserAgent").as_deref(), Some("agent"));
    assert_eq!(key("aws:SecureTransport").as_deref(), Some("true"));
    assert_eq!(key("aws:RequestedRegion").as_deref(), Some("us-east-1"));
    assert_eq!(key("aws:RequestTag/team").as_deref(), Some("blue"));
    assert_eq!(key("aws:TagKeys").as_deref(), Some("team"));
    assert!(key("aws:CurrentTime").unwrap().ends_with('Z') && key("aws:EpochTime").is_some());
    assert_eq!(key("aws:SourceArn"), None, "nobody acts for anybody");
}

#[tokio::test]
async fn a_service_knows_its_resources_and_what_is_needed_besides() {
    let (router, clerk, _) = world(Clerk::default(), true);
    router.call(call(lambda::ops::GetFunctionConfiguration::ROW, configuration("hello"))).await.unwrap();
    let asked = clerk.asked.lock().unwrap().clone();
    let brief: Vec<_> = asked.iter().map(|(a, r, p, _)| (a.as_str(), r.as_str(), p.as_deref())).collect();
    let first = ("lambda:GetFunctionConfiguration", "arn:better", Some("{}"));
    assert_eq!(brief, [first, ("iam:PassRole", "arn:role", None)]);
    let has = |at: usize, name: &str| asked[at].3.iter().any(|(key, _)| key == name);
    assert!(has(0, "lambda:Key") && !has(0, "iam:PassedToService"));
    assert!(!has(1, "lambda:Key") && has(1, "iam:PassedToService") && has(1, "aws:RequestedRegion"));
    let (router, ..) = world(Clerk { denies: vec!["iam:PassRole"], ..Clerk::default() }, true);
    let refused = router.call(call(lambda::ops::GetFunctionConfiguration::ROW, configuration("hello"))).await;
    assert_eq!(refused.unwrap_err().message, "not iam:PassRole");
}

#[tokio::test]
async fn a_denial_has_the_shape_of_its_service() {
    let denies = vec!["iam:TagUser", "logs:DeleteLogGroup", "lambda:GetFunctionConfiguration"];
    let (router, ..) = world(Clerk { denies, ..Clerk::default() }, false);
    let group = logs::DeleteLogGroupRequest { log_group_name: Some("g".into()) };
    for (operation, input, code, status) in [
        (iam::ops::TagUser::ROW, tag_user(), "AccessDenied", 403),
        (logs::ops::DeleteLogGroup::ROW, Input::Typed(Box::new(group)), "AccessDeniedException", 400),
        (lambda::ops::GetFunctionConfiguration::ROW, configuration("x"), "AccessDeniedException", 403),
    ] {
        let fault = router.call(call(operation, input)).await.unwrap_err();
        assert_eq!((fault.code.as_ref(), fault.status), (code, status));
        assert_eq!(fault.message, format!("not {}", operation.action));
    }
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_and_never_what_it_carried() {
    let (router, _, book) = world(Clerk { denies: vec!["logs:DeleteLogGroup"], ..Clerk::default() }, false);
    let client = door::Via::Client { loopback: true };
    let mut first = call(iam::ops::TagUser::ROW, tag_user());
    (first.via, first.origin.key_id) = (client, Some("AKIAX".into()));
    let id = first.request_id.to_string();
    router.call(first).await.unwrap();
    let mut failing = call(lambda::ops::GetFunctionConfiguration::ROW, configuration("fail"));
    failing.via = client;
    router.call(failing).await.unwrap_err();
    let group = logs::DeleteLogGroupRequest { log_group_name: Some("g".into()) };
    let mut denied = call(logs::ops::DeleteLogGroup::ROW, Input::Typed(Box::new(group)));
    denied.via = client;
    router.call(denied).await.unwrap_err();
    let lines = book.lines();
    assert_eq!(lines.len(), 3);
    let of = |at: usize, name: &str| lines[at][name].as_str().map(str::to_owned);
    assert_eq!(of(0, "eventName").as_deref(), Some("TagUser"));
    assert_eq!(of(0, "requestID"), Some(id));
    assert_eq!(lines[0]["userIdentity"]["accessKeyId"], "AKIAX");
    assert_eq!(lines[0]["userIdentity"]["arn"], "arn:aws:iam::000000000000:root");
    assert_eq!(of(0, "decision").as_deref(), Some("Allow"));
    assert_eq!(of(1, "errorCode").as_deref(), Some("ResourceNotFoundException"));
    assert_eq!(of(2, "decision").as_deref(), Some("Deny"));
    assert_eq!(of(2, "because").as_deref(), Some("statement no of p"));
    let all = lines.iter().map(Value::to_string).collect::<String>();
    assert!(!all.contains("blue") && !all.contains("a secret of the request"), "{all}");
    let first = &book.0.lock().unwrap()[0];
    assert_eq!((&*first.group, first.account.as_str()), (door::AUDIT_GROUP, "000000000000"));
}

#[tokio::test]
async fn what_moves_data_is_recorded_when_it_is_denied() {
    for (denies, wanted) in [(Vec::new(), 0), (vec!["sqs:DeleteMessage", "s3:AbortMultipartUpload"], 1)] {
        let url = Some("http://localhost/000000000000/jobs".into());
        let message = sqs::DeleteMessageRequest { queue_url: url, receipt_handle: Some("h".into()) };
        let upload = s3::AbortMultipartUploadRequest {
            bucket: Some("b".into()),
            key: Some("k".into()),
            upload_id: Some("u".into()),
            ..Default::default()
        };
        let inputs: [(_, Box<dyn wire::Structure>); 2] =
            [(sqs::ops::DeleteMessage::ROW, Box::new(message)), (s3::ops::AbortMultipartUpload::ROW, Box::new(upload))];
        for (row, input) in inputs {
            let (router, _, book) = world(Clerk { denies: denies.clone(), ..Clerk::default() }, false);
            let mut one = call(row, Input::Typed(input));
            one.via = door::Via::Client { loopback: true };
            assert_eq!(router.call(one).await.is_err(), wanted == 1, "{}", row.name);
            assert_eq!(book.lines().len(), wanted, "{}", row.name);
        }
    }
}

#[tokio::test]
async fn an_account_that_calls_too_often_is_throttled_in_its_services_shape() {
    let clocks = Arc::new(SystemClocks);
    let router = RouterBuilder::default()
        .on::<lambda::ops::GetFunctionConfiguration, _>(&Arc::new(Room))
        .on::<logs::ops::DeleteLogGroup, _>(&Arc::new(Room))
        .throttled(Throttle::new(clocks))
        .build(Gate::off());
    let group = || Input::Typed(Box::new(logs::DeleteLogGroupRequest { log_group_name: Some("g".into()) }));
    let often = |account: &'static str, on_logs: bool| {
        let router = Arc::clone(&router);
        async move {
            for _ in 0..1000 {
                let mut one = if on_logs {
                    call(logs::ops::DeleteLogGroup::ROW, group())
                } else {
                    call(lambda::ops::GetFunctionConfiguration::ROW, configuration("x"))
                };
                one.via = door::Via::Client { loopback: true };
                one.principal = Principal::Root { account: account.parse().unwrap(), verified: true };
                if let Err(fault) = router.call(one).await {
                    return (fault.code.into_owned(), fault.status);
                }
            }
            panic!("a thousand calls at once are too many")
        }
    };
    assert_eq!(often("000000000000", false).await, ("TooManyRequestsException".into(), 429));
    assert_eq!(often("000000000000", true).await, ("ThrottlingException".into(), 400));
    let mut other = call(lambda::ops::GetFunctionConfiguration::ROW, configuration("x"));
    other.principal = Principal::Root { account: "111122223333".parse().unwrap(), verified: true };
    other.via = door::Via::Client { loopback: true };
    router.call(other).await.unwrap();
}

#[tokio::test]
async fn every_operation_is_counted() {
    let (router, ..) = world(Clerk { denies: vec!["logs:DeleteLogGroup"], ..Clerk::default() }, false);
    router.call(call(iam::ops::TagUser::ROW, tag_user())).await.unwrap();
    router.call(call(lambda::ops::GetFunctionConfiguration::ROW, configuration("fail"))).await.unwrap_err();
    let group = || Input::Typed(Box::new(logs::DeleteLogGroupRequest { log_group_name: Some("g".into()) }));
    router.call(call(logs::ops::DeleteLogGroup::ROW, group())).await.unwrap_err();
    let text = router.metrics();
    for line in [
        "lambent_calls_total{service=\"iam\",operation=\"TagUser\"} 1\n",
        "lambent_client_faults_total{service=\"lambda\",operation=\"GetFunctionConfiguration\"} 1\n",
        "lambent_denied_total{service=\"logs\",operation=\"DeleteLogGroup\"} 1\n",
        "lambent_client_faults_total{service=\"logs\",operation=\"DeleteLogGroup\"} 0\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
