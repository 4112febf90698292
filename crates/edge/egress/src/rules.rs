//! Which addresses a sandbox may reach: a pure decision.

use std::net::Ipv4Addr;

use base::Egress;

/// Why an address may not be reached. The words are for the function's developer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Not the address of one host: "this network", multicast, reserved, broadcast.
    #[error("{0} is not the address of a host")]
    NotAHost(Ipv4Addr),
    /// The host's loopback.
    #[error("{0} is a loopback address of the host, which functions never reach")]
    Loopback(Ipv4Addr),
    /// Link-local addresses, where clouds also serve the credentials of the machine.
    #[error("{0} is a link-local address, which functions never reach")]
    LinkLocal(Ipv4Addr),
    /// A cloud's metadata service at another address.
    #[error("{0} is a metadata service of the host's cloud, which functions never reach")]
    Metadata(Ipv4Addr),
    /// One of this host's own interfaces.
    #[error("{0} is an address of the host itself, which functions never reach")]
    Host(Ipv4Addr),
    /// A private range, and the rule is [`Egress::Public`].
    #[error("{0} is a private address, and this function may reach public addresses only (egress `public`, not `all`)")]
    Private(Ipv4Addr),
    /// The rule is [`Egress::None`].
    #[error("{0} is out of reach: this function may reach the platform's endpoint only (egress `none`)")]
    Closed(Ipv4Addr),
}

/// An address range: first address and prefix length.
type Range = (Ipv4Addr, u32);

const fn range(a: u8, b: u8, c: u8, d: u8, prefix: u32) -> Range {
    (Ipv4Addr::new(a, b, c, d), prefix)
}

/// Source: RFC 6890 and the IANA IPv4 Special-Purpose Address Registry; RFC 5771 (multicast), RFC 1112 (240/4).
const NOT_HOSTS: [Range; 3] = [range(0, 0, 0, 0, 8), range(224, 0, 0, 0, 4), range(240, 0, 0, 0, 4)];
const LOOPBACK: Range = range(127, 0, 0, 0, 8);
const LINK_LOCAL: Range = range(169, 254, 0, 0, 16);

/// Metadata services outside the link-local range: Alibaba Cloud's, Azure's wire server, Oracle Cloud Classic's.
/// Source: each vendor's documentation of its instance metadata.
const METADATA: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// Private use (RFC 1918), shared carrier space (RFC 6598), benchmarks (RFC 2544), protocol assignments (RFC 6890).
const PRIVATE: [Range; 6] = [
    range(10, 0, 0, 0, 8),
    range(172, 16, 0, 0, 12),
    range(192, 168, 0, 0, 16),
    range(100, 64, 0, 0, 10),
    range(198, 18, 0, 0, 15),
    range(192, 0, 0, 0, 24),
];

fn within(address: Ipv4Addr, (first, prefix): Range) -> bool {
    (u32::from(address) ^ u32::from(first)) >> (32 - prefix) == 0
}

