//! The names for which this platform has certificates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whose own name the authority vouches for, with everything below. Nobody else can have a server there: loopback by RFC 6761, and a
/// name of local clouds that resolves to it everywhere.
pub(super) const OURS: [&str; 2] = ["localhost", "localhost.localstack.cloud"];

/// Whether a name, in lower case, is one of this platform's. `hosts` are further names of it.
pub(super) fn is_ours(name: &str, hosts: &[String]) -> bool {
    let below = |own: &str| name.strip_suffix(own).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    OURS.into_iter().any(below) || hosts.iter().any(|known| known == name)
}

/// What one certificate is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subjects(Vec<String>);

impl Subjects {
    /// A name that a client asks for.
    pub(super) fn of_name(name: &str) -> Self {
        match name {
            "localhost" => Self::with_loopback(name.to_owned()),
            _ => Self(vec![name.to_owned()]),
        }
    }

    /// An address by which a client came in.
    pub(super) fn of_address(at: IpAddr) -> Self {
        if at.is_loopback() { Self::of_name("localhost") } else { Self::with_loopback(at.to_string()) }
    }

    fn with_loopback(first: String) -> Self {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let mut all = vec![first];
        if all[0] != "localhost" {
            all.push("localhost".into());
        }
        all.extend(loopback.map(|address| address.to_string()));
        Self(all)
    }

    /// By which it is found again.
    pub(super) fn key(&self) -> &str {
        &self.0[0]
    }

    /// Names and addresses.
    pub(super) fn all(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_platform_are_ours() {
        let hosts = ["build.lan".to_owned()];
        for name in [
            "localhost",
            "abc.lambda-url.us-east-1.localhost",
            "a.b.s3.localhost",
            "localhost.localstack.cloud",
            "s3.localhost.localstack.cloud",
            "build.lan",
        ] {
            assert!(is_ours(name, &hosts), "{name}");
        }
        for name in ["notlocalhost", "localhost.evil.example", "example.com", "x.build.lan", "lambda.amazonaws.com", ""]
        {
            assert!(!is_ours(name, &hosts), "{name}");
        }
    }

    #[test]
    fn who_asks_for_no_name_came_by_an_address() {
        let local = ["localhost", "127.0.0.1", "::1"];
        assert_eq!(Subjects::of_address("127.0.0.1".parse().unwrap()).all(), local);
        assert_eq!(Subjects::of_name("localhost").all(), local);
        let lan = Subjects::of_address("10.1.2.3".parse().unwrap());
        assert_eq!((lan.key(), lan.all().len()), ("10.1.2.3", 4));
        assert_eq!(Subjects::of_name("a.b.localhost").all(), ["a.b.localhost"]);
    }
}
