//! What happens once, when a start is over.

use std::sync::Arc;

use base::BoxFuture;
use futures_util::future::Shared;
use runtime::Interpreter;
use sandbox::Linux;

/// Waits until nothing of the start goes on any more, then gives back the memory that it alone needed.
pub(super) async fn give_back(walls: Arc<Linux>, interpreters: Shared<BoxFuture<'static, Arc<[Interpreter]>>>) {
    tokio::join!(walls.settled(), interpreters);
    drop(walls);
    sandbox::unmap_own_file();
}
