//! Routes a call to the room that registered its operation.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use base::{BoxFuture, Clocks, Fault, Principal};
use wire::{Op, Operation, Structure};

use crate::audit::{self, Record, Recorded};
use crate::counters::{self, Counters};
use crate::{
    About, Answer, Ask, AuthContext, Body, Call, Context, Dispatch, Dropped, Gate, Input, Need, Reply, Subject,
    Throttle, Via,
};
use crate::{facts, gate};

/// A room's answer to one operation. What no room implements answers NotImplemented by itself.
pub trait Handle<O: Op>: Send + Sync + 'static {
    /// Carries it out. The input is decoded and satisfies the model's constraints.
    fn handle(
        self: Arc<Self>,
        context: Context,
        input: O::Input,
        body: Body,
    ) -> impl Future<Output = Result<Answer<O::Output>, Fault>> + Send;
}

/// A registered handler without its type.
type Erased = Box<dyn Fn(Context, Box<dyn Structure>, Body) -> BoxFuture<'static, Result<Reply, Fault>> + Send + Sync>;

/// A row's address: each row is one static, so it names the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Row(usize);

impl Row {
    fn of(operation: &'static Operation) -> Self {
        Self(std::ptr::from_ref(operation).addr())
    }
}

/// The table of handlers and the checks every call passes.
pub struct Router {
    handlers: HashMap<Row, Registered>,
    // What is registered, for the coverage table.
    rows: Vec<&'static Operation>,
    // By the service's name: who knows what the policies must of its calls.
    contexts: HashMap<&'static str, Arc<dyn AuthContext>>,
    gate: Arc<Gate>,
    throttle: Option<Throttle>,
    clocks: Arc<dyn Clocks>,
    // A test control; none in use.
    dropped: Option<Dropped>,
}

struct Registered {
    operation: &'static Operation,
    handler: Erased,
    counters: Counters,
    // It is not in the audit log unless it is denied.
    moves_data: bool,
}

/// Collects handlers before the first call.
#[derive(Default)]
pub struct RouterBuilder {
    handlers: HashMap<Row, Registered>,
    rows: Vec<&'static Operation>,
    contexts: HashMap<&'static str, Arc<dyn AuthContext>>,
    throttle: Option<Throttle>,
    dropped: Option<Dropped>,
}

impl RouterBuilder {
    /// Registers `room` for operation `O`.
    #[must_use]
    pub fn on<O: Op, R: Handle<O>>(mut self, room: &Arc<R>) -> Self {
        let room = Arc::clone(room);
        let erased: Erased = Box::new(move |context, input, body| {
            let room = Arc::clone(&room);
            Box::pin(async move {
                let any: Box<dyn Any> = input;
                let input = any
                    .downcast::<O::Input>()
                    .map_err(|_| Fault::internal("a call carried another operation's input"))?;
                let Answer { output, body } = room.handle(context, *input, body).await?;
                Ok(Reply { output: Box::new(output), body })
            })
        });
        let moves_data = audit::moves_data(O::ROW);
        let registered = Registered { operation: O::ROW, handler: erased, counters: Counters::default(), moves_data };
        self.handlers.insert(Row::of(O::ROW), registered);
        self.rows.push(O::ROW);
        self
    }

    /// Names who knows, of calls of `service`, what the policies must.
    #[must_use]
    pub fn knows(mut self, service: &'static str, context: Arc<dyn AuthContext>) -> Self {
        self.contexts.insert(service, context);
        self
    }

    /// Limits how often accounts call.
    #[must_use]
    pub fn throttled(mut self, throttle: Throttle) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// A test control: takes one member away from every input of its operation, before anything looks at it.
    #[must_use]
    pub fn dropping(mut self, dropped: Option<Dropped>) -> Self {
        self.dropped = dropped;
        self
    }

    /// The finished router.
    pub fn build(self, gate: Arc<Gate>) -> Arc<Router> {
        let clocks = gate.clocks();
        let Self { handlers, rows, contexts, throttle, dropped } = self;
        Arc::new(Router { handlers, rows, contexts, gate, throttle, clocks, dropped })
    }
}

impl Router {
    /// The operations some room handles.
    pub fn registered(&self) -> &[&'static Operation] {
        &self.rows
    }

    /// What every operation was asked and answered, in Prometheus's text format.
    pub fn metrics(&self) -> String {
        counters::print(self.handlers.values().map(|one| (one.operation, &one.counters)))
    }

