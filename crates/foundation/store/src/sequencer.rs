use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use base::BoxFuture;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::crowd::Crowd;
use crate::disk::{Level, RESERVE_BYTES};
use crate::engine::Engine;
use crate::follow::Followers;
use crate::staged::Staged;
use crate::sweep::Sweeps;
use crate::{Batch, Error, Key, Kv, Range, Row, Rows, Snapshot, Space, Told, Transaction, Write};

/// Transactions that may wait for the sequencer; further callers wait before they are accepted.
const QUEUE: usize = 1024;
/// Most transactions in one group.
const GROUP_TRANSACTIONS: usize = 512;
/// Bytes after which a group is closed.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Whether the store takes calls.
#[derive(Debug, Clone)]
enum State {
    Open,
    Closed,
    Poisoned(Arc<str>),
}

enum Request {
    Transact { keys: Vec<Key>, f: Transaction, done: Done },
    Close(Done),
}

type Done = oneshot::Sender<Result<(), Error>>;

/// An engine behind one thread that runs transactions in order, in groups with one sync each.
pub(crate) struct Sequenced<E: Engine> {
    engine: Arc<E>,
    followers: Arc<Followers>,
    /// None only while dropping: the thread ends when the last sender is gone.
    requests: Option<mpsc::Sender<Request>>,
    state: watch::Receiver<State>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<E: Engine> Sequenced<E> {
    /// Starts the thread.
    pub(crate) fn start(engine: E) -> Result<Self, Error> {
        let engine = Arc::new(engine);
        let sweeps = Sweeps::load(engine.view()?.as_ref())?;
        let (requests, inbox) = mpsc::channel(QUEUE);
        let (publish, state) = watch::channel(State::Open);
        let followers = Arc::<Followers>::default();
        let sequencer = Sequencer {
            engine: Arc::clone(&engine),
            followers: Arc::clone(&followers),
            inbox,
            state: publish,
            sweeps,
            crowd: Crowd::default(),
        };
        let thread = thread::Builder::new().name("store".into()).spawn(move || sequencer.run()).map_err(|cause| {
            Error::Io { what: "cannot start the store's thread".into(), cause: cause.to_string().into() }
        })?;
        Ok(Self { engine, followers, requests: Some(requests), state, thread: Mutex::new(Some(thread)) })
    }

    fn check(&self) -> Result<(), Error> {
        match &*self.state.borrow() {
            State::Open => Ok(()),
            State::Closed => Err(Error::Closed),
            State::Poisoned(cause) => Err(Error::Poisoned(Arc::clone(cause))),
        }
    }

    async fn ask(&self, make: impl FnOnce(Done) -> Request + Send) -> Result<(), Error> {
        self.check()?;
        let (done, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(Error::Closed)?;
        if requests.send(make(done)).await.is_err() {
            self.check()?;
            return Err(Error::Closed);
        }
        if let Ok(outcome) = answer.await {
            return outcome;
        }
        // The thread ended without an answer, and always says how: closed, or poisoned.
        let mut state = self.state.clone();
        // An error here means that the thread is gone, and it left its last word.
        let _ = state.wait_for(|state| !matches!(state, State::Open)).await;
        self.check().and(Err(Error::Closed))
    }
}

impl<E: Engine> Kv for Sequenced<E> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.check()?;
        self.engine.get(space, key)
    }

    fn range(&self, space: Space, range: Range, limit: usize, reverse: bool) -> Result<Vec<Row>, Error> {
        self.check()?;
        self.engine.range(space, range, limit, reverse)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        self.check()?;
        self.engine.view()
    }

    fn transact(&self, keys: Vec<Key>, f: Transaction) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.ask(move |done| Request::Transact { keys, f, done }))
    }

    fn follow(&self, space: Space, prefix: Bytes, told: Told) {
        self.followers.add(space, prefix, told);
    }

    fn failed(&self) -> BoxFuture<'static, Error> {
        let mut state = self.state.clone();
        Box::pin(async move {
            loop {
                if let State::Poisoned(cause) = &*state.borrow_and_update() {
                    return Error::Poisoned(Arc::clone(cause));
                }
                if state.changed().await.is_err() {
                    // The store is gone and was never poisoned.
                    std::future::pending::<()>().await;
                }
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            match self.ask(Request::Close).await {
                Err(Error::Closed) => Ok(()),
                other => other,
            }
        })
    }
}

