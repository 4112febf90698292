//! Networks in `IpAddress` conditions.

use std::net::IpAddr;
use std::str::FromStr;

/// `203.0.113.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    // IPv4 stands at the end of ::ffff:0:0/96, so that one comparison serves both.
    base: u128,
    mask: u128,
    is_v4: bool,
}

/// The text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| NoNetwork)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let (bits, longest) = match address {
            IpAddr::V4(v4) => (bits(IpAddr::V4(v4)), 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        };
        let length = length.unwrap_or(longest);
        if length > longest {
            return Err(NoNetwork);
        }
        let host_bits = longest - length;
        let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
        Ok(Self { base: bits & mask, mask, is_v4: longest == 32 })
    }
}

impl Network {
    /// Whether the address lies in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.base && self.is_v4 == address.to_canonical().is_ipv4()
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().holds(address.parse().unwrap())
    }

    #[test]
    fn networks_hold_their_addresses() {
        assert!(holds("203.0.113.0/24", "203.0.113.255") && !holds("203.0.113.0/24", "203.0.114.0"));
        assert!(holds("203.0.113.7", "203.0.113.7") && !holds("203.0.113.7", "203.0.113.8"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::") && !holds("2001:db8::/32", "2001:db9::"));
        assert!(holds("::/0", "2001:db8::1") && !holds("::/0", "8.8.8.8"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"), "an address mapped into IPv6 is that address");
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "x", "::/129", "10.0.0.0/-1"] {
            assert_eq!(wrong.parse::<Network>(), Err(NoNetwork), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_prefix_is_what_its_bits_say(a: u32, b: u32, length in 0u32..=32) {
            let address = |bits: u32| std::net::Ipv4Addr::from(bits).to_string();
            let same = length == 0 || a >> (32 - length) == b >> (32 - length);
            prop_assert_eq!(holds(&format!("{}/{length}", address(a)), &address(b)), same);
        }
    }
}
