//! Routes a call to the room that registered its operation.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use base::{BoxFuture, Fault};
use wire::{Op, Operation, Structure};

use crate::{Answer, Body, Call, Context, Decision, Dispatch, Input, Policies, Reply};

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
    handlers: HashMap<Row, Erased>,
    // What is registered, for the coverage table.
    rows: Vec<&'static Operation>,
    policies: Arc<dyn Policies>,
}

/// Collects handlers before the first call.
#[derive(Default)]
pub struct RouterBuilder {
    handlers: HashMap<Row, Erased>,
    rows: Vec<&'static Operation>,
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
        self.handlers.insert(Row::of(O::ROW), erased);
        self.rows.push(O::ROW);
        self
    }

    /// The finished router.
    pub fn build(self, policies: Arc<dyn Policies>) -> Arc<Router> {
        Arc::new(Router { handlers: self.handlers, rows: self.rows, policies })
    }
}

impl Router {
    /// The operations some room handles.
    pub fn registered(&self) -> &[&'static Operation] {
        &self.rows
    }

    /// Asks the policies and logs what they decided. Until enforcement is on, a denial is logged and let pass.
    fn authorise(&self, call: &Call, input: &dyn Structure) {
        let operation = call.operation;
        let resource = resource(operation, input, call.region.as_str(), call.principal.account().as_str());
        match self.policies.decide(&call.principal, operation.action, &resource) {
            Decision::Allowed(by) => {
                tracing::debug!(request = %call.request_id, action = operation.action, %resource, %by, "allowed");
            }
            Decision::Denied(why) => {
                tracing::debug!(request = %call.request_id, action = operation.action, %resource, %why, "would be denied");
            }
        }
    }

    async fn pass(&self, call: Call) -> Result<Reply, Fault> {
        let handler = self.handlers.get(&Row::of(call.operation)).ok_or_else(|| {
            Fault::not_implemented(format_args!("{}:{}", call.operation.service.name, call.operation.name))
        })?;
        if call.depth > base::limits::CALL_DEPTH {
            return Err(Fault::new(
                "LoopDetected",
                508,
                format!("a chain of {} calls ends here: it looks endless", call.depth),
            ));
        }
        let mut call = call;
        let host = match &call.input {
            Input::Encoded(_, request) => {
                request.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned)
            }
            Input::Typed(_) => None,
        };
        let input = match std::mem::replace(&mut call.input, Input::Typed(Box::new(wire::Unit))) {
            Input::Typed(input) => input,
            Input::Encoded(protocol, request) => wire::decode(protocol, call.operation, request)?,
        };
        wire::validate(call.operation, &*input)?;
        self.authorise(&call, &*input);
        let context = Context {
            account: call.principal.account(),
            principal: call.principal,
            via: call.via,
            region: call.region,
            request_id: call.request_id,
            deadline: call.deadline,
            depth: call.depth,
            trace: call.trace,
            host,
        };
        handler(context, input, call.body).await
    }
}

impl Dispatch for Router {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(self.pass(call))
    }
}

/// The resource ARN of a call: the row's template with region, account and input members filled in. A member that is
/// itself an ARN stands for the whole.
fn resource(operation: &Operation, input: &dyn Structure, region: &str, account: &str) -> String {
    let mut out = String::new();
    let mut rest = operation.resource;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((label, after)) = after.split_once('}') else { break };
        out.push_str(before);
        match label {
            "region" => out.push_str(region),
            "account" => out.push_str(account),
            member => {
                let value = wire::text_member(input, member).unwrap_or_else(|| "*".to_owned());
                if value.starts_with("arn:") {
                    return value;
                }
                out.push_str(&value);
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
