//! The platform's own endpoint inside a sandbox.

use std::sync::Arc;

use base::{Principal, SandboxNet};
use door::Via;
use tokio::task::AbortHandle;

use crate::arrival::Entrance;
use crate::limits::{SANDBOX_BODIES, SANDBOX_CONNECTIONS};
use crate::{Gateway, Options};

/// Ends the service of a sandbox's listener, and every connection on it, when dropped.
struct Guard(AbortHandle);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// [`SandboxNet`] for the invoker. It holds the gateway.
pub struct Inside(pub Arc<Gateway>);

impl SandboxNet for Inside {
    fn serve(&self, listener: std::net::TcpListener, principal: Principal) -> Box<dyn Send + Sync> {
        let gateway = Arc::clone(&self.0);
        let Options { runtime, .. } = &self.0.options;
        let _entered = runtime.enter();
        let bodies = Some(Arc::new(tokio::sync::Semaphore::new(SANDBOX_BODIES)));
        let entrance = Arc::new(Entrance { via: Via::Sandbox, principal: Some(principal), bodies });
        let listener = listener.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(listener));
        let serving = runtime.spawn(async move {
            match listener {
                // It ends with its guard, never by itself.
                Ok(listener) => gateway.accept(listener, entrance, SANDBOX_CONNECTIONS, std::future::pending()).await,
                Err(error) => tracing::error!(%error, "cannot serve the platform's endpoint inside a sandbox"),
            }
        });
        Box::new(Guard(serving.abort_handle()))
    }
}
