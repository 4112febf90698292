//! Which functions led to an invocation, as the trace header tells it: `Lineage=HASH:COUNT|HASH:COUNT`.
//!
//! AWS's SDKs hand the header on when a function calls, so that a chain that comes back to a function is seen.
//! Source: AWS Lambda developer guide, "Use Lambda recursive loop detection to prevent infinite loops".

use store::Digest;

/// How often a function may be invoked in one chain of calls.
pub(crate) const MOST: u32 = 16;
/// Functions of a chain that are told apart; the earliest are forgotten.
const FUNCTIONS: usize = 32;
const PART: &str = "Lineage=";

/// The trace header of an invocation of `function` (its ARN) that came with `trace`, and how often the function has now been
/// invoked in the chain.
pub(crate) fn step(trace: &str, function: &str) -> (String, u32) {
    let digest = Digest::of(function.as_bytes());
    let first = digest.as_bytes().iter().take(4).fold(0u32, |number, byte| number << 8 | u32::from(*byte));
    let hash = format!("{first:08x}");
    let mut next = String::with_capacity(trace.len() + PART.len() + hash.len() + 3);
    for part in trace.split(';').map(str::trim).filter(|part| !part.is_empty() && !part.starts_with(PART)) {
        next.push_str(part);
        next.push(';');
    }
    next.push_str(PART);
    let Some(lineage) = trace.split(';').find_map(|part| part.trim().strip_prefix(PART)) else {
        // A chain begins here, as nearly all do.
        next.push_str(&hash);
        next.push_str(":1");
        return (next, 1);
    };
    // botocore hands the header on percent-encoded, all but the other separators.
    let lineage = lineage.replace("%7C", "|");
    let mut chain: Vec<(&str, u32)> = lineage.split('|').filter_map(entry).collect();
    let count = match chain.iter_mut().find(|(other, _)| *other == hash) {
        Some((_, count)) => {
            *count = count.saturating_add(1);
            *count
        }
        None => {
            chain.push((&hash, 1));
            1
        }
    };
    let earliest = chain.len().saturating_sub(FUNCTIONS);
    let chain: Vec<String> = chain[earliest..].iter().map(|(hash, count)| format!("{hash}:{count}")).collect();
    next.push_str(&chain.join("|"));
    (next, count)
}

fn entry(text: &str) -> Option<(&str, u32)> {
    let (hash, count) = text.split_once(':')?;
    Some((hash, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chain_counts_each_of_its_functions() {
        let (one, count) = step("Root=1-x;Parent=y;Sampled=1", "arn:a");
        assert!(one.starts_with("Root=1-x;Parent=y;Sampled=1;Lineage="), "{one}");
        assert_eq!(count, 1);
        let (two, count) = step(&one, "arn:b");
        assert_eq!((count, two.matches(':').count()), (1, 2));
        let (three, count) = step(&two, "arn:a");
        assert_eq!(count, 2);
        assert_eq!(three.matches(PART).count(), 1);
        assert_eq!(step("", "arn:a").0.matches(PART).count(), 1);
        // As botocore hands it on.
        assert_eq!(step(&three.replace('|', "%7C"), "arn:b"), step(&three, "arn:b"));
    }

    proptest! {
        #[test]
        fn any_header_gives_one_that_counts_on(trace in ".{0,200}", times in 1..40u32) {
            let (mut header, first) = step(&trace, "arn:f");
            let mut last = first;
            for _ in 0..times {
                (header, last) = step(&header, "arn:f");
            }
            prop_assert_eq!(last, first.saturating_add(times));
        }

        #[test]
        fn a_long_chain_keeps_its_length(functions in proptest::collection::vec("[a-z]{1,8}", 0..200)) {
            let header = functions.iter().fold(String::new(), |header, function| step(&header, function).0);
            prop_assert!(header.len() < 32 * 20 + 10, "{}", header.len());
        }
    }
}
