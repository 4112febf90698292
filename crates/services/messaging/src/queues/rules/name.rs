//! Names and URLs of queues.

use base::{Account, Fault};
use model::sqs;

use crate::queues::faults;

/// What a FIFO queue's name ends in.
pub(crate) const FIFO: &str = ".fifo";

/// Whether the name is one: letters, digits, `-` and `_`, at most 80 with the `.fifo` of a FIFO queue.
pub(crate) fn is_name(name: &str) -> bool {
    let stem = name.strip_suffix(FIFO).unwrap_or(name);
    (1..=80).contains(&name.len()) && !stem.is_empty() && stem.bytes().all(is_plain)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Checks the name of a queue to be made.
///
/// # Errors
/// InvalidParameterValue.
pub(crate) fn check(name: &str, fifo: bool) -> Result<(), Fault> {
    match (is_name(name), name.ends_with(FIFO) == fifo) {
        (true, true) => Ok(()),
        _ if fifo => Err(faults::invalid(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo \
             suffix and be 1 to 80 in length.",
        )),
        _ => {
            Err(faults::invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"))
        }
    }
}

/// The account and name at the end of a queue's URL, whatever host it names.
///
/// # Errors
/// InvalidAddress if it does not end so.
pub(crate) fn of_url(url: &str) -> Result<(Account, &str), Fault> {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    let (before, name) = path.rsplit_once('/').unwrap_or(("", path));
    let account = before.rsplit('/').next().unwrap_or_default();
    match account.parse() {
        Ok(account) if !name.is_empty() => Ok((account, name)),
        _ => Err(sqs::invalid_address(format!("The address {url} is not valid for this endpoint."))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_end_in_account_and_name() {
        for url in [
            "http://localhost:4566/000000000000/jobs",
            "https://sqs.us-east-1.amazonaws.com/000000000000/jobs",
            "http://sqs.us-east-1.localhost.localstack.cloud:4566/000000000000/jobs/",
            "http://localhost:4566/queue/us-east-1/000000000000/jobs",
            "/000000000000/jobs",
            "000000000000/jobs",
        ] {
            assert_eq!(of_url(url).unwrap(), (Account::DEFAULT, "jobs"), "{url}");
        }
        let wrong = [
            "",
            "jobs",
            "http://localhost:4566/",
            "http://000000000000/jobs",
            "http://h/12/jobs",
            "http://h/000000000000/",
        ];
        for url in wrong {
            assert_eq!(of_url(url).unwrap_err().code, "InvalidAddress", "{url}");
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        let long = "a".repeat(80);
        for (name, fifo, fits) in [
            ("jobs", false, true),
            ("Jobs_1-2", false, true),
            (long.as_str(), false, true),
            ("jobs.fifo", true, true),
            ("jobs", true, false),
            ("jobs.fifo", false, false),
            (".fifo", true, false),
            ("", false, false),
            ("a.b", false, false),
            ("a b", false, false),
        ] {
            assert_eq!(check(name, fifo).is_ok(), fits, "{name}");
        }
        assert!(check(&"a".repeat(81), false).is_err());
        assert!(check(&format!("{}.fifo", "a".repeat(76)), true).is_err());
    }

    proptest! {
        #[test]
        fn no_url_breaks_it(url in "\\PC*") {
            let _ = of_url(&url);
        }
    }
}
