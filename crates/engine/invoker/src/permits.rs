//! Who may run at once: the books of concurrency, exact under burst.
//!
//! A permit is taken before anything else happens and given back before the answer goes out, so that a caller who
//! calls one after the other never meets a reserved concurrency of 1.
//! Source: AWS Lambda developer guide, "Understanding Lambda function scaling".

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use base::{Account, Concurrency, Region};

use crate::ThrottleReason;

/// All books, one for each account and region.
#[derive(Debug)]
pub(crate) struct Permits {
    // What an account may run at once.
    limit: u32,
    ledgers: Mutex<HashMap<(Account, Region), Arc<Ledger>>>,
}

/// The books of one account in one region.
#[derive(Debug)]
pub(crate) struct Ledger {
    limit: u32,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    // Functions that run or have a reservation.
    functions: HashMap<Arc<str>, Entry>,
    // The sum over functions with a reservation: what the others cannot have.
    reserved: u64,
    // The sum of `in_use` over functions without one.
    unreserved_in_use: u64,
    // The sum over all functions.
    in_use: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Entry {
    in_use: u32,
    reserved: Option<u32>,
}

impl Permits {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, ledgers: Mutex::default() }
    }

    /// The place of one function in its books.
    pub(crate) fn seat(&self, account: Account, region: &Region, function: &Arc<str>) -> Seat {
        let mut ledgers = self.ledgers.lock().expect("no code panics while holding it");
        let ledger = ledgers
            .entry((account, region.clone()))
            .or_insert_with(|| Arc::new(Ledger { limit: self.limit, books: Mutex::default() }));
        Seat { ledger: Arc::clone(ledger), function: Arc::clone(function) }
    }
}

/// One function's place in the books.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    ledger: Arc<Ledger>,
    function: Arc<str>,
}

impl Seat {
    /// Takes a permit, or says which limit is met.
    pub(crate) fn acquire(&self) -> Result<Permit, ThrottleReason> {
        let mut books = self.ledger.lock();
        let books = &mut *books;
        // Looked up before inserted: the name is cloned only at a function's first run.
        let entry = match books.functions.get_mut(&self.function) {
            Some(entry) => entry,
            None => books.functions.entry(Arc::clone(&self.function)).or_default(),
        };
        match entry.reserved {
            Some(reserved) if entry.in_use >= reserved => {
                return Err(ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded);
            }
            Some(_) => {}
            None if books.unreserved_in_use + books.reserved >= u64::from(self.ledger.limit) => {
                return Err(ThrottleReason::ConcurrentInvocationLimitExceeded);
            }
            None => books.unreserved_in_use += 1,
        }
        entry.in_use += 1;
        books.in_use += 1;
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let concurrency = Concurrency {
            function: entry.in_use,
            account: small(books.in_use),
            unreserved: entry.reserved.is_none().then(|| small(books.unreserved_in_use)),
        };
        Ok(Permit { seat: self.clone(), concurrency })
    }

    /// Sets or removes the reservation. What runs now keeps running and counts under the new rule.
    pub(crate) fn reserve(&self, reserved: Option<u32>) {
        let mut books = self.ledger.lock();
        let books = &mut *books;
        let entry = books.functions.entry(Arc::clone(&self.function)).or_default();
        let (was, in_use) = (entry.reserved, u64::from(entry.in_use));
        entry.reserved = reserved;
        books.reserved = books.reserved - u64::from(was.unwrap_or(0)) + u64::from(reserved.unwrap_or(0));
        match (was, reserved) {
            (None, Some(_)) => books.unreserved_in_use -= in_use,
            (Some(_), None) => books.unreserved_in_use += in_use,
            _ => {}
        }
        if reserved.is_none() && in_use == 0 {
            books.functions.remove(&self.function);
        }
    }

    fn release(&self) {
        let mut books = self.ledger.lock();
        let books = &mut *books;
        if let Some(entry) = books.functions.get_mut(&self.function) {
            entry.in_use -= 1;
            books.in_use -= 1;
            if entry.reserved.is_none() {
                books.unreserved_in_use -= 1;
            }
        }
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no code panics while holding it")
    }
}

/// The right to run one invocation, given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    seat: Seat,
    /// What was under way when it was taken.
    pub(crate) concurrency: Concurrency,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.seat.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seat(permits: &Permits, name: &str) -> Seat {
        permits.seat(Account::DEFAULT, &Region::default_region(), &Arc::from(name))
    }

    #[test]
    fn a_reservation_is_exact_and_taken_from_the_others() {
        let permits = Permits::new(5);
        let (mine, other) = (seat(&permits, "mine"), seat(&permits, "other"));
        mine.reserve(Some(2));
        let held: Vec<_> = (0..2).map(|_| mine.acquire().expect("reserved")).collect();
        let refused = mine.acquire().expect_err("both are in use");
        assert_eq!(refused, ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded);
        let _others: Vec<_> = (0..3).map(|_| other.acquire().expect("unreserved")).collect();
        let refused = other.acquire().expect_err("three are left for the others");
        assert_eq!(refused, ThrottleReason::ConcurrentInvocationLimitExceeded);
        drop(held);
        assert!(mine.acquire().is_ok());
        mine.reserve(Some(0));
        assert!(mine.acquire().is_err());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Acquire(usize),
        Release(usize),
        Reserve(usize, Option<u32>),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0usize..4).prop_map(Step::Acquire),
            3 => (0usize..64).prop_map(Step::Release),
            1 => (0usize..4, proptest::option::of(0u32..4)).prop_map(|(f, n)| Step::Reserve(f, n)),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        // Against the rule written down naively: count the held permits afresh at each step.
        #[test]
        fn the_books_agree_with_a_recount(steps in steps()) {
            let permits = Permits::new(12);
            let seats: Vec<Seat> = (0..4).map(|i| seat(&permits, &format!("f{i}"))).collect();
            let mut reserved = [None::<u32>; 4];
            let mut held: Vec<(usize, Permit)> = Vec::new();
            for step in steps {
                match step {
                    Step::Acquire(f) => {
                        let mine = held.iter().filter(|(g, _)| *g == f).count() as u32;
                        let others = held.iter().filter(|(g, _)| reserved[*g].is_none()).count() as u32;
                        let promised: u32 = reserved.iter().flatten().sum();
                        let fits = match reserved[f] { Some(n) => mine < n, None => others + promised < 12 };
                        match seats[f].acquire() {
                            Ok(permit) => { prop_assert!(fits); held.push((f, permit)); }
                            Err(_) => prop_assert!(!fits),
                        }
                    }
                    Step::Release(i) if !held.is_empty() => { held.swap_remove(i % held.len()); }
                    Step::Release(_) => {}
                    Step::Reserve(f, n) => { seats[f].reserve(n); reserved[f] = n; }
                }
            }
        }
    }
}
