//! What every call passes, with one small room behind the door.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod outbox;
mod recorded;

use std::sync::{Arc, Mutex};

use base::{Account, Fault, Principal, Region, RequestId, SystemClocks, SystemRng};
use door::{
    Answer, Ask, Body, Call, Context, Decision, Denial, Dispatch, Gate, Handle, Input, Mode, Origin, Policies, Router,
    RouterBuilder, Via,
};
use model::lambda::{self, ops};
use wire::{Op, Protocol};

/// Answers GetFunctionConfiguration with the name it was asked for.
struct Room;

impl Handle<ops::GetFunctionConfiguration> for Room {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: lambda::GetFunctionConfigurationRequest,
        _: Body,
    ) -> Result<Answer<lambda::FunctionConfiguration>, Fault> {
        assert_eq!(context.account, Account::DEFAULT);
        Ok(lambda::FunctionConfiguration { function_name: input.function_name, ..Default::default() }.into())
    }
}

/// Remembers what it was asked, and would deny it all.
#[derive(Default)]
struct Asked(Mutex<Vec<(String, String)>>);

impl Policies for Asked {
    fn decide(&self, ask: &Ask<'_>) -> Decision {
        self.0.lock().unwrap().push((ask.action.to_owned(), ask.resource.to_owned()));
        Decision::Denied(Denial { message: "nobody may do anything".into(), because: "test".into(), always: false })
    }
}

fn door() -> (Arc<Router>, Arc<Asked>) {
    door_with(Mode::Warn)
}

fn door_with(mode: Mode) -> (Arc<Router>, Arc<Asked>) {
    let asked = Arc::new(Asked::default());
    let gate = Arc::new(Gate::new(asked.clone(), mode, Arc::new(SystemClocks)));
    let router = RouterBuilder::default().on::<ops::GetFunctionConfiguration, _>(&Arc::new(Room)).build(gate);
    (router, asked)
}

fn call(operation: &'static wire::Operation, input: Input) -> Call {
    Call {
        principal: Principal::Root { account: Account::DEFAULT, verified: true },
        origin: Origin::default(),
        via: Via::Room("test"),
        operation,
        input,
        body: Body::Empty,
        region: Region::default_region(),
        request_id: RequestId::new(&SystemRng),
        deadline: None,
        depth: 0,
        trace: None,
    }
}

fn named(name: &str) -> Input {
    Input::Typed(Box::new(lambda::GetFunctionConfigurationRequest {
        function_name: Some(name.into()),
        ..Default::default()
    }))
}

#[tokio::test]
async fn a_typed_call_reaches_its_room_and_its_answer_comes_back_typed() {
    let (router, asked) = door();
    let reply = router.call(call(ops::GetFunctionConfiguration::ROW, named("hello"))).await.unwrap();
    let output: lambda::FunctionConfiguration = reply.typed().unwrap();
    assert_eq!(output.function_name.as_deref(), Some("hello"));
    let asked = asked.0.lock().unwrap();
    let resource = "arn:aws:lambda:us-east-1:000000000000:function:hello";
    assert_eq!(*asked, [("lambda:GetFunctionConfiguration".to_owned(), resource.to_owned())], "always authorised");
}

#[tokio::test]
async fn an_arn_in_a_member_stands_for_the_whole_resource() {
    let (router, asked) = door();
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:there";
    router.call(call(ops::GetFunctionConfiguration::ROW, named(arn))).await.unwrap();
    assert_eq!(asked.0.lock().unwrap()[0].1, arn);
}

#[tokio::test]
async fn a_clients_bytes_are_decoded_here() {
    let (router, _) = door();
    let request = wire::Request {
        method: http::Method::GET,
        path: "/2015-03-31/functions/by%2Dbytes/configuration".into(),
        query: String::new(),
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
    };
    let input = Input::Encoded(Protocol::RestJson, request);
    let reply = router.call(call(ops::GetFunctionConfiguration::ROW, input)).await.unwrap();
    let output: lambda::FunctionConfiguration = reply.typed().unwrap();
    assert_eq!(output.function_name.as_deref(), Some("by-bytes"));
}

#[tokio::test]
async fn the_models_constraints_hold_for_every_caller() {
    let (router, asked) = door();
    let fault = router.call(call(ops::GetFunctionConfiguration::ROW, named("not a name"))).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status), ("ValidationException", 400));
    assert!(fault.message.contains("'functionName'"), "{}", fault.message);
    assert!(asked.0.lock().unwrap().is_empty(), "nothing was decided on an invalid call");
}

#[tokio::test]
async fn what_no_room_handles_is_refused_by_name() {
    let (router, _) = door();
    let fault = router.call(call(ops::PublishVersion::ROW, Input::Typed(Box::new(wire::Unit)))).await.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.status), ("NotImplemented", 501));
    assert!(fault.message.contains("lambda:PublishVersion"), "{}", fault.message);
}

#[tokio::test]
async fn a_chain_of_calls_ends() {
    let (router, _) = door();
    let mut deep = call(ops::GetFunctionConfiguration::ROW, named("hello"));
    deep.depth = base::limits::CALL_DEPTH + 1;
    let fault = router.call(deep).await.unwrap_err();
    assert_eq!(fault.status, 508);
}

#[tokio::test]
async fn what_becomes_of_a_denial_is_the_modes_business() {
    for (mode, passes, asked_times) in [(Mode::Off, true, 0), (Mode::Warn, true, 1), (Mode::Enforce, false, 1)] {
        let (router, asked) = door_with(mode);
        let answer = router.call(call(ops::GetFunctionConfiguration::ROW, named("hello"))).await;
        assert_eq!(answer.is_ok(), passes, "{mode:?}");
        assert_eq!(asked.0.lock().unwrap().len(), asked_times, "{mode:?}");
        if let Err(fault) = answer {
            let (code, message) = (fault.code.as_ref(), fault.message.as_str());
            assert_eq!((code, fault.status, message), ("AccessDeniedException", 403, "nobody may do anything"));
        }
    }
}

#[tokio::test]
async fn a_test_can_have_one_member_taken_away_before_anything_looks_at_it() {
    let gate = Gate::off();
    let router = |dropped: &str| {
        let builder = RouterBuilder::default().on::<ops::GetFunctionConfiguration, _>(&Arc::new(Room));
        builder.dropping(Some(dropped.parse().unwrap())).build(gate.clone())
    };
    for other in ["lambda:GetFunctionConfiguration.Qualifier", "lambda:GetFunction.FunctionName", "logs:X.FunctionName"]
    {
        router(other).call(call(ops::GetFunctionConfiguration::ROW, named("hello"))).await.unwrap();
    }
    for missing in ["lambda:GetFunctionConfiguration.FunctionName", "lambda:GetFunctionConfiguration"] {
        let answer = router(missing).call(call(ops::GetFunctionConfiguration::ROW, named("hello"))).await;
        assert_eq!(answer.unwrap_err().code, "ValidationException", "{missing}");
    }
    assert!("CreateFunction".parse::<door::Dropped>().is_err());
}
