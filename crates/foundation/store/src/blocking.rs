use crate::Error;

/// Runs file calls where they hold up nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        // The runtime is shutting down, or the work panicked; either way there is no outcome.
        Err(_) => Err(Error::Closed),
    }
}
