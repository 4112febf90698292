//! How fast a function may grow: so many environments in ten seconds. Those that provisioned concurrency starts do not count.
//!
//! Source: AWS Lambda developer guide, "Lambda scaling behavior", concurrency scaling rate: 1,000 environments every ten seconds
//! for each function, regained without a pause and never saved up beyond that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base::Timestamp;

/// In how long a function regains all that it may start, product time, ms.
const WINDOW_MS: i64 = 10_000;
/// Functions that are remembered before those that have regained everything are forgotten.
const REMEMBERED: usize = 1024;

/// What each function may start still.
#[derive(Debug)]
pub(crate) struct Scaling {
    most: i64,
    spent: Mutex<HashMap<Arc<str>, Spent>>,
}

/// What a function has not regained at a moment: environments times [`WINDOW_MS`].
#[derive(Debug, Clone, Copy)]
struct Spent {
    at: Timestamp,
    owed: i64,
}

impl Scaling {
    /// `most` environments in ten seconds.
    pub(crate) fn new(most: u32) -> Self {
        Self { most: most.into(), spent: Mutex::default() }
    }

    /// Takes one environment of what a function may start; false when it has to wait.
    pub(crate) fn take(&self, function: &Arc<str>, now: Timestamp) -> bool {
        let mut spent = self.spent.lock().expect("no code panics while holding it");
        if spent.len() >= REMEMBERED {
            spent.retain(|_, spent| self.owed(*spent, now) > 0);
        }
        let before = spent.get(function).map_or(0, |spent| self.owed(*spent, now));
        let owed = before + WINDOW_MS;
        let may = owed <= self.most * WINDOW_MS;
        spent.insert(Arc::clone(function), Spent { at: now, owed: if may { owed } else { before } });
        may
    }

    fn owed(&self, spent: Spent, now: Timestamp) -> i64 {
        // Over so long everything is regained.
        let passed = (now.0 - spent.at.0).clamp(0, WINDOW_MS);
        (spent.owed - passed * self.most).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_regains_what_it_spent_and_no_more() {
        let scaling = Scaling::new(1000);
        let (f, g): (Arc<str>, Arc<str>) = ("f".into(), "g".into());
        let at = |ms: i64| Timestamp(1_000_000 + ms);
        let burst = |function: &Arc<str>, ms: i64| (0..1500).filter(|_| scaling.take(function, at(ms))).count();
        assert_eq!((burst(&f, 0), burst(&f, 0)), (1000, 0));
        assert_eq!(burst(&g, 0), 1000, "each function has its own");
        assert_eq!(burst(&f, 10), 1, "a hundred a second");
        assert_eq!(burst(&f, 1010), 100);
        assert_eq!(burst(&f, 100_000), 1000, "nothing is saved up");
        let few = Scaling::new(0);
        assert!(!few.take(&f, at(0)));
    }

    #[test]
    fn those_who_regained_everything_are_forgotten() {
        let scaling = Scaling::new(10);
        for n in 0..REMEMBERED {
            assert!(scaling.take(&format!("f{n}").into(), Timestamp(0)));
        }
        assert!(scaling.take(&"new".into(), Timestamp(20_000)));
        assert_eq!(scaling.spent.lock().unwrap().len(), 1);
    }
}
