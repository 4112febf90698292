//! The host's name settings: which resolvers to ask, and which names its `hosts` file knows.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base::Clocks;

/// The text of the host's name settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostNames {
    /// `/etc/resolv.conf`. Source: resolv.conf(5).
    pub resolv_conf: String,
    /// `/etc/hosts`. Source: hosts(5).
    pub hosts: String,
}

/// Resolvers asked at most. Source: resolv.conf(5), MAXNS.
const SERVERS: usize = 3;
/// Longest time that a change of the host's settings goes unnoticed: laptops change networks.
const FRESH: Duration = Duration::from_secs(5);

/// What the settings say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Resolvers in order.
    pub(crate) servers: Vec<SocketAddr>,
    // Lower-case names without a final dot.
    hosts: HashMap<String, Vec<Ipv4Addr>>,
}

impl Names {
    pub(crate) fn parse(text: &HostNames) -> Self {
        let mut servers: Vec<SocketAddr> = text.resolv_conf.lines().filter_map(server).take(SERVERS).collect();
        if servers.is_empty() {
            // The resolver's own default.
            servers.push((Ipv4Addr::LOCALHOST, 53).into());
        }
        let mut hosts: HashMap<String, Vec<Ipv4Addr>> = HashMap::new();
        for line in text.hosts.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<Ipv4Addr>) else { continue };
            for name in words {
                let known = hosts.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
                if !known.contains(&address) {
                    known.push(address);
                }
            }
        }
        Self { servers, hosts }
    }

    /// The addresses the `hosts` file gives a name (lower case, no final dot).
    pub(crate) fn host(&self, name: &str) -> Option<&[Ipv4Addr]> {
        self.hosts.get(name).map(Vec::as_slice)
    }
}

fn server(line: &str) -> Option<SocketAddr> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("nameserver") {
        return None;
    }
    let text = words.next()?;
    // `[address]:port` is OpenBSD's form.
    let (text, port) = match text.strip_prefix('[').and_then(|text| text.split_once("]:")) {
        Some((address, port)) => (address, port.parse().ok()?),
        None => (text, 53),
    };
    // An address with a scope (`fe80::1%eth0`) is left out: it would need the interface's number.
    let address: IpAddr = text.parse().ok()?;
    Some((address, port).into())
}

/// The settings, read again when they may have changed.
pub(crate) struct Source {
    read: Arc<dyn Fn() -> HostNames + Send + Sync>,
    clocks: Arc<dyn Clocks>,
    last: Mutex<Option<(Instant, Arc<Names>)>>,
}

impl Source {
    pub(crate) fn new(read: Arc<dyn Fn() -> HostNames + Send + Sync>, clocks: Arc<dyn Clocks>) -> Self {
        Self { read, clocks, last: Mutex::new(None) }
    }

    pub(crate) fn now(&self) -> Arc<Names> {
        let now = self.clocks.monotonic();
        let mut last = self.last.lock().expect("no code panics while holding it");
        if let Some((at, names)) = &*last
            && now.duration_since(*at) < FRESH
        {
            return Arc::clone(names);
        }
        let names = Arc::new(Names::parse(&(self.read)()));
        *last = Some((now, Arc::clone(&names)));
        names
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(resolv_conf: &str, hosts: &str) -> Names {
        Names::parse(&HostNames { resolv_conf: resolv_conf.into(), hosts: hosts.into() })
    }

    #[test]
    fn resolvers_come_in_order_and_at_most_three() {
        let text = "# nameserver 9.9.9.9\nsearch lan\nnameserver 127.0.0.53\n nameserver\t2001:db8::1 \nnameserver fe80::1%eth0\n\
                    nameserver [10.0.0.1]:5353\nnameserver 10.0.0.2\noptions edns0";
        let seen: Vec<String> = names(text, "").servers.iter().map(ToString::to_string).collect();
        assert_eq!(seen, ["127.0.0.53:53", "[2001:db8::1]:53", "10.0.0.1:5353"]);
        assert_eq!(names("", "").servers, ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn hosts_have_names_aliases_and_comments() {
        let names = names("", "192.168.77.2 NAS.lan nas # the box\n::1 nas\n192.168.77.3 nas\nnonsense\n#1.2.3.4 no\n");
        assert_eq!(names.host("nas").unwrap(), [Ipv4Addr::new(192, 168, 77, 2), Ipv4Addr::new(192, 168, 77, 3)]);
        assert_eq!(names.host("nas.lan").unwrap(), [Ipv4Addr::new(192, 168, 77, 2)]);
        assert_eq!((names.host("no"), names.host("the")), (None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_read(resolv_conf in "(nameserver |[ -~]|\n){0,40}", hosts in "([0-9.]{1,9}|[ -~]|\n|\u{e9}){0,60}") {
            prop_assert!(!names(&resolv_conf, &hosts).servers.is_empty());
        }
    }
}
