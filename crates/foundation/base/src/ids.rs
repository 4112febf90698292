use std::fmt;
use std::str::FromStr;

use crate::Rng;

/// A twelve-digit AWS account id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Account([u8; 12]);

impl Account {
    /// The account of unsigned and unknown callers: `000000000000`.
    pub const DEFAULT: Self = Self(*b"000000000000");

    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only digits are stored")
    }
}

impl FromStr for Account {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let digits: [u8; 12] = text.as_bytes().try_into().map_err(|_| ())?;
        if digits.iter().all(u8::is_ascii_digit) { Ok(Self(digits)) } else { Err(()) }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An AWS region name such as `us-east-1`: lower-case letters, digits and dashes, at most 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(std::sync::Arc<str>);

impl Region {
    /// The region of requests that name none.
    pub fn default_region() -> Self {
        Self("us-east-1".into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text.into())) } else { Err(()) }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A random version-4 UUID in AWS's dashed form: of a request, an invocation or a revision.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 36]);

impl RequestId {
    /// A fresh one.
    pub fn new(rng: &dyn Rng) -> Self {
        let mut raw = [0u8; 16];
        rng.fill(&mut raw);
        raw[6] = raw[6] & 0x0f | 0x40;
        raw[8] = raw[8] & 0x3f | 0x80;
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (i, byte) in raw.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = b"0123456789abcdef"[usize::from(byte >> 4)];
            text[at + 1] = b"0123456789abcdef"[usize::from(byte & 15)];
            at += 2;
        }
        Self(text)
    }

    /// The 36 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only hexadecimal digits and dashes are stored")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RequestId {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let raw: [u8; 36] = text.as_bytes().try_into().map_err(|_| ())?;
        let fits = raw.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
        if fits { Ok(Self(raw)) } else { Err(()) }
    }
}

/// Names one execution environment (sandbox) for the life of the platform. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentId(pub u64);

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// The value of an `X-Amzn-Trace-Id` header: `Root=1-…;Parent=…;Sampled=0`. Carried, not interpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeader(pub String);

/// The header's field for them. X-Ray lets a header carry fields of others.
const HOPS: &str = "Hops=";

impl TraceHeader {
    /// A fresh, unsampled root; `now_s` is seconds since the epoch.
    /// Source: AWS X-Ray developer guide, "Tracing header".
    pub fn root(rng: &dyn Rng, now_s: u64) -> Self {
        let mut raw = [0u8; 20];
        rng.fill(&mut raw);
        let (root, parent) = raw.split_at(12);
        let number = |bytes: &[u8]| bytes.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
        let (root, parent) = (number(root), number(parent));
        Self(format!("Root=1-{:08x}-{root:024x};Parent={parent:016x};Sampled=0", now_s as u32))
    }

    /// The header with the number of deliveries that led here, so that a chain which comes back to itself ends.
    #[must_use]
    pub fn after(self, hops: u16) -> Self {
        Self(format!("{};{HOPS}{hops}", self.0))
    }

    /// How many deliveries led to what carries this header; 0 where it does not say.
    pub fn hops(header: &str) -> u16 {
        let field = header.split(';').find_map(|field| field.trim().strip_prefix(HOPS));
        field.and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}
