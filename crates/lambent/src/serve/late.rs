//! Breaks the circles of the wiring: the invoker serves the gateway inside sandboxes, and the gateway leads to the invoker;
//! the router leads to rooms that ask others through it.

use std::sync::{Arc, OnceLock};

use base::{BoxFuture, Fault, Principal, SandboxNet};
use door::{Call, Dispatch, Reply};

/// A [`SandboxNet`] that is named once, before the first invocation.
#[derive(Default)]
pub(super) struct LateNet {
    net: OnceLock<gateway::Inside>,
}

impl LateNet {
    /// Names it. The listener of the host opens only after this, so no environment can exist yet.
    pub(super) fn set(&self, net: gateway::Inside) {
        assert!(self.net.set(net).is_ok(), "the wiring names the gateway once");
    }
}

impl SandboxNet for LateNet {
    fn serve(&self, listener: std::net::TcpListener, principal: Principal) -> Box<dyn Send + Sync> {
        match self.net.get() {
            Some(net) => net.serve(listener, principal),
            // Nothing listens: connections inside are refused when the listener is dropped.
            None => Box::new(()),
        }
    }
}

/// A [`Dispatch`] that is named once, before the first call.
#[derive(Default)]
pub(super) struct LateDispatch {
    router: OnceLock<Arc<dyn Dispatch>>,
}

impl LateDispatch {
    /// Names it.
    pub(super) fn set(&self, router: Arc<dyn Dispatch>) {
        assert!(self.router.set(router).is_ok(), "the wiring names the router once");
    }
}

impl Dispatch for LateDispatch {
    fn call(&self, call: Call) -> BoxFuture<'_, Result<Reply, Fault>> {
        match self.router.get() {
            Some(router) => router.call(call),
            None => Box::pin(async { Err(Fault::internal("a room called another before the platform was wired")) }),
        }
    }
}
