//! Invocations whose responses go out as they are written.

use std::sync::Arc;

use runtime::{Piece, Sink};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::engine::Engine;
use crate::{Done, Invocation, Refusal, Target};

/// An invocation under way, what it writes, and what comes of it.
#[derive(Debug)]
pub struct Flowing {
    pieces: mpsc::Receiver<Piece>,
    running: JoinHandle<Result<Done, Refusal>>,
}

pub(crate) fn begin(engine: &Arc<Engine>, target: Arc<Target>, invocation: Invocation) -> Flowing {
    let (sink, pieces) = Sink::new(Arc::clone(&engine.options.clocks));
    let invocation = Invocation { sink: Some(sink), ..invocation };
    let running = engine.tasks.spawn(Arc::clone(engine).invoke(target, invocation));
    Flowing { pieces, running }
}

impl Flowing {
    /// The next piece of the response; none when nothing more will come. The function waits while pieces are not taken.
    pub async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }

    /// What came of it. What of the response was not taken is lost.
    ///
    /// # Errors
    /// A [`Refusal`] when it never began.
    pub async fn done(mut self) -> Result<Done, Refusal> {
        self.pieces.close();
        match self.running.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The platform's end took it along.
                Err(_) => Err(Refusal::Draining),
            },
        }
    }
}
