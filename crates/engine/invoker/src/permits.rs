//! Who may run at once: the books of concurrency, exact under burst.
//!
//! A permit is taken before anything else happens and given back before the answer goes out, so that a caller who
//! calls one after the other never meets a reserved concurrency of 1. What is reserved for a function, and what is provisioned
//! for a version of a function without a reservation, the others cannot have; what is provisioned for a version, the function's
//! other versions cannot have.
//! Source: AWS Lambda developer guide, "Understanding Lambda function scaling" and "Configuring provisioned concurrency for a
//! function".

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
    // Functions that run, or that something is reserved or provisioned for.
    functions: HashMap<Arc<str>, Entry>,
    sums: Sums,
}

/// Over all functions.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    // What is reserved.
    reserved: u64,
    // What functions without a reservation take: what runs, and what is provisioned and does not.
    taken: u64,
    // Of what they run, what nothing that is provisioned covers.
    uncovered: u64,
    in_use: u64,
}

/// One function.
#[derive(Debug, Default)]
struct Entry {
    in_use: u32,
    reserved: Option<u32>,
    // Its versions with provisioned concurrency.
    claims: Vec<Claim>,
}

/// The provisioned concurrency of a version.
#[derive(Debug)]
struct Claim {
    version: Arc<str>,
    wanted: u32,
    // More than wanted for a while after that became less.
    in_use: u32,
}

impl Entry {
    /// What runs that nothing provisioned covers.
    fn uncovered(&self) -> u32 {
        self.in_use - self.claims.iter().map(|claim| claim.in_use).sum::<u32>()
    }

    /// What nobody else can have now.
    fn taken(&self) -> u64 {
        let claimed: u64 = self.claims.iter().map(|claim| u64::from(claim.wanted.max(claim.in_use))).sum();
        claimed + u64::from(self.uncovered())
    }

    fn sums(&self) -> Sums {
        let in_use = u64::from(self.in_use);
        match self.reserved {
            Some(reserved) => Sums { reserved: reserved.into(), taken: 0, uncovered: 0, in_use },
            None => Sums { reserved: 0, taken: self.taken(), uncovered: self.uncovered().into(), in_use },
        }
    }

    fn claim(&mut self, version: &str) -> Option<&mut Claim> {
        self.claims.iter_mut().find(|claim| *claim.version == *version)
    }

    fn is_empty(&self) -> bool {
        self.in_use == 0 && self.reserved.is_none() && self.claims.is_empty()
    }
}

impl Books {
    /// Changes the entry of a function, and the sums with it.
    fn change<R>(&mut self, function: &Arc<str>, change: impl FnOnce(&mut Entry, &Sums) -> R) -> R {
        // Looked up before inserted: the name is cloned only at a function's first run.
        let entry = match self.functions.get_mut(function) {
            Some(entry) => entry,
            None => self.functions.entry(Arc::clone(function)).or_default(),
        };
        let before = entry.sums();
        let done = change(entry, &self.sums);
        let after = entry.sums();
        let sums = &mut self.sums;
        sums.reserved = sums.reserved + after.reserved - before.reserved;
        sums.taken = sums.taken + after.taken - before.taken;
        sums.uncovered = sums.uncovered + after.uncovered - before.uncovered;
        sums.in_use = sums.in_use + after.in_use - before.in_use;
        done
    }

    /// Changes what is promised to a function, which then may be forgotten.
    fn promise(&mut self, function: &Arc<str>, change: impl FnOnce(&mut Entry)) {
        self.change(function, |entry, _| change(entry));
        if self.functions.get(function).is_some_and(Entry::is_empty) {
            self.functions.remove(function);
        }
    }
}

impl Permits {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, ledgers: Mutex::default() }
    }

    /// The place of one version of a function in its books.
    pub(crate) fn seat(&self, account: Account, region: &Region, function: &Arc<str>, version: &Arc<str>) -> Seat {
        let ledger = self.ledger(account, region);
        Seat { ledger, function: Arc::clone(function), version: Arc::clone(version) }
    }

    /// Sets or removes a function's reservation. What runs now keeps running and counts under the new rule.
    pub(crate) fn reserve(&self, account: Account, region: &Region, function: &Arc<str>, reserved: Option<u32>) {
        let ledger = self.ledger(account, region);
        ledger.lock().promise(function, |entry| entry.reserved = reserved);
    }

    fn ledger(&self, account: Account, region: &Region) -> Arc<Ledger> {
        let mut ledgers = self.ledgers.lock().expect("no code panics while holding it");
        let ledger = ledgers
            .entry((account, region.clone()))
            .or_insert_with(|| Arc::new(Ledger { limit: self.limit, books: Mutex::default() }));
        Arc::clone(ledger)
    }
}

