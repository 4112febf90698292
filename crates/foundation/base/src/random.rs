use std::cell::RefCell;

/// Random bytes. A test replaces it to replay a seed.
pub trait Rng: Send + Sync {
    /// Fills `out` with cryptographically strong bytes (in production).
    fn fill(&self, out: &mut [u8]);

    /// A uniform number below `bound` (which must not be 0).
    fn below(&self, bound: u64) -> u64 {
        let mut raw = [0u8; 8];
        loop {
            self.fill(&mut raw);
            let value = u64::from_le_bytes(raw);
            // Reject the incomplete last interval, so that every result is equally likely.
            if value < u64::MAX - u64::MAX % bound {
                return value % bound;
            }
        }
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, out: &mut [u8]) {
        if out.len() > SMALL {
            return from_kernel(out);
        }
        STOCK.with_borrow_mut(|stock| {
            if stock.left < out.len() {
                from_kernel(&mut stock.bytes);
                stock.left = stock.bytes.len();
            }
            let from = stock.left - out.len();
            let taken = &mut stock.bytes[from..stock.left];
            out.copy_from_slice(taken);
            // Nobody who reads this memory later learns what was given away.
            taken.fill(0);
            stock.left = from;
        });
    }
}

/// Up to this size bytes come out of the thread's stock: a call of the kernel costs more than an identifier's sixteen.
const SMALL: usize = 32;

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock { bytes: [0; 512], left: 0 }) };
}

/// Bytes fetched from the kernel and not given away yet. A process of ours that forks executes another program at once.
struct Stock {
    bytes: [u8; 512],
    left: usize,
}

#[allow(clippy::disallowed_methods, reason = "the one place that reads the system's random numbers")]
fn from_kernel(out: &mut [u8]) {
    getrandom::fill(out).expect("Linux always provides random bytes once booted");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_are_given_away_twice() {
        let draw = || {
            let mut one = [0; 16];
            SystemRng.fill(&mut one);
            one
        };
        let mine: HashSet<[u8; 16]> = (0..1000).map(|_| draw()).collect();
        let others: HashSet<[u8; 16]> =
            std::thread::spawn(move || (0..1000).map(|_| draw()).collect()).join().expect("it ends");
        assert_eq!((mine.len(), others.len(), mine.intersection(&others).count()), (1000, 1000, 0));
        let mut long = [0; 100];
        SystemRng.fill(&mut long);
        assert!(long.iter().any(|byte| *byte != 0));
    }
}
