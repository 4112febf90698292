//! The rules of nf_tables in a sandbox's own network namespace: TCP that would leave goes to the platform's listener,
//! name queries go to its resolver, everything else is refused at once.
//!
//! The kernel remembers each connection that it redirects, in memory that no limit of the sandbox counts. So what stays on
//! loopback is not tracked, name queries are bounded, and what is over is forgotten soon: a program that sends as fast
//! as it can would otherwise hold 64 MiB of the host's memory after two seconds.

use std::io;

use rustix::net::netlink::NETFILTER;

use super::netlink::{Attributes, Batch, REQUEST};
use super::{ADDRESS, DNS_PORT, TCP_PORT};

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END` of `linux/netfilter/nfnetlink.h`.
const BATCH: [u16; 2] = [0x10, 0x11];
/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u16 = 10;
/// `NFT_MSG_NEWTABLE`, `NFT_MSG_NEWCHAIN`, `NFT_MSG_NEWRULE` of `linux/netfilter/nf_tables.h`.
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
/// The flags of `nft add`: create, and put a rule after the others.
const ADD: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_CREATE) as u16;
const APPEND: u16 = ADD | (libc::NLM_F_APPEND | libc::NLM_F_ACK) as u16;

const TABLE: &str = "lambent";
/// What the kernel need not remember.
const UNTRACKED: &str = "loopback";
/// What may leave at all.
const FILTER: &str = "leave";
/// Where what may leave goes.
const REDIRECT: &str = "platform";

/// Name queries to other addresses than 127.0.0.1. What is over is refused.
const QUERIES_A_SECOND: u64 = 1000;
const QUERIES_AT_ONCE: u32 = 1000;

/// `NFT_REG_1`, and `NFT_REG_VERDICT`.
const REGISTER: u32 = 1;
const VERDICT: u32 = 0;

/// `enum nft_cmp_ops`.
#[derive(Clone, Copy)]
enum Compare {
    Equal = 0,
    NotEqual = 1,
    AtLeast = 5,
}

/// The expressions of one rule.
#[derive(Default)]
struct Rule(Attributes);

impl Rule {
    fn expression(self, name: &str, data: Attributes) -> Self {
        Self(self.0.nest(1, Attributes::default().name(1, name).nest(2, data)))
    }

    /// Goes on when the bytes at `offset` of header `base` (1 network, 2 transport) compare.
    fn payload(self, base: u32, offset: u32, compare: Compare, value: &[u8]) -> Self {
        let load = Attributes::default().number(1, REGISTER).number(2, base).number(3, offset);
        self.expression("payload", load.number(4, value.len() as u32)).compare(compare, value)
    }

    fn compare(self, compare: Compare, value: &[u8]) -> Self {
        let data = Attributes::default().bytes(1, value);
        self.expression("cmp", Attributes::default().number(1, REGISTER).number(2, compare as u32).nest(3, data))
    }

    /// Goes on when the first byte of the source address is this.
    fn from(self, first_byte: u8) -> Self {
        const SOURCE: u32 = 12;
        self.payload(1, SOURCE, Compare::Equal, &[first_byte])
    }

    /// Goes on when the first bytes of the destination address compare.
    fn to(self, compare: Compare, first_bytes: &[u8]) -> Self {
        const DESTINATION: u32 = 16;
        self.payload(1, DESTINATION, compare, first_bytes)
    }

    /// Goes on for this protocol over IP.
    fn protocol(self, protocol: libc::c_int) -> Self {
        const L4PROTO: u32 = 16;
        let load = Attributes::default().number(1, REGISTER).number(2, L4PROTO);
        self.expression("meta", load).compare(Compare::Equal, &[protocol as u8])
    }

    /// Goes on for this destination port.
    fn port(self, port: u16) -> Self {
        self.payload(2, 2, Compare::Equal, &port.to_be_bytes())
    }

    /// Goes on for what comes from another port than the sockets of what leaves: their answers must be recognised.
    fn not_from_uplink(self) -> Self {
        let from_other = self.payload(2, 0, Compare::NotEqual, &TCP_PORT.to_be_bytes());
        from_other.compare(Compare::NotEqual, &DNS_PORT.to_be_bytes())
    }

    /// Leaves it to the sockets alone: the connection is not tracked.
    fn untracked(self) -> Self {
        self.expression("notrack", Attributes::default())
    }

    /// Goes on for what is over so many packets a second.
    fn over(self, a_second: u64, burst: u32) -> Self {
        const PACKETS: u32 = 0;
        const OVER: u32 = 1;
        let rate = Attributes::default().bytes(1, &a_second.to_be_bytes()).bytes(2, &1_u64.to_be_bytes());
        self.expression("limit", rate.number(3, burst).number(4, PACKETS).number(5, OVER))
    }

    fn accept(self) -> Self {
        const NF_ACCEPT: u32 = 1;
        let verdict = Attributes::default().nest(2, Attributes::default().number(1, NF_ACCEPT));
        self.expression("immediate", Attributes::default().number(1, VERDICT).nest(2, verdict))
    }

    /// Answers that the port cannot be reached.
    fn reject(self) -> Self {
        const ICMP: u32 = 0;
        const PORT_UNREACHABLE: u8 = 3;
        self.expression("reject", Attributes::default().number(1, ICMP).bytes(2, &[PORT_UNREACHABLE]))
    }

    /// Sends to a port of 127.0.0.1.
    fn redirect(self, port: u16) -> Self {
        const WITH_PORT: u32 = 2;
        let value = Attributes::default().bytes(1, &port.to_be_bytes());
        let load = Attributes::default().number(1, REGISTER).nest(2, value);
        let to = Attributes::default().number(1, REGISTER).number(2, REGISTER).number(3, WITH_PORT);
        self.expression("immediate", load).expression("redir", to)
    }
}

/// Everything at once; the kernel takes all of it or nothing.
fn batch() -> (Batch, usize) {
    use Compare::{AtLeast, Equal, NotEqual};
    let rule = Rule::default;
    let filter = [
        rule().to(Equal, &[127]).accept(),
        // Answers to name queries that were redirected come back to it.
        rule().to(Equal, &ADDRESS.octets()).accept(),
        // Link-local and metadata addresses, multicast and what is nobody's. Routes refuse them first, with a better error, but not
        // to a socket that is bound to the device.
        rule().to(Equal, &[0]).reject(),
        rule().to(Equal, &[169, 254]).reject(),
        rule().to(AtLeast, &[224]).reject(),
        rule().protocol(libc::IPPROTO_TCP).accept(),
        rule().over(QUERIES_A_SECOND, QUERIES_AT_ONCE).reject(),
        rule().protocol(libc::IPPROTO_UDP).port(DNS_PORT).accept(),
        rule().reject(),
    ];
    let untracked = [rule().from(127).to(Equal, &[127]).not_from_uplink().untracked()];
    let answers = untracked.len() + filter.len() + 3;
    let leaving = || rule().to(NotEqual, &[127]);
    let redirect = [
        leaving().protocol(libc::IPPROTO_UDP).port(DNS_PORT).redirect(DNS_PORT),
        leaving().protocol(libc::IPPROTO_TCP).port(DNS_PORT).redirect(DNS_PORT),
        leaving().protocol(libc::IPPROTO_TCP).redirect(TCP_PORT),
    ];
    let head = |family: libc::c_int, resource: u16| {
        let [high, low] = resource.to_be_bytes();
        [family as u8, 0, high, low]
    };
    let ip = head(libc::NFPROTO_IPV4, 0);
    let none = Attributes::default;
    let chain = |name: &str, kind: &str, priority: i32| {
        const LOCAL_OUT: u32 = 3;
        let hook = none().number(1, LOCAL_OUT).number(2, priority as u32);
        none().name(1, TABLE).name(3, name).nest(4, hook).name(7, kind)
    };
    // Tracking begins at -200. After the redirection (-100) all destinations look like 127.0.0.1.
    let mut batch = Batch::default()
        .message(BATCH[0], REQUEST, &head(libc::AF_UNSPEC, SUBSYSTEM), none())
        .message(NEW_TABLE, ADD, &ip, none().name(1, TABLE))
        .message(NEW_CHAIN, ADD, &ip, chain(UNTRACKED, "filter", -300))
        .message(NEW_CHAIN, ADD, &ip, chain(FILTER, "filter", -150))
        .message(NEW_CHAIN, ADD, &ip, chain(REDIRECT, "nat", -100));
    let rules = untracked.map(|rule| (UNTRACKED, rule)).into_iter();
    let rules = rules.chain(filter.map(|rule| (FILTER, rule))).chain(redirect.map(|rule| (REDIRECT, rule)));
    for (chain, Rule(expressions)) in rules {
        let attributes = none().name(1, TABLE).name(2, chain).nest(4, expressions);
        batch = batch.message(NEW_RULE, APPEND, &ip, attributes);
    }
    (batch.message(BATCH[1], REQUEST, &head(libc::AF_UNSPEC, SUBSYSTEM), none()), answers)
}

/// Sets the rules of the present network namespace.
///
/// # Errors
/// The kernel's, when it has no nf_tables or lacks one of its expressions: nothing is set then.
pub(super) fn set() -> io::Result<()> {
    let (batch, answers) = batch();
    batch.exchange(Some(NETFILTER), answers)
}