/// One version's place in the books.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    ledger: Arc<Ledger>,
    function: Arc<str>,
    version: Arc<str>,
}

impl Seat {
    /// Takes a permit, or says which limit is met.
    pub(crate) fn acquire(&self) -> Result<Permit, ThrottleReason> {
        let mut books = self.ledger.lock();
        let limit = u64::from(self.ledger.limit);
        let (covered, function, reserved) = books.change(&self.function, |entry, sums| {
            let claim = entry.claim(&self.version).filter(|claim| claim.in_use < claim.wanted);
            let covered = claim.map(|claim| claim.in_use += 1).is_some();
            match entry.reserved {
                _ if covered => {}
                Some(reserved) if entry.taken() >= u64::from(reserved) => {
                    return Err(ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded);
                }
                None if sums.taken + sums.reserved >= limit => {
                    return Err(ThrottleReason::ConcurrentInvocationLimitExceeded);
                }
                _ => {}
            }
            entry.in_use += 1;
            Ok((covered, entry.in_use, entry.reserved.is_some()))
        })?;
        let sums = books.sums;
        drop(books);
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let concurrency = Concurrency {
            function,
            account: small(sums.in_use),
            unreserved: (!reserved).then(|| small(sums.uncovered)),
            claimed: small(sums.reserved + sums.taken),
        };
        Ok(Permit { seat: self.clone(), covered, concurrency })
    }

    /// Changes how much is provisioned for the version, by what it was and is to be.
    pub(crate) fn provision(&self, was: u32, wanted: u32) {
        self.ledger.lock().promise(&self.function, |entry| {
            match entry.claim(&self.version) {
                Some(claim) => claim.wanted = claim.wanted + wanted - was,
                None => entry.claims.push(Claim { version: Arc::clone(&self.version), wanted, in_use: 0 }),
            }
            entry.claims.retain(|claim| claim.wanted > 0 || claim.in_use > 0);
        });
    }

