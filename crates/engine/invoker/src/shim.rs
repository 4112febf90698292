use runtime::{Event, InitOutcome, Outcome};
use std::sync::Arc;
pub(crate) struct Session {}
pub(crate) struct Gone;
impl Session {
    pub(crate) fn new() -> Arc<Self> { Arc::new(Self {}) }
    pub(crate) async fn serve(self: Arc<Self>, _l: tokio::net::TcpListener) {}
    pub(crate) async fn initialised(&self) -> InitOutcome { std::future::pending().await }
    pub(crate) async fn invoke(&self, _e: Event) -> Result<Outcome, Gone> { std::future::pending().await }
    pub(crate) fn close(&self) {}
}
