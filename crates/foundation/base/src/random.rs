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
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the system's random numbers")]
    fn fill(&self, out: &mut [u8]) {
        getrandom::fill(out).expect("Linux always provides random bytes once booted");
    }
}
