//! Environments that serve many requests at a time: who is in which, and who comes next.
//!
//! An environment is in use as long as it has requests, and its lease, its permit and its bill are one crowd's: the requests in
//! it. The first request opens a crowd, others join while there are places, the last one closes it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The crowds of one pool that have requests now, the oldest first.
#[derive(Debug)]
pub(crate) struct Crowds<T> {
    open: Mutex<Vec<Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    crowd: Arc<Crowd<T>>,
    // Requests in it.
    members: u32,
    // Whether somebody makes its environment.
    in_making: bool,
    // Whether nobody joins any more.
    closed: bool,
}

/// One environment's requests.
#[derive(Debug)]
pub(crate) struct Crowd<T> {
    // None until the environment is there, or it is known that there will be none.
    state: watch::Sender<Option<T>>,
}

impl<T> Default for Crowds<T> {
    fn default() -> Self {
        Self { open: Mutex::default() }
    }
}

impl<T: Clone> Crowds<T> {
    /// Joins the oldest crowd that has a place, or begins one: then the caller must [`Crowd::open`] it. Who joins must leave.
    pub(crate) fn join(&self, places: u32) -> (Arc<Crowd<T>>, bool) {
        let mut open = self.lock();
        if let Some(entry) = open.iter_mut().find(|entry| !entry.closed && entry.members < places) {
            entry.members += 1;
            return (Arc::clone(&entry.crowd), false);
        }
        let crowd = Arc::new(Crowd { state: watch::Sender::new(None) });
        open.push(Entry { crowd: Arc::clone(&crowd), members: 1, in_making: false, closed: false });
        (crowd, true)
    }

    /// Nobody joins this crowd any more.
    pub(crate) fn close(&self, crowd: &Arc<Crowd<T>>) {
        if let Some(entry) = self.lock().iter_mut().find(|entry| Arc::ptr_eq(&entry.crowd, crowd)) {
            entry.closed = true;
        }
    }

    /// Somebody makes the crowd's environment, and leaves it by [`Crowds::made`].
    pub(crate) fn make(&self, crowd: &Arc<Crowd<T>>) {
        if let Some(entry) = self.lock().iter_mut().find(|entry| Arc::ptr_eq(&entry.crowd, crowd)) {
            entry.in_making = true;
        }
    }

    /// One request leaves. Answers whether it was the last: then the crowd is no more, and the caller its heir; and whether it
    /// had been closed.
    pub(crate) fn leave(&self, crowd: &Arc<Crowd<T>>) -> (bool, bool) {
        self.less(crowd, |entry| entry.members -= 1)
    }

    /// The environment is made, or will never be. Answers as [`Crowds::leave`] does.
    pub(crate) fn made(&self, crowd: &Arc<Crowd<T>>) -> (bool, bool) {
        self.less(crowd, |entry| entry.in_making = false)
    }

    fn less(&self, crowd: &Arc<Crowd<T>>, change: impl FnOnce(&mut Entry<T>)) -> (bool, bool) {
        let mut open = self.lock();
        let Some(at) = open.iter().position(|entry| Arc::ptr_eq(&entry.crowd, crowd)) else { return (false, true) };
        let entry = &mut open[at];
        change(entry);
        let left = (entry.members == 0 && !entry.in_making, entry.closed);
        if left.0 {
            open.remove(at);
        }
        left
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry<T>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Crowd<T> {
    /// Tells everybody what they wait for.
    pub(crate) fn open(&self, what: T) {
        self.state.send_replace(Some(what));
    }

    /// What the crowd has, once that is known.
    pub(crate) async fn opened(&self) -> T {
        let mut state = self.state.subscribe();
        let known = state.wait_for(Option::is_some).await.map(|known| known.clone());
        known.ok().flatten().expect("the sender lives as long as the crowd, and waited for is what is there")
    }

    /// The same, if it is known now.
    pub(crate) fn now(&self) -> Option<T> {
        self.state.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_the_last_one_closes() {
        let crowds = Crowds::<u32>::default();
        let (first, opens) = crowds.join(2);
        assert!(opens);
        let (again, opens) = crowds.join(2);
        assert!(!opens && Arc::ptr_eq(&first, &again));
        let (second, opens) = crowds.join(2);
        assert!(opens && !Arc::ptr_eq(&first, &second));
        assert_eq!(crowds.leave(&first), (false, false));
        // The oldest fills up first.
        let (again, opens) = crowds.join(2);
        assert!(!opens && Arc::ptr_eq(&first, &again));
        assert_eq!((crowds.leave(&first), crowds.leave(&first)), ((false, false), (true, false)));
        let (again, _) = crowds.join(2);
        assert!(Arc::ptr_eq(&second, &again));
        assert_eq!((crowds.leave(&second), crowds.leave(&second)), ((false, false), (true, false)));
        assert!(crowds.join(2).1);
    }

    #[test]
    fn a_closed_crowd_empties() {
        let crowds = Crowds::<u32>::default();
        let (first, _) = crowds.join(9);
        crowds.join(9);
        crowds.close(&first);
        assert!(crowds.join(9).1);
        assert_eq!((crowds.leave(&first), crowds.leave(&first)), ((false, true), (true, true)));
    }

    #[test]
    fn who_makes_an_environment_takes_no_place_and_may_be_the_last() {
        let crowds = Crowds::<u32>::default();
        let (crowd, _) = crowds.join(1);
        crowds.make(&crowd);
        assert_eq!(crowds.leave(&crowd), (false, false));
        assert!(!crowds.join(1).1);
        assert_eq!(crowds.leave(&crowd), (false, false));
        assert_eq!(crowds.made(&crowd), (true, false));
        assert!(crowds.join(1).1);
    }

    #[tokio::test]
    async fn everybody_hears_what_the_crowd_has() {
        let crowds = Crowds::<u32>::default();
        let (crowd, _) = crowds.join(9);
        assert_eq!(crowd.now(), None);
        let waiting = crowd.opened();
        crowd.open(7);
        assert_eq!((waiting.await, crowd.opened().await, crowd.now()), (7, 7, Some(7)));
    }
}
