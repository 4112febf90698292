//! Where an alias sends an invocation. Pure: the draw comes from outside.
//!
//! Source: AWS Lambda developer guide, "Implement Lambda canary deployments using a weighted alias".

use base::Rng;

use crate::types::Alias;

/// Draws are numbers below this.
const DRAWS: u64 = 1 << 32;

/// The versions behind an alias and how often each is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    main: String,
    additional: Option<Additional>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Additional {
    version: String,
    // Draws below it go to this version.
    below: u64,
}

impl Route {
    pub(crate) fn of(alias: &Alias) -> Self {
        let additional = alias
            .additional
            .as_ref()
            .map(|share| Additional { version: share.version.clone(), below: threshold(share.weight) });
        Self { main: alias.version.clone(), additional }
    }

    /// The version of the next invocation.
    pub(crate) fn pick(&self, rng: &dyn Rng) -> &str {
        match &self.additional {
            Some(additional) if rng.below(DRAWS) < additional.below => &additional.version,
            _ => &self.main,
        }
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the product lies within 0..=2^32, which both hold exactly"
)]
fn threshold(weight: f64) -> u64 {
    (weight.clamp(0.0, 1.0) * DRAWS as f64) as u64
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::types::Share;

    /// The same numbers for the same seed.
    struct Seeded(AtomicU64);

    impl base::Rng for Seeded {
        fn fill(&self, out: &mut [u8]) {
            for chunk in out.chunks_mut(8) {
                let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
                let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                word ^= word >> 31;
                chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
            }
        }
    }

    fn route(weight: Option<f64>) -> Route {
        Route::of(&Alias {
            version: "1".into(),
            description: String::new(),
            additional: weight.map(|weight| Share { version: "2".into(), weight }),
            revision: String::new(),
            url: None,
        })
    }

    fn picks(route: &Route, seed: u64, count: usize) -> Vec<&str> {
        let rng = Seeded(AtomicU64::new(seed));
        (0..count).map(|_| route.pick(&rng)).collect()
    }

    #[test]
    fn without_weights_nothing_is_drawn() {
        struct Never;
        impl base::Rng for Never {
            fn fill(&self, _: &mut [u8]) {
                panic!("nothing is drawn");
            }
        }
        assert_eq!(route(None).pick(&Never), "1");
    }

    proptest! {
        #[test]
        fn the_share_is_the_weight(weight in 0.0..=1.0f64, seed in any::<u64>()) {
            let route = route(Some(weight));
            let drawn = picks(&route, seed, 4000);
            let second = drawn.iter().filter(|version| **version == "2").count();
            // Six standard deviations, and ten for shares so small that chance is not even: next to never outside.
            let expected = weight * 4000.0;
            let spread = 6.0 * (4000.0 * weight * (1.0 - weight)).sqrt() + 10.0;
            prop_assert!((second as f64 - expected).abs() <= spread, "{second} of 4000 at {weight}");
        }

        #[test]
        fn the_ends_are_exact_and_a_seed_repeats(seed in any::<u64>(), weight in 0.0..=1.0f64) {
            prop_assert!(picks(&route(Some(0.0)), seed, 500).iter().all(|version| *version == "1"));
            prop_assert!(picks(&route(Some(1.0)), seed, 500).iter().all(|version| *version == "2"));
            let route = route(Some(weight));
            prop_assert_eq!(picks(&route, seed, 100), picks(&route, seed, 100));
        }
    }
}
