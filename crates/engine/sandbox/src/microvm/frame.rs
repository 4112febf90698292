//! What the two ends of the byte channel of a machine say to each other: many connections over one stream of bytes.
//! A frame is its kind (one byte), its stream and its length (`u32`, little-endian), and its bytes.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::channel;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A [`super::note::Note`], or the assignment on its way in.
    Note(Vec<u8>),
    /// What the program wrote to stdout and stderr.
    Output(Vec<u8>),
    /// The other side is to connect to this address, seen from where it stands.
    Open {
        /// The number that the connection has from now on; the guest gives it.
        stream: u32,
        /// The address.
        to: SocketAddrV4,
    },
    /// Bytes of a connection; no more than there is credit for.
    Data {
        /// The connection.
        stream: u32,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// No more bytes come this way.
    End {
        /// The connection.
        stream: u32,
    },
    /// The connection is broken, or could not be made.
    Reset {
        /// The connection.
        stream: u32,
    },
    /// So many bytes arrived where they were sent to: as many more may be sent.
    Credit {
        /// The connection.
        stream: u32,
        /// Bytes.
        bytes: u32,
    },
    /// A name query, and its answer under the same number.
    Datagram {
        /// The query's number.
        query: u32,
        /// The packet.
        bytes: Vec<u8>,
    },
}

/// A frame's kind, stream and length.
const HEAD: usize = 9;

impl Frame {
    /// Its bytes on the wire.
    pub(super) fn encode(&self) -> Vec<u8> {
        let packed = |kind: u8, stream: u32, bytes: &[u8]| {
            let mut out = Vec::with_capacity(HEAD + bytes.len());
            out.push(kind);
            out.extend(stream.to_le_bytes());
            out.extend((bytes.len() as u32).to_le_bytes());
            out.extend(bytes);
            out
        };
        match self {
            Self::Note(bytes) => packed(1, 0, bytes),
            Self::Output(bytes) => packed(2, 0, bytes),
            Self::Open { stream, to } => {
                let mut address = to.ip().octets().to_vec();
                address.extend(to.port().to_le_bytes());
                packed(3, *stream, &address)
            }
            Self::Data { stream, bytes } => packed(4, *stream, bytes),
            Self::End { stream } => packed(5, *stream, &[]),
            Self::Reset { stream } => packed(6, *stream, &[]),
            Self::Credit { stream, bytes } => packed(7, *stream, &bytes.to_le_bytes()),
            Self::Datagram { query, bytes } => packed(8, *query, bytes),
        }
    }

    /// Reads one. `None` at the end of the bytes.
    ///
    /// # Errors
    /// `InvalidData` for what is no frame or is longer than a message may be.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let mut head = [0; HEAD];
        match from.read_exact(&mut head).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        };
        let [kind, s0, s1, s2, s3, l0, l1, l2, l3] = head;
        let (stream, len) = (u32::from_le_bytes([s0, s1, s2, s3]), u32::from_le_bytes([l0, l1, l2, l3]) as usize);
        if len > channel::MAX_BYTES {
            return Err(invalid());
        }
        let mut bytes = vec![0; len];
        from.read_exact(&mut bytes).await?;
        Ok(Some(match kind {
            1 => Self::Note(bytes),
            2 => Self::Output(bytes),
            3 => {
                let [a, b, c, d, low, high]: [u8; 6] = bytes.try_into().map_err(|_| invalid())?;
                let to = SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_le_bytes([low, high]));
                Self::Open { stream, to }
            }
            4 => Self::Data { stream, bytes },
            5 => Self::End { stream },
            6 => Self::Reset { stream },
            7 => {
                let bytes = u32::from_le_bytes(bytes.try_into().map_err(|_| invalid())?);
                Self::Credit { stream, bytes }
            }
            8 => Self::Datagram { query: stream, bytes },
            _ => return Err(invalid()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn frames() -> impl Strategy<Value = Frame> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..50);
        prop_oneof![
            bytes().prop_map(Frame::Note),
            bytes().prop_map(Frame::Output),
            (any::<u32>(), any::<[u8; 4]>(), any::<u16>())
                .prop_map(|(stream, ip, port)| Frame::Open { stream, to: SocketAddrV4::new(ip.into(), port) }),
            (any::<u32>(), bytes()).prop_map(|(stream, bytes)| Frame::Data { stream, bytes }),
            any::<u32>().prop_map(|stream| Frame::End { stream }),
            any::<u32>().prop_map(|stream| Frame::Reset { stream }),
            (any::<u32>(), any::<u32>()).prop_map(|(stream, bytes)| Frame::Credit { stream, bytes }),
            (any::<u32>(), bytes()).prop_map(|(query, bytes)| Frame::Datagram { query, bytes }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_sent_is_received_in_order(sent in proptest::collection::vec(frames(), 0..8)) {
            let wire: Vec<u8> = sent.iter().flat_map(Frame::encode).collect();
            let mut wire = wire.as_slice();
            for frame in sent {
                prop_assert_eq!(block(Frame::read(&mut wire)).unwrap(), Some(frame));
            }
            prop_assert_eq!(block(Frame::read(&mut wire)).unwrap(), None);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut wire = bytes.as_slice();
            while let Ok(Some(_)) = block(Frame::read(&mut wire)) {}
        }
    }

    #[test]
    fn a_length_that_no_message_has_is_refused_before_memory_is_taken() {
        let wire = [4, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(block(Frame::read(&mut wire.as_slice())).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
