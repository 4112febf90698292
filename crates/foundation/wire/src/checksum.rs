//! The checksums by which clients and S3 make sure of an object's bytes. Source: AWS, "Checking object integrity".

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest, checksum_combine};

/// A checksum algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC-32 as in Ethernet and gzip
    Crc32,
    /// CRC-32C (Castagnoli)
    Crc32c,
    /// CRC-64/NVME
    Crc64Nvme,
    /// SHA-1
    Sha1,
    /// SHA-256
    Sha256,
    /// SHA-512
    Sha512,
}

impl Algorithm {
    /// Every algorithm there is.
    pub const ALL: [Self; 6] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256, Self::Sha512];

    /// AWS's name, for example `CRC64NVME`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    /// The header that carries its value, lower case: `x-amz-checksum-crc64nvme`.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Sha512 => "x-amz-checksum-sha512",
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 | Self::Sha512 => None,
        }
    }

    /// The algorithm whose header that is.
    pub fn of_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
    }

    /// The length of its value, bytes.
    pub const fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A checksum being computed.
pub struct Checksum(State);

#[allow(clippy::large_enum_variant, reason = "there are a few at a time, and none moves while it is computed")]
enum State {
    // With the length of its value, bytes.
    Crc(Digest, usize),
    Hash(digest::Context),
}

impl std::fmt::Debug for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Checksum")
    }
}

impl Checksum {
    /// Of nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match (algorithm.crc(), algorithm) {
            (Some(crc), _) => State::Crc(Digest::new(crc), algorithm.length()),
            (None, Algorithm::Sha1) => State::Hash(digest::Context::new(&SHA1_FOR_LEGACY_USE_ONLY)),
            (None, Algorithm::Sha512) => State::Hash(digest::Context::new(&SHA512)),
            (None, _) => State::Hash(digest::Context::new(&SHA256)),
        })
    }

    /// Takes further bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc(digest, _) => digest.update(bytes),
            State::Hash(context) => context.update(bytes),
        }
    }

    /// The value, as headers have it: base64.
    pub fn finish(self) -> String {
        match self.0 {
            State::Crc(digest, length) => printed(digest.finalize(), length),
            State::Hash(context) => STANDARD.encode(context.finish()),
        }
    }
}

fn printed(crc: u64, length: usize) -> String {
    STANDARD.encode(&crc.to_be_bytes()[8 - length..])
}

/// The checksum of two stretches of bytes one after the other, from the checksum of each and the length of the second, bytes.
/// None for algorithms that cannot tell (the SHA family), and for what is no checksum.
pub fn combine(algorithm: Algorithm, first: &str, second: &str, second_bytes: u64) -> Option<String> {
    let crc = algorithm.crc()?;
    let read = |text: &str| {
        let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == algorithm.length())?;
        Some(bytes.iter().fold(0u64, |crc, byte| crc << 8 | u64::from(*byte)))
    };
    Some(printed(checksum_combine(crc, read(first)?, read(second)?, second_bytes), algorithm.length()))
}

/// CRC-32 of bytes, as event streams have it.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogues: of `123456789`.
    #[test]
    fn check_values_hold() {
        for (algorithm, value) in [
            (Algorithm::Crc32, "y/Q5Jg=="),
            (Algorithm::Crc32c, "4waSgw=="),
            (Algorithm::Crc64Nvme, "rosUhgp5mIg="),
            (Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
        ] {
            let mut checksum = Checksum::new(algorithm);
            checksum.update(b"12345");
            checksum.update(b"6789");
            assert_eq!(checksum.finish(), value, "{}", algorithm.name());
            assert_eq!(STANDARD.decode(value).unwrap().len(), algorithm.length());
            assert_eq!(Algorithm::of_header(&algorithm.header().to_uppercase()), Some(algorithm));
        }
    }

    #[test]
    fn checksums_of_two_stretches_are_put_together() {
        let sum = |algorithm, bytes: &[u8]| {
            let mut checksum = Checksum::new(algorithm);
            checksum.update(bytes);
            checksum.finish()
        };
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let (first, second) = (sum(algorithm, b"12345"), sum(algorithm, b"6789"));
            assert_eq!(combine(algorithm, &first, &second, 4), Some(sum(algorithm, b"123456789")), "{algorithm:?}");
            assert_eq!(combine(algorithm, "", &second, 4), None);
        }
        assert_eq!(combine(Algorithm::Sha1, &sum(Algorithm::Sha1, b"1"), &sum(Algorithm::Sha1, b"2"), 1), None);
    }
}