impl<E: Engine> Drop for Sequenced<E> {
    /// Waits for the thread, which finishes what it accepted and stops the engine cleanly: whoever opens the same folder
    /// next finds it free.
    fn drop(&mut self) {
        self.requests = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            // A transaction may have held the last handle; the thread cannot wait for itself.
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread had panicked");
        }
    }
}

/// The thread's own part: it owns the inbox and is the only writer of the engine.
struct Sequencer<E: Engine> {
    engine: Arc<E>,
    followers: Arc<Followers>,
    inbox: mpsc::Receiver<Request>,
    state: watch::Sender<State>,
    sweeps: Sweeps,
    /// How many are about to ask, so that they share one sync.
    crowd: Crowd,
}

/// A group under way: what it writes, and who waits for it with which decision.
struct Group {
    staged: Staged,
    waiting: Vec<(Done, Result<(), Error>)>,
    dropped: Vec<(Space, Bytes)>,
}

impl<E: Engine> Sequencer<E> {
    fn run(mut self) {
        // A panic below (in the engine: transactions are caught) must not leave callers waiting on an open store.
        let ended = catch_unwind(AssertUnwindSafe(|| self.serve()));
        match ended {
            Ok(Ok(closer)) => self.stop(closer),
            Ok(Err(error)) => self.poison(&error.to_string()),
            Err(_) => self.poison("the engine panicked"),
        }
    }

    /// Serves groups until told to close, or nobody is left to ask.
    fn serve(&mut self) -> Result<Option<Done>, Error> {
        loop {
            let first = match self.arrival() {
                Ok(request) => Some(request),
                Err(mpsc::error::TryRecvError::Disconnected) => return Ok(None),
                Err(mpsc::error::TryRecvError::Empty) if self.sweeps.idle() => match self.inbox.blocking_recv() {
                    Some(request) => Some(request),
                    None => return Ok(None),
                },
                Err(mpsc::error::TryRecvError::Empty) => None,
            };
            let (group, closer) = self.gather(first)?;
            self.commit(group)?;
            if closer.is_some() {
                return Ok(closer);
            }
        }
    }

    /// The next request: one that waits, or one that comes while the thread lets those go first who are expected.
    fn arrival(&mut self) -> Result<Request, mpsc::error::TryRecvError> {
        let now = || base::Clocks::monotonic(&base::SystemClocks);
        loop {
            match self.inbox.try_recv() {
                Ok(request) => {
                    self.crowd.came();
                    return Ok(request);
                }
                Err(mpsc::error::TryRecvError::Empty) if self.crowd.worth_a_turn(now) => thread::yield_now(),
                Err(nothing) => return Err(nothing),
            }
        }
    }

    /// Runs what is waiting, in order, up to the size of a group, and one step of a sweep.
    fn gather(&mut self, first: Option<Request>) -> Result<(Group, Option<Done>), Error> {
        let staged = Staged::over(self.engine.view()?);
        // Room for all at once: to grow it request by request costs as much as half the transactions.
        let together = self.crowd.expected().max(self.inbox.len() + 1).min(GROUP_TRANSACTIONS);
        let waiting = Vec::with_capacity(together);
        let mut group = Group { staged, waiting, dropped: Vec::new() };
        let mut closer = None;
        let mut next = first;
        while let Some(request) = next {
            match request {
                Request::Transact { keys, f, done } => {
                    let outcome = group.run(&keys, f, self.engine.as_ref());
                    group.waiting.push((done, outcome));
                }
                Request::Close(done) => {
                    closer = Some(done);
                    break;
                }
            }
            let full = group.waiting.len() >= GROUP_TRANSACTIONS || group.staged.bytes() >= GROUP_BYTES;
            next = if full { None } else { self.arrival().ok() };
        }
        if let Err(error) = self.sweeps.step(&mut group.staged) {
            tracing::warn!(%error, "a sweep cannot read what it shall delete; the next start tries again");
            self.sweeps.pause();
        }
        Ok((group, closer))
    }

