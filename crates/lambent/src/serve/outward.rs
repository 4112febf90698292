//! What leaves the sandboxes: the platform's rule, and the host's files that the carrier needs to hear of.

use std::fs;
use std::sync::Arc;

use base::{Clocks, Egress, Rng};
use egress::{Carrier, HostNames, HostNetwork, Limits, Options};

use crate::cli::EgressArgument;

/// The platform's rule: who alone can reach the platform may let functions into their own network.
pub(super) fn rule(asked: Option<EgressArgument>, loopback: bool) -> Egress {
    match asked {
        Some(EgressArgument::All) => Egress::All,
        Some(EgressArgument::Public) => Egress::Public,
        Some(EgressArgument::None) => Egress::None,
        None if loopback => Egress::All,
        None => Egress::Public,
    }
}

pub(super) fn carrier(clocks: Arc<dyn Clocks>, rng: Arc<dyn Rng>) -> Arc<Carrier> {
    let mut limits = Limits::default();
    if let Some(descriptors) = descriptors() {
        // Each connection takes two and each query up to three; the other half is for clients and sandboxes.
        limits.connections = limits.connections.min(descriptors * 2 / 10);
        limits.queries = limits.queries.min(descriptors / 30).max(1);
    }
    Arc::new(Carrier::new(Options {
        network: Arc::new(HostNetwork),
        names: Arc::new(|| HostNames { resolv_conf: read("/etc/resolv.conf"), hosts: read("/etc/hosts") }),
        clocks,
        rng,
        runtime: tokio::runtime::Handle::current(),
        limits,
    }))
}

/// A host without the file has no such settings.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| {
        tracing::debug!(%error, path, "not read");
        String::new()
    })
}

/// How many descriptors this process may open. Source: proc_pid_limits(5).
fn descriptors() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_platform_of_ones_own_opens_the_private_network_unasked() {
        assert_eq!((rule(None, true), rule(None, false)), (Egress::All, Egress::Public));
        assert_eq!(rule(Some(EgressArgument::None), true), Egress::None);
        assert_eq!(rule(Some(EgressArgument::All), false), Egress::All);
    }

    #[test]
    fn the_limit_of_descriptors_is_read() {
        assert!(descriptors().unwrap() >= 64);
    }
}
