use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, oneshot};

use crate::Timestamp;

/// The right to work at one moment of the product clock. While it, or a clone of it, is held, a jump of
/// [`VirtualClocks`](crate::VirtualClocks) goes no further; with the machine's clocks it is nothing.
///
/// Work that goes on in another task takes a clone along.
#[derive(Debug, Clone, Default)]
#[must_use = "the clock waits for this moment's work only while its turn is held"]
pub struct Turn(Option<Arc<Held>>);

#[derive(Debug)]
struct Held {
    board: Arc<Board>,
    id: u64,
}

impl Turn {
    /// Says what is done in this turn, so that a jump that waits for it in vain can name it.
    pub fn called(self, what: &'static str) -> Self {
        if let Some(held) = &self.0
            && let Some(doing) = held.board.lock().turns.get_mut(&held.id)
        {
            doing.what = what;
        }
        self
    }

    /// Whether a clock waits for its end: then what is due at one moment is done in a stable order.
    pub fn is_awaited(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.board.lock().turns.remove(&self.id);
        self.board.ended.notify_waiters();
    }
}

/// Who waits for which moment, and who works at this one.
#[derive(Debug, Default)]
pub(crate) struct Board {
    lists: Mutex<Lists>,
    // Rung when a turn ends.
    pub(crate) ended: Notify,
}

#[derive(Debug, Default)]
pub(crate) struct Lists {
    // In the order in which they are woken: by moment, and then as they enrolled.
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<Turn>>,
    turns: BTreeMap<u64, Doing>,
    next: u64,
}

/// What is done in a turn, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Doing {
    pub(crate) since: Timestamp,
    pub(crate) what: &'static str,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().expect("no code panics while holding it")
    }

    fn number(lists: &mut Lists) -> u64 {
        lists.next += 1;
        lists.next
    }

    /// A turn at this moment.
    pub(crate) fn turn(self: &Arc<Self>, since: Timestamp) -> Turn {
        let mut lists = self.lock();
        let id = Self::number(&mut lists);
        lists.turns.insert(id, Doing { since, what: "work without a name" });
        drop(lists);
        Turn(Some(Arc::new(Held { board: Arc::clone(self), id })))
    }

    /// Enrols a sleeper.
    pub(crate) fn enrol(self: &Arc<Self>, due: Timestamp) -> Sleeper {
        let (wake, woken) = oneshot::channel();
        let mut lists = self.lock();
        let key = (due, Self::number(&mut lists));
        lists.sleepers.insert(key, wake);
        drop(lists);
        Sleeper { board: Arc::clone(self), key, woken }
    }

    /// The next moment for which somebody waits.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.lock().sleepers.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes the first sleeper who waits for `last` or less off the list.
    pub(crate) fn first(&self, last: Timestamp) -> Option<(Timestamp, oneshot::Sender<Turn>)> {
        let mut lists = self.lock();
        let first = lists.sleepers.first_entry().filter(|first| first.key().0 <= last)?;
        let due = first.key().0;
        Some((due, first.remove()))
    }

    /// The turn that is held longest, if any is held.
    pub(crate) fn oldest(&self) -> Option<Doing> {
        self.lock().turns.first_key_value().map(|(_, doing)| *doing)
    }
}

/// One who waits for a moment.
#[derive(Debug)]
pub(crate) struct Sleeper {
    board: Arc<Board>,
    key: (Timestamp, u64),
    pub(crate) woken: oneshot::Receiver<Turn>,
}

impl Sleeper {
    /// Rises by itself, since its moment came without a jump; none if it is being woken just now.
    pub(crate) fn rise(&self, now: Timestamp) -> Option<Turn> {
        let risen = self.board.lock().sleepers.remove(&self.key);
        risen.map(|_| self.board.turn(now))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let gone = self.board.lock().sleepers.remove(&self.key);
        drop(gone);
    }
}