    /// Makes the group durable and answers everybody in it, also those whose transaction was refused: what it was
    /// refused for may be part of the group.
    fn commit(&mut self, group: Group) -> Result<(), Error> {
        let bytes = group.staged.bytes() as u64;
        let writes = group.staged.into_writes();
        if !writes.is_empty() {
            if self.engine.free_bytes()? < RESERVE_BYTES + 2 * bytes {
                // The step of a sweep is lost with the group: begin again from the rows, and not before space was freed.
                self.sweeps = Sweeps::load(self.engine.view()?.as_ref())?;
                self.sweeps.pause();
                refuse(group.waiting, &Error::Full);
                return Ok(());
            }
            let followers = Arc::clone(&self.followers);
            let news = followers.news(&writes);
            if let Err(error) = self.engine.commit(writes) {
                self.poison(&error.to_string());
                refuse(group.waiting, &Error::Poisoned(error.to_string().into()));
                return Err(error);
            }
            news.tell();
            self.sweeps.resume();
        }
        for (space, prefix) in group.dropped {
            self.sweeps.add(space, prefix);
        }
        self.crowd.answered(group.waiting.len(), self.inbox.len());
        for (done, outcome) in group.waiting {
            // Whoever no longer waits has dropped the future; the transaction stands.
            let _ = done.send(outcome);
        }
        Ok(())
    }

    /// The first cause stands. Whoever waits in the inbox finds its sender gone and reads the state.
    ///
    /// The engine is never dropped from here on: going, it would sync once more, and a sync that follows a failed one
    /// succeeds without having written anything.
    fn poison(&mut self, cause: &str) {
        std::mem::forget(Arc::clone(&self.engine));
        self.state.send_if_modified(|state| {
            let first = !matches!(state, State::Poisoned(_));
            if first {
                tracing::error!(cause, "the store is poisoned: a write or its sync failed");
                *state = State::Poisoned(cause.into());
            }
            first
        });
        self.inbox.close();
    }

    fn stop(mut self, closer: Option<Done>) {
        self.inbox.close();
        self.state.send_replace(State::Closed);
        let outcome = self.engine.close();
        if let Err(error) = &outcome {
            tracing::warn!(%error, "the store did not stop cleanly; the next start replays its journal");
        }
        if let Some(done) = closer {
            let _ = done.send(outcome);
        }
    }
}

/// Answers everybody in a group that was not written.
fn refuse(waiting: Vec<(Done, Result<(), Error>)>, error: &Error) {
    for (done, _) in waiting {
        let _ = done.send(Err(error.clone()));
    }
}

impl Group {
    /// Runs one transaction over the staged rows and stages its batch.
    fn run(&mut self, keys: &[Key], mut f: Transaction, engine: &impl Engine) -> Result<(), Error> {
        let rows = Rows::load(keys, &self.staged)?;
        let decided = catch_unwind(AssertUnwindSafe(|| f(&rows))).map_err(|_| Error::Panicked)?;
        rows.declared_all()?;
        let batch: Batch = decided?;
        batch.check()?;
        // What makes room is not measured: a full folder is walked, and deletions must be quick and certain there.
        if !batch.is_empty() && !batch.makes_room() && engine.level(batch.bytes())? == Level::Full {
            return Err(Error::Full);
        }
        let (writes, dropped) = batch.into_parts();
        for Write { space, key, value } in writes {
            self.staged.write(space, key, value);
        }
        for (space, prefix) in dropped {
            self.staged.write(Space::Meta, Sweeps::row(space, &prefix), Some(Bytes::new()));
            self.dropped.push((space, prefix));
        }
        Ok(())
    }
}
