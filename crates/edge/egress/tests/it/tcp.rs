//! Connections out of a sandbox.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use base::Egress;
use egress::Limits;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{LAN, OWN, PUBLIC, SILENT, World, soon};

/// How the connection ends, from inside.
async fn end(mut stream: TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.map(|_| rest).map_err(|error| error.kind())
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_side_ends_its_own_half() {
    let world = World::new(Egress::Public);
    let host = world.host(PUBLIC).await;
    let mut inside = world.dial(PUBLIC).await;
    let (mut outside, _) = soon(host.accept()).await.unwrap();
    outside.write_all(b"220 ready").await.unwrap();
    let mut banner = [0; 9];
    soon(inside.read_exact(&mut banner)).await.unwrap();
    inside.write_all(b"everything").await.unwrap();
    inside.shutdown().await.unwrap();
    let mut sent = String::new();
    soon(outside.read_to_string(&mut sent)).await.unwrap();
    outside.write_all(b"thanks").await.unwrap();
    drop(outside);
    assert_eq!((&banner, sent.as_str(), end(inside).await), (b"220 ready", "everything", Ok(b"thanks".to_vec())));
}

#[tokio::test]
async fn a_large_transfer_is_whole_in_both_directions_at_once() {
    const BYTES: usize = 16 << 20;
    let world = World::new(Egress::All);
    let host = world.host(LAN).await;
    let pattern = |seed: usize| (0..BYTES).map(|at| (at * 31 + at / 4093 + seed) as u8).collect::<Vec<u8>>();
    let talk = |stream: TcpStream, send: Vec<u8>| async move {
        let (mut from, mut to) = stream.into_split();
        let sending = tokio::spawn(async move {
            to.write_all(&send).await.unwrap();
            to.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        from.read_to_end(&mut got).await.unwrap();
        sending.await.unwrap();
        got
    };
    let inside = world.dial(LAN).await;
    let (outside, _) = soon(host.accept()).await.unwrap();
    let (got_inside, got_outside) =
        soon(async { tokio::join!(talk(inside, pattern(1)), talk(outside, pattern(2))) }).await;
    assert!(got_inside == pattern(2) && got_outside == pattern(1));
}

#[tokio::test]
async fn what_the_rule_denies_is_reset_and_told_once() {
    let mut world = World::new(Egress::Public);
    let host = world.host(LAN).await;
    for _ in 0..2 {
        assert_eq!(end(world.dial(LAN).await).await, Err(ErrorKind::ConnectionReset));
    }
    let line = world.line().await;
    assert!(line.contains("192.168.77.2:5432") && line.contains("egress `public`"), "{line}");
    assert!(world.told.try_recv().is_err(), "one line for each destination");
    assert!(tokio::time::timeout(Duration::ZERO, host.accept()).await.is_err(), "nobody was dialled");
}

#[tokio::test]
async fn the_host_and_metadata_are_out_of_reach_by_every_rule() {
    for rule in [Egress::None, Egress::Public, Egress::All] {
        let mut world = World::new(rule);
        for address in [OWN, Ipv4Addr::LOCALHOST, Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::UNSPECIFIED] {
            let to = SocketAddrV4::new(address, 80);
            let _host = world.host(to).await;
            assert_eq!(end(world.dial(to).await).await, Err(ErrorKind::ConnectionReset), "{to}");
            assert!(world.line().await.contains(&to.to_string()));
        }
    }
}

#[tokio::test]
async fn one_sandbox_tells_a_few_lines_at_most() {
    let mut world = World::new(Egress::None);
    for port in 1..=20 {
        end(world.dial(SocketAddrV4::new(*PUBLIC.ip(), port)).await).await.unwrap_err();
    }
    let mut lines = 0;
    while world.told.try_recv().is_ok() {
        lines += 1;
    }
    assert_eq!(lines, 8);
}

#[tokio::test]
async fn a_dial_that_fails_or_takes_too_long_is_reset() {
    let mut world = World::with(Egress::All, Limits { dial: Duration::from_millis(20), ..Limits::default() });
    assert_eq!(end(world.dial(PUBLIC).await).await, Err(ErrorKind::ConnectionReset));
    let line = world.line().await;
    assert!(line.contains("203.0.113.10:80: connection refused"), "{line}");
    assert_eq!(end(world.dial(SILENT).await).await, Err(ErrorKind::ConnectionReset));
    assert!(world.line().await.ends_with("nobody answered in time"));
}

#[tokio::test]
async fn a_reset_is_handed_on_as_a_reset() {
    let world = World::new(Egress::All);
    let host = world.host(PUBLIC).await;
    let inside = world.dial(PUBLIC).await;
    let (outside, _) = soon(host.accept()).await.unwrap();
    SockRef::from(&outside).set_linger(Some(Duration::ZERO)).unwrap();
    drop(outside);
    assert_eq!(end(inside).await, Err(ErrorKind::ConnectionReset));

    let inside = world.dial(PUBLIC).await;
    let (outside, _) = soon(host.accept()).await.unwrap();
    SockRef::from(&inside).set_linger(Some(Duration::ZERO)).unwrap();
    drop(inside);
    assert_eq!(end(outside).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_half_that_is_left_may_not_be_silent_for_ever() {
    let world = World::with(Egress::All, Limits { half_closed: Duration::from_millis(30), ..Limits::default() });
    let host = world.host(PUBLIC).await;
    let mut inside = world.dial(PUBLIC).await;
    let (mut outside, _) = soon(host.accept()).await.unwrap();
    inside.shutdown().await.unwrap();
    assert_eq!(soon(outside.read(&mut [0])).await.unwrap(), 0);
    assert_eq!(end(inside).await, Err(ErrorKind::ConnectionReset));
}

/// A connection that is known to be carried.
async fn open(world: &World, host: &tokio::net::TcpListener) -> (TcpStream, TcpStream) {
    let inside = world.dial(PUBLIC).await;
    let (outside, _) = soon(host.accept()).await.unwrap();
    (inside, outside)
}

#[tokio::test]
async fn more_connections_than_a_sandbox_may_hold_are_reset() {
    for limits in
        [Limits { sandbox_connections: 2, ..Limits::default() }, Limits { connections: 4, ..Limits::default() }]
    {
        let mut world = World::with(Egress::All, limits);
        let host = world.host(PUBLIC).await;
        let (first, second) = (open(&world, &host).await, open(&world, &host).await);
        assert_eq!(end(world.dial(PUBLIC).await).await, Err(ErrorKind::ConnectionReset));
        let told = world.line().await;
        assert_eq!(
            told,
            "Lambent: no connection to 203.0.113.10:80: this function holds 2 connections already, which is its share"
        );
        // One that ends makes room for another.
        let (inside, outside) = first;
        drop(outside);
        end(inside).await.unwrap();
        let room = async {
            loop {
                let inside = world.dial(PUBLIC).await;
                tokio::select! {
                    accepted = host.accept() => return (inside, accepted.unwrap()),
                    _ = inside.ready(tokio::io::Interest::READABLE) => {}
                }
            }
        };
        soon(room).await;
        drop(second);
    }
}

#[tokio::test]
async fn greedy_sandboxes_leave_places_for_the_next() {
    let first = World::with(Egress::All, Limits { connections: 32, ..Limits::default() });
    let host = first.host(PUBLIC).await;
    let mut sandboxes = vec![first];
    for _ in 0..4 {
        sandboxes.push(sandboxes[0].another());
    }
    let mut held = Vec::new();
    let mut counts = Vec::new();
    for sandbox in &sandboxes {
        // It takes what it gets, until it is told that this is all.
        let before = held.len();
        loop {
            let inside = sandbox.dial(PUBLIC).await;
            tokio::select! {
                accepted = host.accept() => held.push((inside, accepted.unwrap().0)),
                _ = inside.ready(tokio::io::Interest::READABLE) => break,
            }
        }
        counts.push(held.len() - before);
    }
    assert_eq!(counts, [16, 8, 4, 2, 1], "each gets as many as it leaves");
}

#[tokio::test]
async fn everything_ends_with_the_guard() {
    let mut world = World::new(Egress::All);
    let host = world.host(PUBLIC).await;
    let (inside, outside) = open(&world, &host).await;
    drop(world.guard.take());
    end(outside).await.unwrap();
    end(inside).await.unwrap();
    let refused = async {
        while TcpStream::connect(world.tcp).await.is_ok() || TcpStream::connect(world.dns_tcp).await.is_ok() {}
    };
    soon(refused).await;
    let free = async { while tokio::net::UdpSocket::bind(world.dns_udp).await.is_err() {} };
    soon(free).await;
}