    /// Asks the policies about the call, and about what it needs besides.
    fn authorise(&self, call: &Call, input: &dyn Structure, moves_data: bool) -> Result<Option<Record>, Fault> {
        let operation = call.operation;
        let account = call.principal.account();
        let template = wire::resource::fill(operation, input, call.region.as_str(), account.as_str());
        let key_id = call.origin.key_id.as_deref();
        let subject =
            Subject { operation, input, principal: &call.principal, key_id, region: &call.region, resource: &template };
        let context = self.contexts.get(operation.service.name);
        let About { free, action, resource, owner, policy, trust, keys: own, also } =
            context.map_or_else(About::default, |context| context.about(&subject));
        let resource = resource.as_deref().unwrap_or(&template);
        let action = action.unwrap_or(operation.action);
        // Who is nobody passes by a policy that lets everyone in, and by nothing else.
        let is_nobody = matches!(call.principal, Principal::Anonymous);
        let recorded = Recorded {
            operation,
            action,
            resource,
            principal: &call.principal,
            origin: &call.origin,
            via: call.via,
            region: &call.region,
            request: call.request_id,
        };
        let audit = self.gate.audit.as_ref().filter(|_| !moves_data);
        let record = audit.and_then(|audit| audit.begin(&recorded));
        if free {
            return Ok(record);
        }
        let common = || self.gate.keys(&call.origin, &call.principal, &call.region);
        let keys = || [common(), facts::of_tags(input), own.clone()].concat();
        let ask = Ask {
            principal: &call.principal,
            key_id,
            action,
            resource,
            owner,
            policy: policy.as_deref(),
            trust,
            keys: &keys,
        };
        let decided = self.gate.decide(&ask, call.request_id, is_nobody).and_then(|()| {
            also.iter().try_for_each(|Need { action, resource, owner, keys: more, policy, trust }| {
                let keys = || [&common(), more].map(Vec::as_slice).concat();
                let (policy, trust) = (policy.as_deref(), *trust);
                let need = Ask { action, resource, owner: *owner, policy, trust, keys: &keys, ..ask };
                self.gate.decide(&need, call.request_id, is_nobody)
            })
        });
        decided.map_err(|denial| {
            if let Some(audit) = &self.gate.audit {
                audit.denied(&recorded, &denial.message, &denial.because);
            }
            gate::fault(operation.service, denial, is_nobody)
        })?;
        Ok(record)
    }

    async fn pass(&self, call: Call) -> Result<Reply, Fault> {
        let registered = self.handlers.get(&Row::of(call.operation)).ok_or_else(|| {
            Fault::not_implemented(format_args!("{}:{}", call.operation.service.name, call.operation.name))
        })?;
        let began = self.clocks.monotonic();
        let answer = self.carry_out(registered, call).await;
        registered.counters.answered(self.clocks.monotonic().duration_since(began), answer.as_ref().err());
        answer
    }

    async fn carry_out(&self, registered: &Registered, mut call: Call) -> Result<Reply, Fault> {
        if call.depth > base::limits::CALL_DEPTH {
            return Err(Fault::new(
                "LoopDetected",
                508,
                format!("a chain of {} calls ends here: it looks endless", call.depth),
            ));
        }
        // What one room asks of another is not the caller's doing.
        if let (Some(throttle), false) = (&self.throttle, matches!(call.via, Via::Room(_))) {
            throttle.count(call.operation, call.principal.account(), &call.region)?;
        }
        let host = match &call.input {
            Input::Encoded(_, request) => {
                request.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned)
            }
            Input::Typed(_) => None,
        };
        let mut input = match std::mem::replace(&mut call.input, Input::Typed(Box::new(wire::Unit))) {
            Input::Typed(input) => input,
            Input::Encoded(protocol, request) => wire::decode(protocol, call.operation, request)?,
        };
        if let Some(dropped) = &self.dropped {
            input = dropped.drop_from(call.operation, input, &mut call.body)?;
        }
        wire::validate(call.operation, &*input)?;
        let record = self.authorise(&call, &*input, registered.moves_data)?;
        let context = Context {
            account: call.principal.account(),
            principal: call.principal,
            origin: call.origin,
            via: call.via,
            region: call.region,
            request_id: call.request_id,
            deadline: call.deadline,
            depth: call.depth,
            trace: call.trace,
            host,
        };
        let answer = (registered.handler)(context, input, call.body).await;
        if let (Some(audit), Some(record)) = (&self.gate.audit, &record) {
            audit.ended(record, answer.as_ref().map(drop));
        }
        answer
    }
}

impl Dispatch for Router {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(self.pass(call))
    }
}
