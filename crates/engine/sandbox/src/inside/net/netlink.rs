//! Netlink messages, written by hand: two dozen of them, all fixed, at a moment when nothing may be started or waited for.
//! Numbers in headers are the machine's, those of netfilter the network's.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

/// A request.
pub(super) const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
/// A request that makes something, and is answered even when it succeeds.
pub(super) const CREATE: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_CREATE | libc::NLM_F_EXCL | libc::NLM_F_ACK) as u16;
/// Marks an attribute that holds attributes.
const NESTED: u16 = 0x8000;

/// One or more messages in a row.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    messages: u32,
}

impl Batch {
    /// Appends a message: its kind and flags, the fixed head of its kind, then attributes.
    pub(super) fn message(mut self, kind: u16, flags: u16, head: &[u8], attributes: Attributes) -> Self {
        let len = 16 + head.len() + attributes.0.len();
        self.bytes.extend((len as u32).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(self.messages.to_ne_bytes());
        // The kernel fills in who sends.
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend(head);
        self.bytes.extend(attributes.0);
        self.messages += 1;
        debug_assert_eq!(self.bytes.len() % 4, 0, "heads and attributes are padded");
        self
    }

    /// Sends all to the kernel and hears its answer. One message of the batch at least asks for an answer.
    ///
    /// # Errors
    /// The first that the kernel answers.
    pub(super) fn exchange(&self, protocol: Option<Protocol>, answers: usize) -> io::Result<()> {
        let socket = open(protocol)?;
        rustix::net::send(&socket, &self.bytes, SendFlags::empty())?;
        let mut buffer = [0; 4096];
        let mut heard = 0;
        while heard < answers {
            let (len, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
            for error in errors(&buffer[..len.min(4096)]) {
                match error? {
                    0 => heard += 1,
                    errno => return Err(io::Error::from_raw_os_error(errno)),
                }
            }
        }
        Ok(())
    }
}

/// A socket to the kernel in the present network namespace.
fn open(protocol: Option<Protocol>) -> io::Result<OwnedFd> {
    let kind = (AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC);
    Ok(rustix::net::socket_with(kind.0, kind.1, kind.2, protocol)?)
}

/// The error numbers of the answers in a packet; 0 is success.
fn errors(mut packet: &[u8]) -> Vec<io::Result<i32>> {
    let mut found = Vec::new();
    let word = |packet: &[u8], at: usize| packet.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    while !packet.is_empty() {
        let len = word(packet, 0).map_or(0, u32::from_ne_bytes) as usize;
        let errno = word(packet, 16).map(i32::from_ne_bytes);
        let kind = packet.get(4..6).map(|kind| u16::from_ne_bytes([kind[0], kind[1]]));
        match (kind, errno) {
            (Some(kind), Some(errno)) if len >= 20 && i32::from(kind) == libc::NLMSG_ERROR => found.push(Ok(-errno)),
            _ => found.push(Err(io::Error::from(io::ErrorKind::InvalidData))),
        }
        packet = packet.get(len.max(16).next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// Attributes in a row.
#[derive(Default, Clone)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    /// Bytes.
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend((4 + value.len() as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// A number of netfilter: big-endian.
    pub(super) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// A name, with the zero that ends it.
    pub(super) fn name(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Attributes inside an attribute.
    pub(super) fn nest(self, kind: u16, inner: Self) -> Self {
        self.bytes(kind | NESTED, &inner.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_their_lengths_are_not() {
        let attributes = Attributes::default().name(3, "abcd").number(1, 2);
        let (len, kind) = (9_u16.to_ne_bytes(), 3_u16.to_ne_bytes());
        assert_eq!(attributes.0[..9], [len[0], len[1], kind[0], kind[1], b'a', b'b', b'c', b'd', 0]);
        assert_eq!(attributes.0.len(), 12 + 8);
        assert_eq!(attributes.0[16..], [0, 0, 0, 2]);
    }

    #[test]
    fn answers_are_read_and_anything_else_is_an_error() {
        let mut packet = Vec::new();
        for errno in [0_i32, -libc::EEXIST] {
            packet.extend(36_u32.to_ne_bytes());
            packet.extend((libc::NLMSG_ERROR as u16).to_ne_bytes());
            packet.extend([0; 10]);
            packet.extend(errno.to_ne_bytes());
            packet.extend([0; 16]);
        }
        let read: Vec<_> = errors(&packet).into_iter().map(Result::unwrap).collect();
        assert_eq!(read, [0, libc::EEXIST]);
        assert!(errors(&packet[..10])[0].is_err());
        assert!(errors(&[0; 40]).iter().all(Result::is_err));
    }
}
