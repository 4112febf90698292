//! Breaks the one circle of the wiring: the invoker serves the gateway inside sandboxes, and the gateway leads to the invoker.

use std::sync::OnceLock;

use base::{Principal, SandboxNet};

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
