//! A room with its service running, and a caller.

use std::sync::Arc;

use base::{
    Account, BoxFuture, Clocks, Fault, LocalBell, LogLine, LogSink, Principal, Region, RequestId, SystemRng, Timestamp,
    VirtualClocks,
};
use door::{Body, Call, Dispatch, Gate, Handle, Input, Origin, Reply, Router, RouterBuilder, Via};
use model::logs::{self, ops};
use observe::{Observe, Options};
use store::Kv;
use wire::Op;

pub(crate) struct World {
    pub(crate) observe: Arc<Observe>,
    /// The room behind a door that asks no policies.
    pub(crate) router: Arc<Router>,
    pub(crate) clocks: Arc<VirtualClocks>,
    pub(crate) kv: Arc<dyn Kv>,
}

pub(crate) const GROUP: &str = "/aws/lambda/hello";

impl World {
    /// Must be called within a runtime: the service runs in it.
    pub(crate) fn new() -> Self {
        Self::over(store::memory())
    }

    pub(crate) fn over(kv: Arc<dyn Kv>) -> Self {
        let (world, service) = Self::idle(kv);
        tokio::spawn(service.run());
        world
    }

    /// A room whose service does not run yet.
    pub(crate) fn idle(kv: Arc<dyn Kv>) -> (Self, observe::Service) {
        let clocks = Arc::new(VirtualClocks::default());
        clocks.pause();
        let options = Options {
            kv: Arc::clone(&kv),
            clocks: clocks.clone(),
            rng: Arc::new(SystemRng),
            bell: Arc::new(LocalBell::new()),
            dispatch: Arc::new(Elsewhere),
        };
        let (observe, service) = Observe::open(options);
        let router = observe::register(RouterBuilder::default(), &observe).dropping(dropped()).build(Gate::off());
        (Self { observe, router, clocks, kv }, service)
    }

    pub(crate) async fn call<O: Op>(&self, input: O::Input) -> Result<O::Output, Fault>
    where
        Observe: Handle<O>,
    {
        call::<O>(&self.router, input).await
    }

    /// The answer with its body.
    pub(crate) async fn reply<O: Op>(&self, input: O::Input) -> Result<Reply, Fault>
    where
        Observe: Handle<O>,
    {
        reply::<O>(&self.router, input).await
    }

    /// The room behind another gate.
    pub(crate) fn behind(&self, gate: Arc<Gate>) -> Arc<Router> {
        observe::register(RouterBuilder::default(), &self.observe).dropping(dropped()).build(gate)
    }

    pub(crate) fn now(&self) -> i64 {
        self.clocks.product().0
    }

    /// Lines of one stream of [`GROUP`], as the invoker hands them over.
    pub(crate) fn write(&self, stream: &str, lines: &[(i64, &str)]) {
        let lines = lines.iter().map(|(at, text)| LogLine {
            account: Account::DEFAULT,
            region: Region::default_region(),
            group: GROUP.into(),
            stream: stream.into(),
            at: Timestamp(*at),
            text: (*text).to_owned(),
            hops: 0,
        });
        self.observe.write(lines.collect());
    }

    pub(crate) async fn create_group(&self, name: &str) {
        let input = logs::CreateLogGroupRequest { log_group_name: Some(name.into()), ..Default::default() };
        self.call::<ops::CreateLogGroup>(input).await.unwrap();
    }

    pub(crate) async fn create_stream(&self, group: &str, name: &str) {
        let input =
            logs::CreateLogStreamRequest { log_group_name: Some(group.into()), log_stream_name: Some(name.into()) };
        self.call::<ops::CreateLogStream>(input).await.unwrap();
    }

    pub(crate) async fn put(&self, stream: &str, events: &[(i64, &str)]) -> Result<logs::PutLogEventsResponse, Fault> {
        let events =
            events.iter().map(|(at, text)| logs::InputLogEvent { timestamp: Some(*at), message: Some((*text).into()) });
        let input = logs::PutLogEventsRequest {
            log_group_name: Some(GROUP.into()),
            log_stream_name: Some(stream.into()),
            log_events: Some(events.collect()),
            ..Default::default()
        };
        self.call::<ops::PutLogEvents>(input).await
    }

    /// The texts of [`GROUP`], all pages.
    pub(crate) async fn filter(&self, input: logs::FilterLogEventsRequest) -> Vec<String> {
        let mut input = logs::FilterLogEventsRequest { log_group_name: Some(GROUP.into()), ..input };
        let mut texts = Vec::new();
        loop {
            let page = self.call::<ops::FilterLogEvents>(input.clone()).await.unwrap();
            texts.extend(page.events.unwrap().into_iter().map(|event| event.message.unwrap()));
            input.next_token = page.next_token;
            if input.next_token.is_none() {
                return texts;
            }
            assert!(texts.len() < 10_000, "the token leads nowhere");
        }
    }
}

pub(crate) async fn call<O: Op>(router: &Router, input: O::Input) -> Result<O::Output, Fault> {
    Ok(reply::<O>(router, input).await?.typed().unwrap())
}

async fn reply<O: Op>(router: &Router, input: O::Input) -> Result<Reply, Fault> {
    let call = Call {
        principal: Principal::Root { account: Account::DEFAULT, verified: true },
        origin: Origin::default(),
        via: Via::Client { loopback: true },
        operation: O::ROW,
        input: Input::Typed(Box::new(input)),
        body: Body::Empty,
        region: Region::default_region(),
        request_id: RequestId::new(&SystemRng),
        deadline: None,
        depth: 0,
        trace: None,
    };
    router.call(call).await
}

/// What the room reaches through the door: the function [`FUNCTION`], which lets log groups in.
struct Elsewhere;

pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:listener";

impl Dispatch for Elsewhere {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async move {
            assert_eq!(call.operation.name, "Invoke");
            let Principal::Service { name, source_arn, .. } = &call.principal else { panic!("a service asks") };
            assert_eq!((*name, source_arn.as_str()), ("logs.amazonaws.com", &*format!("{}:*", arn(GROUP))));
            let Input::Typed(input) = call.input else { panic!("a room asks with a value") };
            let kind = wire::text_member(&*input, "InvocationType");
            assert_eq!(kind.as_deref(), Some("DryRun"), "it is asked, not run");
            if wire::text_member(&*input, "FunctionName").as_deref() != Some(FUNCTION) {
                return Err(Fault::denied("it lets nobody in"));
            }
            Ok(Reply { output: Box::new(wire::Unit), body: Body::Empty })
        })
    }
}

/// The ARN of a group.
pub(crate) fn arn(group: &str) -> String {
    format!("arn:aws:logs:us-east-1:000000000000:log-group:{group}")
}

/// What `cargo xtask drops` takes away to see which test notices.
fn dropped() -> Option<door::Dropped> {
    std::env::var("LAMBENT_DROP").ok().map(|member| member.parse().unwrap())
}

pub(crate) fn assert_fault<T: std::fmt::Debug>(result: Result<T, Fault>, code: &str, message: &str) {
    let fault = result.unwrap_err();
    assert_eq!((fault.code.as_ref(), fault.message.as_str()), (code, message));
    assert_eq!(fault.status, 400);
}