    fn release(&self, covered: bool) {
        self.ledger.lock().change(&self.function, |entry, _| {
            entry.in_use -= 1;
            if covered && let Some(claim) = entry.claim(&self.version) {
                claim.in_use -= 1;
                entry.claims.retain(|claim| claim.wanted > 0 || claim.in_use > 0);
            }
        });
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
    // Whether it is of what is provisioned.
    covered: bool,
    /// What was under way when it was taken.
    pub(crate) concurrency: Concurrency,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.seat.release(self.covered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seat_of(permits: &Permits, name: &str, version: &str) -> Seat {
        permits.seat(Account::DEFAULT, &Region::default_region(), &Arc::from(name), &Arc::from(version))
    }

    fn seat(permits: &Permits, name: &str) -> Seat {
        seat_of(permits, name, "$LATEST")
    }

    fn reserve(permits: &Permits, name: &str, reserved: Option<u32>) {
        permits.reserve(Account::DEFAULT, &Region::default_region(), &Arc::from(name), reserved);
    }

    #[test]
    fn a_reservation_is_exact_and_taken_from_the_others() {
        let permits = Permits::new(5);
        let (mine, other) = (seat(&permits, "mine"), seat(&permits, "other"));
        reserve(&permits, "mine", Some(2));
        let held: Vec<_> = (0..2).map(|_| mine.acquire().expect("reserved")).collect();
        let refused = mine.acquire().expect_err("both are in use");
        assert_eq!(refused, ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded);
        let _others: Vec<_> = (0..3).map(|_| other.acquire().expect("unreserved")).collect();
        let refused = other.acquire().expect_err("three are left for the others");
        assert_eq!(refused, ThrottleReason::ConcurrentInvocationLimitExceeded);
        drop(held);
        assert!(mine.acquire().is_ok());
        reserve(&permits, "mine", Some(0));
        assert!(mine.acquire().is_err());
    }

    #[test]
    fn what_is_provisioned_is_held_back_for_its_version() {
        let permits = Permits::new(5);
        let (kept, latest, other) = (seat_of(&permits, "mine", "1"), seat(&permits, "mine"), seat(&permits, "other"));
        kept.provision(0, 2);
        let others: Vec<_> = (0..3).map(|_| other.acquire().expect("three are left")).collect();
        assert_eq!(others[2].concurrency.claimed, 5);
        assert_eq!(others[2].concurrency.unreserved, Some(3));
        for seat in [&other, &latest] {
            assert_eq!(seat.acquire().expect_err("held back"), ThrottleReason::ConcurrentInvocationLimitExceeded);
        }
        let held: Vec<_> = (0..2).map(|_| kept.acquire().expect("its own")).collect();
        assert_eq!((held[1].concurrency.unreserved, held[1].concurrency.claimed), (Some(3), 5));
        assert!(kept.acquire().is_err(), "nothing is left to spill over to");
        drop(others);
        let spilled = kept.acquire().expect("it spills over");
        drop((held, spilled));
        kept.provision(2, 0);
        let all: Vec<_> = (0..5).map(|_| other.acquire().expect("nothing is held back any more")).collect();
        assert!(kept.acquire().is_err());
        drop(all);
    }

    #[test]
    fn what_is_provisioned_of_a_reservation_its_other_versions_cannot_have() {
        let permits = Permits::new(50);
        let (kept, latest) = (seat_of(&permits, "mine", "1"), seat(&permits, "mine"));
        reserve(&permits, "mine", Some(2));
        kept.provision(0, 2);
        let refused = latest.acquire().expect_err("all is provisioned");
        assert_eq!(refused, ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded);
        let _held: Vec<_> = (0..2).map(|_| kept.acquire().expect("its own")).collect();
        assert!(kept.acquire().is_err());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Acquire(usize, usize),
        Release(usize),
        Reserve(usize, Option<u32>),
        Provision(usize, usize, u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0usize..4, 0usize..2).prop_map(|(f, v)| Step::Acquire(f, v)),
            3 => (0usize..64).prop_map(Step::Release),
            1 => (0usize..4, proptest::option::of(0u32..4)).prop_map(|(f, n)| Step::Reserve(f, n)),
            1 => (0usize..4, 0usize..2, 0u32..4).prop_map(|(f, v, n)| Step::Provision(f, v, n)),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        // Against the rule written down naively: count the held permits afresh at each step.
        #[test]
        fn the_books_agree_with_a_recount(steps in steps()) {
            let permits = Permits::new(12);
            let name = |f: usize| format!("f{f}");
            let seats: Vec<[Seat; 2]> =
                (0..4).map(|f| ["1", "2"].map(|version| seat_of(&permits, &name(f), version))).collect();
            let mut reserved = [None::<u32>; 4];
            let mut kept = [[0u32; 2]; 4];
            // Function, version, and whether it is covered.
            let mut held: Vec<((usize, usize, bool), Permit)> = Vec::new();
            for step in steps {
                match step {
                    Step::Acquire(f, v) => {
                        let count = |f: usize, v: usize, covered: bool| {
                            held.iter().filter(|(of, _)| *of == (f, v, covered)).count() as u32
                        };
                        let of = |f: usize| {
                            (0..2).map(|v| kept[f][v].max(count(f, v, true)) + count(f, v, false)).sum::<u32>()
                        };
                        let covered = count(f, v, true) < kept[f][v];
                        let others: u32 = (0..4).filter(|f| reserved[*f].is_none()).map(of).sum();
                        let promised: u32 = reserved.iter().flatten().sum();
                        let fits = covered || match reserved[f] { Some(n) => of(f) < n, None => others + promised < 12 };
                        match seats[f][v].acquire() {
                            Ok(permit) => { prop_assert!(fits); held.push(((f, v, covered), permit)); }
                            Err(_) => prop_assert!(!fits),
                        }
                    }
                    Step::Release(i) if !held.is_empty() => { held.swap_remove(i % held.len()); }
                    Step::Release(_) => {}
                    Step::Reserve(f, n) => { reserve(&permits, &name(f), n); reserved[f] = n; }
                    Step::Provision(f, v, n) => { seats[f][v].provision(kept[f][v], n); kept[f][v] = n; }
                }
            }
            drop(held);
            for f in 0..4 {
                reserve(&permits, &name(f), None);
                for v in 0..2 {
                    seats[f][v].provision(kept[f][v], 0);
                }
            }
            let ledger = permits.ledger(Account::DEFAULT, &Region::default_region());
            let books = ledger.lock();
            prop_assert!(books.sums.in_use == 0 && books.sums.taken == 0 && books.sums.reserved == 0);
            prop_assert!(books.functions.is_empty());
        }
    }
}
