//! What a name query is answered with: a pure decision over bytes.

use std::net::Ipv4Addr;

use base::Egress;
use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message_builder::{AnswerBuilder, MessageBuilder};
use domain::base::name::ToName;
use domain::base::{Message, Ttl};
use domain::rdata::A;

use crate::names::Names;

/// How long an answer of our own may be kept, seconds: the `hosts` file may change.
const TTL: Ttl = Ttl::from_secs(5);
/// The largest datagram we say we take. Source: DNS Flag Day 2020.
const DATAGRAM_BYTES: u16 = 1232;

/// What becomes of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: it is no query.
    Drop,
    /// This answer.
    Answer(Vec<u8>),
    /// The host's resolvers know.
    Forward,
}

/// Decides from the query's bytes alone.
pub(crate) fn decide(query: &[u8], rule: Egress, names: &Names) -> Verdict {
    let Ok(query) = Message::from_slice(query) else { return Verdict::Drop };
    let header = query.header();
    if header.qr() {
        return Verdict::Drop;
    }
    if header.opcode() != Opcode::QUERY {
        return bare(query, Rcode::NOTIMP);
    }
    let question = match query.sole_question() {
        Ok(question) if query.iter().all(|record| record.is_ok()) => question,
        _ => return bare(query, Rcode::FORMERR),
    };
    let name = question.qname().to_string().trim_end_matches('.').to_ascii_lowercase();
    let (kind, class) = (question.qtype(), question.qclass());
    if class != Class::IN || query.is_xfr() {
        return answer(query, Rcode::REFUSED, &[]);
    }
    // Source: RFC 6761 section 6.3.
    if name == "localhost" || name.ends_with(".localhost") {
        let addresses: &[Ipv4Addr] = if wants_address(kind) { &[Ipv4Addr::LOCALHOST] } else { &[] };
        return answer(query, Rcode::NOERROR, addresses);
    }
    if rule == Egress::None {
        return answer(query, Rcode::REFUSED, &[]);
    }
    if let Some(addresses) = names.host(&name)
        && wants_address(kind)
    {
        return answer(query, Rcode::NOERROR, addresses);
    }
    if kind == Rtype::AAAA {
        // No way leads out over IPv6, so no name has such an address.
        return answer(query, Rcode::NOERROR, &[]);
    }
    Verdict::Forward
}

fn wants_address(kind: Rtype) -> bool {
    kind == Rtype::A || kind == Rtype::ANY
}

/// What the client gets when no resolver answered.
pub(crate) fn failure(query: &[u8]) -> Option<Vec<u8>> {
    match answer(Message::from_slice(query).ok()?, Rcode::SERVFAIL, &[]) {
        Verdict::Answer(bytes) => Some(bytes),
        Verdict::Drop | Verdict::Forward => None,
    }
}

/// What the client gets when the answer does not fit: it asks again over TCP.
pub(crate) fn cut(query: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_slice(query).ok()?;
    let mut builder = MessageBuilder::new_vec().start_error(query, Rcode::NOERROR);
    builder.header_mut().set_ra(true);
    builder.header_mut().set_tc(true);
    Some(builder.finish())
}

/// The same query under another id.
pub(crate) fn under_id(query: &[u8], id: u16) -> Option<Message<Vec<u8>>> {
    let mut query = Message::from_octets(query.to_vec()).ok()?;
    query.header_mut().set_id(id);
    Some(query)
}

/// The answer to `sent`, under the id of `query`; none when it is something else.
pub(crate) fn accept(answer: &[u8], sent: &Message<Vec<u8>>, query: &[u8]) -> Option<Vec<u8>> {
    let id = Message::from_slice(query).ok()?.header().id();
    let mut answer = Message::from_octets(answer.to_vec()).ok()?;
    // The question must be readable at both: two that cannot be read would compare as equal.
    if !answer.is_answer(sent) || answer.sole_question().is_err() {
        return None;
    }
    answer.header_mut().set_id(id);
    Some(answer.into_octets())
}

/// Whether the resolver knows: the name, or that there is none.
pub(crate) fn is_definite(answer: &[u8]) -> bool {
    Message::from_slice(answer).is_ok_and(|answer| matches!(answer.header().rcode(), Rcode::NOERROR | Rcode::NXDOMAIN))
}