/// Whether `address` may be reached by `rule` from a host whose interfaces have the addresses `own`.
///
/// # Errors
/// Why not.
pub fn allowed(address: Ipv4Addr, rule: Egress, own: &[Ipv4Addr]) -> Result<(), Denial> {
    let any = |ranges: &[Range]| ranges.iter().any(|range| within(address, *range));
    let denial = if any(&NOT_HOSTS) {
        Denial::NotAHost
    } else if within(address, LOOPBACK) {
        Denial::Loopback
    } else if within(address, LINK_LOCAL) {
        Denial::LinkLocal
    } else if METADATA.contains(&address) {
        Denial::Metadata
    } else if own.contains(&address) {
        Denial::Host
    } else if rule == Egress::None {
        Denial::Closed
    } else if rule < Egress::All && any(&PRIVATE) {
        Denial::Private
    } else {
        return Ok(());
    };
    Err(denial(address))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: [Egress; 3] = [Egress::None, Egress::Public, Egress::All];

    fn denied(text: &str, rule: Egress) -> Denial {
        allowed(text.parse().unwrap(), rule, &[]).unwrap_err()
    }

    #[test]
    fn what_is_never_reached_is_denied_by_every_rule() {
        for rule in RULES {
            for (text, kind) in [
                ("0.0.0.0", "NotAHost"),
                ("0.255.255.255", "NotAHost"),
                ("127.0.0.1", "Loopback"),
                ("127.255.255.255", "Loopback"),
                ("169.254.0.1", "LinkLocal"),
                ("169.254.169.254", "LinkLocal"),
                ("169.254.170.2", "LinkLocal"),
                ("100.100.100.200", "Metadata"),
                ("168.63.129.16", "Metadata"),
                ("192.0.0.192", "Metadata"),
                ("224.0.0.1", "NotAHost"),
                ("239.255.255.255", "NotAHost"),
                ("240.0.0.1", "NotAHost"),
                ("255.255.255.255", "NotAHost"),
            ] {
                assert!(format!("{:?}", denied(text, rule)).starts_with(kind), "{text} {rule:?}");
            }
        }
    }

    #[test]
    fn private_ranges_need_all() {
        for text in [
            "10.0.0.1",
            "10.255.255.255",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.77.2",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "192.0.0.8",
        ] {
            let address: Ipv4Addr = text.parse().unwrap();
            assert_eq!(allowed(address, Egress::All, &[]), Ok(()), "{text}");
            assert_eq!(allowed(address, Egress::Public, &[]), Err(Denial::Private(address)), "{text}");
            assert_eq!(allowed(address, Egress::None, &[]), Err(Denial::Closed(address)), "{text}");
        }
    }

    #[test]
    fn neighbours_of_the_private_ranges_are_public() {
        for text in ["9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0"]
            .into_iter()
            .chain(["100.63.255.255", "100.128.0.0", "198.17.255.255", "198.20.0.0", "192.0.1.0", "203.0.113.10"])
        {
            assert_eq!(allowed(text.parse().unwrap(), Egress::Public, &[]), Ok(()), "{text}");
        }
    }

    /// Mostly addresses near the edges of ranges.
    fn addresses() -> impl Strategy<Value = Ipv4Addr> {
        let edges =
            NOT_HOSTS.into_iter().chain(PRIVATE).chain([LOOPBACK, LINK_LOCAL]).map(|(first, _)| u32::from(first));
        let edges: Vec<u32> = edges.chain(METADATA.map(u32::from)).collect();
        let near = (proptest::sample::select(edges), -300i64..300_000)
            .prop_map(|(edge, offset)| Ipv4Addr::from((i64::from(edge) + offset).rem_euclid(1 << 32) as u32));
        prop_oneof![near, any::<u32>().prop_map(Ipv4Addr::from)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_wider_rule_allows_no_less(address in addresses(), own in proptest::collection::vec(addresses(), 0..4)) {
            for pair in RULES.windows(2) {
                if allowed(address, pair[0], &own).is_ok() {
                    prop_assert_eq!(allowed(address, pair[1], &own), Ok(()));
                }
            }
            prop_assert!(allowed(address, Egress::None, &own).is_err());
        }

        #[test]
        fn no_rule_reaches_an_address_of_the_host(address in addresses(), mut own in proptest::collection::vec(addresses(), 0..4), at in any::<proptest::sample::Index>()) {
            own.insert(at.index(own.len() + 1), address);
            for rule in RULES {
                prop_assert!(allowed(address, rule, &own).is_err());
            }
        }

        /// The standard library's own tables agree.
        #[test]
        fn all_reaches_what_is_a_host_elsewhere(address in addresses()) {
            let first = address.octets()[0];
            let never = first == 0 || address.is_loopback() || address.is_link_local() || address.is_multicast()
                || first >= 240 || METADATA.contains(&address);
            prop_assert_eq!(allowed(address, Egress::All, &[]).is_err(), never);
            let [a, b, c, _] = address.octets();
            let inner = address.is_private() || (a == 100 && (64..128).contains(&b)) || (a == 198 && (18..20).contains(&b))
                || (a, b, c) == (192, 0, 0);
            prop_assert_eq!(allowed(address, Egress::Public, &[]).is_err(), never || inner);
        }
    }
}
