//! Name queries out of a sandbox, against resolvers of the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::Egress;
use domain::base::iana::Rcode;
use domain::base::message_builder::MessageBuilder;
use domain::base::{Message, Name, Rtype, Ttl};
use domain::rdata::{A, Txt};
use egress::{HostNames, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::world::{World, soon};

type Bytes = Vec<u8>;
type Answering = Arc<dyn Fn(&[u8]) -> Vec<Bytes> + Send + Sync>;

/// A resolver on loopback, UDP and TCP at one port; what it was asked, and from where.
struct Resolver {
    at: SocketAddr,
    asked: Arc<Mutex<Vec<(Bytes, SocketAddr)>>>,
}

impl Resolver {
    async fn new(answering: impl Fn(&[u8]) -> Vec<Bytes> + Send + Sync + 'static) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let at = udp.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<(Bytes, SocketAddr)>>> = Arc::default();
        let answering: Answering = Arc::new(answering);
        let (seen, answers) = (Arc::clone(&asked), Arc::clone(&answering));
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                seen.lock().unwrap().push((buffer[..length].to_vec(), from));
                for answer in answers(&buffer[..length]) {
                    udp.send_to(&answer, from).await.unwrap();
                }
            }
        });
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, from)) = tcp.accept().await {
                let length = stream.read_u16().await.unwrap();
                let mut query = vec![0; usize::from(length)];
                stream.read_exact(&mut query).await.unwrap();
                seen.lock().unwrap().push((query.clone(), from));
                for answer in answering(&query) {
                    stream.write_u16(answer.len() as u16).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        Self { at, asked }
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn query(name: &str, kind: Rtype, id: u16) -> Bytes {
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    builder.push((Name::<Bytes>::from_str(name).unwrap(), kind)).unwrap();
    builder.finish()
}

fn reply(query: &[u8], code: Rcode, address: Option<[u8; 4]>) -> Bytes {
    let query = Message::from_slice(query).unwrap();
    let mut builder = MessageBuilder::new_vec().start_answer(query, code).unwrap();
    if let Some([a, b, c, d]) = address {
        let name = query.sole_question().unwrap().qname().to_string();
        builder
            .push((Name::<Bytes>::from_str(&name).unwrap(), Ttl::from_secs(60), A::from_octets(a, b, c, d)))
            .unwrap();
    }
    builder.finish()
}

fn ask_in_turn(world: &World, resolvers: &[&Resolver]) {
    let servers = resolvers.iter().map(|one| format!("nameserver [127.0.0.1]:{}\n", one.at.port()));
    world.names.lock().unwrap().resolv_conf = servers.collect();
}

async fn udp(world: &World, query: &[u8]) -> Message<Bytes> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(query, world.dns_udp).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let length = soon(socket.recv(&mut buffer)).await.unwrap();
    Message::from_octets(buffer[..length].to_vec()).unwrap()
}

async fn tcp(stream: &mut TcpStream, query: &[u8]) -> Message<Bytes> {
    stream.write_u16(query.len() as u16).await.unwrap();
    stream.write_all(query).await.unwrap();
    let length = soon(stream.read_u16()).await.unwrap();
    let mut answer = vec![0; usize::from(length)];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    Message::from_octets(answer).unwrap()
}

fn addresses(answer: &Message<Bytes>) -> Vec<Ipv4Addr> {
    answer.answer().unwrap().limit_to::<A>().map(|record| record.unwrap().data().addr()).collect()
}

fn quick() -> Limits {
    Limits { next_resolver: Duration::from_millis(30), answer: Duration::from_millis(300), ..Limits::default() }
}

#[tokio::test]
async fn the_hosts_resolver_answers_under_another_id_and_port_each_time() {
    let world = World::new(Egress::Public);
    let resolver = Resolver::new(|query| vec![reply(query, Rcode::NOERROR, Some([203, 0, 113, 10]))]).await;
    ask_in_turn(&world, &[&resolver]);
    for _ in 0..20 {
        let answer = udp(&world, &query("example.com", Rtype::A, 4711)).await;
        assert_eq!((answer.header().id(), addresses(&answer)), (4711, vec![Ipv4Addr::new(203, 0, 113, 10)]));
    }
    let asked = resolver.asked.lock().unwrap();
    let distinct = |mut all: Vec<u16>| {
        all.sort_unstable();
        all.dedup();
        all.len()
    };
    let ids = asked.iter().map(|(query, _)| Message::from_slice(query).unwrap().header().id());
    assert!(distinct(ids.collect()) > 15, "ids are random");
    assert!(distinct(asked.iter().map(|(_, from)| from.port()).collect()) > 10, "so are ports");
}

#[tokio::test]
async fn an_answer_to_something_else_is_not_taken() {
    let world = World::new(Egress::Public);
    let resolver = Resolver::new(|query| {
        let right = reply(query, Rcode::NOERROR, Some([203, 0, 113, 10]));
        let mut other_id = reply(query, Rcode::NOERROR, Some([6, 6, 6, 6]));
        other_id[0] ^= 1;
        let mut other_name = reply(query, Rcode::NOERROR, Some([6, 6, 6, 6]));
        other_name[13] ^= 1;
        vec![other_id, other_name, query.to_vec(), vec![1, 2, 3], right]
    });
    ask_in_turn(&world, &[&resolver.await]);
    let answer = udp(&world, &query("example.com", Rtype::A, 1)).await;
    assert_eq!(addresses(&answer), [Ipv4Addr::new(203, 0, 113, 10)]);
}

#[tokio::test]
async fn the_next_resolver_is_asked_when_one_is_silent_or_does_not_know() {
    let world = World::with(Egress::Public, quick());
    let silent = Resolver::new(|_| Vec::new()).await;
    let failing = Resolver::new(|query| vec![reply(query, Rcode::SERVFAIL, None)]).await;
    let knowing = Resolver::new(|query| vec![reply(query, Rcode::NXDOMAIN, None)]).await;
    ask_in_turn(&world, &[&silent, &failing, &knowing]);
    let answer = udp(&world, &query("nowhere.example", Rtype::A, 2)).await;
    assert_eq!(answer.header().rcode(), Rcode::NXDOMAIN);
    assert_eq!((silent.count(), failing.count(), knowing.count()), (1, 1, 1));
}

#[tokio::test]
async fn without_an_answer_there_is_a_failure_and_it_is_in_time() {
    let world = World::with(Egress::Public, quick());
    let silent = Resolver::new(|_| Vec::new()).await;
    ask_in_turn(&world, &[&silent]);
    let asked = query("example.com", Rtype::A, 3);
    assert_eq!(udp(&world, &asked).await.header().rcode(), Rcode::SERVFAIL);
    assert_eq!(silent.count(), 2, "over UDP each is asked twice");
    let mut stream = TcpStream::connect(world.dns_tcp).await.unwrap();
    assert_eq!(tcp(&mut stream, &asked).await.header().rcode(), Rcode::SERVFAIL);
}

#[tokio::test]
async fn long_answers_come_over_tcp_several_on_one_connection() {
    let world = World::new(Egress::All);
    let resolver = Resolver::new(|query| {
        let query = Message::from_slice(query).unwrap();
        let mut builder = MessageBuilder::new_vec().start_answer(query, Rcode::NOERROR).unwrap();
        for at in 0..100 {
            let text = Txt::<Bytes>::build_from_slice(format!("{at:0>200}").as_bytes()).unwrap();
            builder.push((Name::<Bytes>::from_str("long.example").unwrap(), Ttl::from_secs(1), text)).unwrap();
        }
        vec![builder.finish()]
    })
    .await;
    ask_in_turn(&world, &[&resolver]);
    let mut stream = TcpStream::connect(world.dns_tcp).await.unwrap();
    for id in 0..3 {
        let answer = tcp(&mut stream, &query("long.example", Rtype::TXT, id)).await;
        assert_eq!((answer.header().id(), answer.header_counts().ancount()), (id, 100));
        assert!(answer.as_slice().len() > 20_000);
    }
    // Over UDP such an answer does not fit, and says so.
    let answer = udp(&world, &query("long.example", Rtype::TXT, 9)).await;
    assert!(answer.header().tc() && answer.header().id() == 9);
}

#[tokio::test]
async fn nobody_is_asked_where_nothing_is_reached() {
    let world = World::new(Egress::None);
    let resolver = Resolver::new(|query| vec![reply(query, Rcode::NOERROR, Some([1, 1, 1, 1]))]).await;
    ask_in_turn(&world, &[&resolver]);
    let answer = udp(&world, &query("data.example.com", Rtype::TXT, 5)).await;
    assert_eq!((answer.header().rcode(), resolver.count()), (Rcode::REFUSED, 0));
    let local = udp(&world, &query("any.localhost", Rtype::A, 6)).await;
    assert_eq!(addresses(&local), [Ipv4Addr::LOCALHOST]);
}

#[tokio::test]
async fn a_change_of_the_hosts_settings_is_followed() {
    let world = World::new(Egress::All);
    let set = |hosts: &str| {
        *world.names.lock().unwrap() = HostNames { resolv_conf: String::new(), hosts: hosts.into() };
    };
    let nas = query("nas", Rtype::A, 7);
    set("192.168.77.2 nas");
    assert_eq!(addresses(&udp(&world, &nas).await), [Ipv4Addr::new(192, 168, 77, 2)]);
    set("192.168.88.2 nas");
    world.clocks.advance(Duration::from_secs(6));
    assert_eq!(addresses(&udp(&world, &nas).await), [Ipv4Addr::new(192, 168, 88, 2)]);
}

#[tokio::test]
async fn noise_is_survived() {
    let world = World::new(Egress::All);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for noise in [&b""[..], b"x", &[0xff; 600], &[0; 12], &[0xc0; 40]] {
        socket.send_to(noise, world.dns_udp).await.unwrap();
        let mut stream = TcpStream::connect(world.dns_tcp).await.unwrap();
        stream.write_u16(noise.len() as u16).await.unwrap();
        stream.write_all(noise).await.unwrap();
    }
    assert_eq!(addresses(&udp(&world, &query("localhost", Rtype::A, 8)).await), [Ipv4Addr::LOCALHOST]);
}

#[tokio::test]
async fn many_queries_at_once_are_all_answered() {
    let world = World::with(Egress::All, Limits { sandbox_queries: 8, queries: 3, ..Limits::default() });
    let resolver = Resolver::new(|query| vec![reply(query, Rcode::NOERROR, Some([203, 0, 113, 10]))]).await;
    ask_in_turn(&world, &[&resolver]);
    let asking = (0..100).map(|id| {
        let world = &world;
        async move { udp(world, &query("example.com", Rtype::A, id)).await.header().id() }
    });
    let answered = futures_util::future::join_all(asking).await;
    assert_eq!(answered, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_sandbox_whose_questions_nobody_answers_leaves_turns_for_others() {
    let greedy = World::with(Egress::All, Limits { queries: 8, ..Limits::default() });
    let silent = Resolver::new(|query| {
        let deaf = query.windows(4).any(|part| part == b"deaf");
        if deaf { Vec::new() } else { vec![reply(query, Rcode::NOERROR, Some([203, 0, 113, 10]))] }
    })
    .await;
    ask_in_turn(&greedy, &[&silent]);
    let modest = greedy.another();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for id in 0..64 {
        socket.send_to(&query("deaf.example", Rtype::A, id), greedy.dns_udp).await.unwrap();
    }
    // Its share of eight turns is four: with four taken, as many are free.
    soon(async {
        while silent.count() < 4 {
            tokio::task::yield_now().await
        }
    })
    .await;
    for id in 0..20 {
        assert_eq!(udp(&modest, &query("example.com", Rtype::A, id)).await.header().rcode(), Rcode::NOERROR);
    }
    assert!(silent.count() <= 4 * 2 + 20, "the silent questions took {} turns", silent.count() - 20);
}
