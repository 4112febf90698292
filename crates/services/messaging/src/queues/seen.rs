//! Work that goes on when whoever waits for it has gone: what is on its way to the disk must be heard of by the index.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Whether somebody still waits for a piece of work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicBool>);

impl Waiting {
    /// Whether whoever waited has gone.
    pub(crate) fn has_gone(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A piece of work that is done where it is awaited, and elsewhere from when nobody awaits it any more.
pub(crate) struct SeenThrough<T: Send + 'static> {
    // None once it is done.
    work: Option<Work<T>>,
    waiting: Waiting,
}

/// Sees through what `work` makes.
pub(crate) fn see_through<T, F>(work: impl FnOnce(Waiting) -> F) -> SeenThrough<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let waiting = Waiting::default();
    SeenThrough { work: Some(Box::pin(work(waiting.clone()))), waiting }
}

impl<T: Send + 'static> Future for SeenThrough<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for SeenThrough<T> {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        self.waiting.0.store(true, Ordering::Release);
        // Without a runtime the process ends, and the rows are the truth for the next.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_whether_or_not_somebody_waits() {
        assert_eq!(see_through(|_| async { 7 }).await, 7);
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let (told, tell) = tokio::sync::oneshot::channel();
        let mut work = Box::pin(see_through(|waiting| async move {
            gone.await.unwrap();
            told.send(waiting.has_gone()).unwrap();
        }));
        let begun = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        assert!(begun.is_pending());
        drop(work);
        go.send(()).unwrap();
        assert!(tell.await.unwrap(), "it knows that nobody waits");
    }
}