/// An answer without the question, for queries that cannot be read.
fn bare(query: &Message<[u8]>, rcode: Rcode) -> Verdict {
    let mut builder = MessageBuilder::new_vec();
    let header = builder.header_mut();
    header.set_id(query.header().id());
    header.set_qr(true);
    header.set_opcode(query.header().opcode());
    header.set_rd(query.header().rd());
    header.set_rcode(rcode);
    Verdict::Answer(builder.finish())
}

fn answer(query: &Message<[u8]>, rcode: Rcode, addresses: &[Ipv4Addr]) -> Verdict {
    let mut builder = MessageBuilder::new_vec().start_error(query, rcode);
    builder.header_mut().set_ra(true);
    if addresses.is_empty() || push(&mut builder, query, addresses).is_some() {
        let mut additional = builder.additional();
        // Source: RFC 6891 section 6.1.1: who is asked with an OPT record answers with one.
        if query.opt().is_some()
            && additional
                .opt(|opt| {
                    opt.set_udp_payload_size(DATAGRAM_BYTES);
                    Ok(())
                })
                .is_err()
        {
            return bare(query, Rcode::SERVFAIL);
        }
        return Verdict::Answer(additional.finish());
    }
    bare(query, Rcode::SERVFAIL)
}

fn push(builder: &mut AnswerBuilder<Vec<u8>>, query: &Message<[u8]>, addresses: &[Ipv4Addr]) -> Option<()> {
    let question = query.sole_question().ok()?;
    let name = question.qname().to_name::<Vec<u8>>();
    for address in addresses {
        builder.push((&name, Class::IN, TTL, A::new(*address))).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use domain::base::Name;
    use proptest::prelude::*;

    use super::*;
    use crate::names::HostNames;

    fn names() -> Names {
        Names::parse(&HostNames {
            resolv_conf: String::new(),
            hosts: "192.168.77.2 nas.lan nas\n10.0.0.1 nas\n".into(),
        })
    }

    fn query(name: &str, kind: Rtype) -> Vec<u8> {
        let name: Name<Vec<u8>> = name.parse().unwrap();
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_id(0x1234);
        builder.header_mut().set_rd(true);
        builder.push((name, kind)).unwrap();
        builder.finish()
    }

    /// Code, addresses.
    fn decided(query: &[u8], rule: Egress) -> (Rcode, Vec<Ipv4Addr>) {
        let Verdict::Answer(answer) = decide(query, rule, &names()) else { panic!("no answer") };
        let answer = Message::from_octets(answer).unwrap();
        let header = answer.header();
        assert_eq!((header.id(), header.qr()), (0x1234, true));
        let records = answer.answer().unwrap().limit_to::<A>().map(|record| record.unwrap().data().addr()).collect();
        (header.rcode(), records)
    }

    #[test]
    fn localhost_is_the_sandbox_by_every_rule() {
        for rule in [Egress::None, Egress::Public, Egress::All] {
            for name in ["localhost", "LocalHost.", "abc.lambda-url.us-east-1.localhost"] {
                assert_eq!(
                    decided(&query(name, Rtype::A), rule),
                    (Rcode::NOERROR, vec![Ipv4Addr::LOCALHOST]),
                    "{name}"
                );
                assert_eq!(decided(&query(name, Rtype::AAAA), rule), (Rcode::NOERROR, vec![]));
                assert_eq!(decided(&query(name, Rtype::TXT), rule), (Rcode::NOERROR, vec![]));
            }
            assert_eq!(decide(&query("notlocalhost", Rtype::A), Egress::All, &names()), Verdict::Forward);
        }
    }

    #[test]
    fn other_names_are_refused_where_nothing_is_reached() {
        for (name, kind) in
            [("example.com", Rtype::A), ("nas", Rtype::A), ("example.com", Rtype::AAAA), ("x", Rtype::TXT)]
        {
            assert_eq!(decided(&query(name, kind), Egress::None), (Rcode::REFUSED, vec![]));
        }
    }

    #[test]
    fn the_hosts_file_and_the_want_of_ipv6_are_known_here() {
        let both = vec![Ipv4Addr::new(192, 168, 77, 2), Ipv4Addr::new(10, 0, 0, 1)];
        assert_eq!(decided(&query("NAS", Rtype::A), Egress::Public), (Rcode::NOERROR, both));
        assert_eq!(decided(&query("nas", Rtype::AAAA), Egress::All), (Rcode::NOERROR, vec![]));
        assert_eq!(decided(&query("example.com", Rtype::AAAA), Egress::All), (Rcode::NOERROR, vec![]));
        for (name, kind) in [("nas", Rtype::MX), ("example.com", Rtype::A), ("example.com", Rtype::from_int(4321))] {
            assert_eq!(decide(&query(name, kind), Egress::All, &names()), Verdict::Forward, "{name} {kind}");
        }
    }

    #[test]
    fn what_is_no_question_of_one_name_is_turned_away() {
        let good = query("example.com", Rtype::A);
        assert_eq!(decided(&query("example.com", Rtype::AXFR), Egress::All).0, Rcode::REFUSED);
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            bytes
        };
        // An answer; an update; two questions of which one is there; an additional record that is not there.
        assert_eq!(decide(&changed(2, 0x81), Egress::All, &names()), Verdict::Drop);
        assert_eq!(decided(&changed(2, 0x29), Egress::All).0, Rcode::NOTIMP);
        assert_eq!(decided(&changed(5, 2), Egress::All).0, Rcode::FORMERR);
        assert_eq!(decided(&changed(11, 1), Egress::All).0, Rcode::FORMERR);
        assert_eq!(decided(&good[..good.len() - 1], Egress::All).0, Rcode::FORMERR);
        assert_eq!(decide(&good[..11], Egress::All, &names()), Verdict::Drop);
    }

    #[test]
    fn who_speaks_edns_is_answered_so() {
        let mut builder = MessageBuilder::new_vec().question();
        builder.push((Name::<Vec<u8>>::vec_from_str("localhost").unwrap(), Rtype::A)).unwrap();
        let mut builder = builder.additional();
        builder
            .opt(|opt| {
                opt.set_udp_payload_size(4096);
                Ok(())
            })
            .unwrap();
        let Verdict::Answer(answer) = decide(&builder.finish(), Egress::All, &names()) else { panic!("no answer") };
        assert_eq!(Message::from_octets(answer).unwrap().opt().unwrap().udp_payload_size(), DATAGRAM_BYTES);
    }

    #[test]
    fn only_the_answer_to_the_question_is_taken() {
        let asked = query("Example.com", Rtype::A);
        let sent = under_id(&asked, 7).unwrap();
        let reply = |name: &str, kind: Rtype, id: u16| {
            let bytes = query(name, kind);
            let question = Message::from_slice(&bytes).unwrap();
            let mut builder = MessageBuilder::new_vec().start_error(question, Rcode::NXDOMAIN);
            builder.header_mut().set_id(id);
            builder.finish()
        };
        let taken = accept(&reply("example.COM", Rtype::A, 7), &sent, &asked).unwrap();
        assert_eq!(Message::from_slice(&taken).unwrap().header().id(), 0x1234);
        assert!(is_definite(&taken));
        assert_eq!(accept(&reply("example.com", Rtype::A, 8), &sent, &asked), None);
        assert_eq!(accept(&reply("example.org", Rtype::A, 7), &sent, &asked), None);
        assert_eq!(accept(&reply("example.com", Rtype::MX, 7), &sent, &asked), None);
        assert_eq!(accept(sent.as_slice(), &sent, &asked), None);
    }

    fn fine(bytes: &[u8], rule: Egress) -> Result<(), TestCaseError> {
        if let Verdict::Answer(answer) = decide(bytes, rule, &names()) {
            let answer = Message::from_octets(answer).unwrap();
            prop_assert_eq!(&answer.as_slice()[..2], &bytes[..2]);
            prop_assert!(answer.header().qr());
            prop_assert!(answer.as_slice().len() < 1024);
        }
        for answer in [failure(bytes), cut(bytes)].into_iter().flatten() {
            prop_assert!(Message::from_octets(answer).unwrap().header().qr());
        }
        if let Some(sent) = under_id(bytes, 99) {
            drop(accept(bytes, &sent, bytes));
        }
        is_definite(bytes);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_bytes_are_answered_or_dropped(bytes in proptest::collection::vec(any::<u8>(), 0..200), all in any::<bool>()) {
            fine(&bytes, if all { Egress::All } else { Egress::None })?;
        }

        #[test]
        fn damaged_queries_are_answered_or_dropped(
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
            cut_at in any::<proptest::sample::Index>(),
            more in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = query("some.name.example", Rtype::A);
            bytes.extend(more);
            for (at, to) in damage {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            bytes.truncate(cut_at.index(bytes.len()) + 1);
            fine(&bytes, Egress::All)?;
        }
    }
}
