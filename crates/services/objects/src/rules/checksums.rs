//! What a client says of the bytes it sends. Source: Amazon S3 User Guide, "Checking object integrity".

use base::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wire::checksum::Algorithm;

use crate::faults;
use crate::types::Sum;

/// What is computed where a client asks for nothing.
pub(crate) const DEFAULT: Algorithm = Algorithm::Crc64Nvme;

/// What a client says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    /// The algorithm it names.
    pub(crate) algorithm: Option<Algorithm>,
    /// The value it gives, base64.
    pub(crate) value: Option<(Algorithm, String)>,
    /// The MD5 of all bytes.
    pub(crate) md5: Option<[u8; 16]>,
}

/// The algorithm with this name.
///
/// # Errors
/// InvalidRequest; NotImplemented for the ones that exist and are not here.
pub(crate) fn named(name: &str) -> Result<Algorithm, Fault> {
    let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name));
    known.ok_or_else(|| match name {
        "MD5" | "XXHASH64" | "XXHASH3" | "XXHASH128" => Fault::not_implemented(format_args!("the checksum {name}")),
        _ => faults::request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512]",
        ),
    })
}

impl Given {
    /// Reads what an input says: the algorithm's name, the values by algorithm, the MD5 in base64.
    ///
    /// # Errors
    /// InvalidDigest, InvalidRequest.
    pub(crate) fn of(
        algorithm: Option<&str>,
        values: Vec<(Algorithm, String)>,
        md5: Option<&str>,
    ) -> Result<Self, Fault> {
        let algorithm = algorithm.map(named).transpose()?;
        let mut values = values.into_iter();
        let value = values.next();
        if values.next().is_some() {
            let words = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(faults::request(words));
        }
        if let Some((given, value)) = &value {
            if algorithm.is_some_and(|named| named != *given) {
                return Err(faults::request("Value for x-amz-sdk-checksum-algorithm header is invalid."));
            }
            if STANDARD.decode(value).ok().is_none_or(|bytes| bytes.len() != given.length()) {
                return Err(faults::request(format!("Value for {} header is invalid.", given.header())));
            }
        }
        let md5 = md5.map(|text| {
            let bytes: Option<[u8; 16]> = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.ok_or_else(|| {
                Fault::new("InvalidDigest", 400, "The Content-MD5 you specified was invalid.").with("Content-MD5", text)
            })
        });
        Ok(Self { algorithm: value.as_ref().map(|(given, _)| *given).or(algorithm), value, md5: md5.transpose()? })
    }

    /// Whether what came in is what was said.
    ///
    /// # Errors
    /// BadDigest.
    pub(crate) fn check(&self, md5: &[u8; 16], sum: impl Fn(Algorithm) -> Option<String>) -> Result<(), Fault> {
        if let Some(wanted) = self.md5.filter(|wanted| wanted != md5) {
            let words = "The Content-MD5 you specified did not match what we received.";
            return Err(Fault::new("BadDigest", 400, words)
                .with("ExpectedDigest", STANDARD.encode(wanted))
                .with("CalculatedDigest", STANDARD.encode(md5)));
        }
        match &self.value {
            Some((algorithm, value)) if sum(*algorithm).as_ref() != Some(value) => {
                Err(faults::bad_digest(algorithm.name()))
            }
            _ => Ok(()),
        }
    }
}

/// A checksum of all bytes, as it is kept.
pub(crate) fn whole(algorithm: Algorithm, value: &str) -> Sum {
    Sum { algorithm: algorithm.name().to_owned(), value: value.to_owned(), composite: false }
}

impl Sum {
    /// AWS's word for what it is of.
    pub(crate) fn kind(&self) -> &'static str {
        if self.composite { "COMPOSITE" } else { "FULL_OBJECT" }
    }
}

/// The values that an input gives, by algorithm. The newest algorithms are refused by name.
macro_rules! given {
    ($input:expr) => {{
        let input = &mut $input;
        for (name, value) in [
            ("MD5", &input.checksum_md5),
            ("XXHASH64", &input.checksum_xxhash64),
            ("XXHASH3", &input.checksum_xxhash3),
            ("XXHASH128", &input.checksum_xxhash128),
        ] {
            if value.is_some() {
                $crate::rules::checksums::named(name)?;
            }
        }
        use wire::checksum::Algorithm as A;
        [
            (A::Crc32, input.checksum_crc32.take()),
            (A::Crc32c, input.checksum_crc32_c.take()),
            (A::Crc64Nvme, input.checksum_crc64_nvme.take()),
            (A::Sha1, input.checksum_sha1.take()),
            (A::Sha256, input.checksum_sha256.take()),
            (A::Sha512, input.checksum_sha512.take()),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?)))
        .collect::<Vec<_>>()
    }};
}

/// Puts a kept checksum into an output's members.
macro_rules! show {
    ($output:expr, $sum:expr) => {{
        let sum: &$crate::types::Sum = $sum;
        let place = match sum.algorithm.as_str() {
            "CRC32" => &mut $output.checksum_crc32,
            "CRC32C" => &mut $output.checksum_crc32_c,
            "SHA1" => &mut $output.checksum_sha1,
            "SHA256" => &mut $output.checksum_sha256,
            "SHA512" => &mut $output.checksum_sha512,
            _ => &mut $output.checksum_crc64_nvme,
        };
        *place = Some(sum.value.clone());
    }};
}

pub(crate) use {given, show};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_checked() {
        let crc = (Algorithm::Crc32, "y/Q5Jg==".to_owned());
        let given = Given::of(Some("CRC32"), vec![crc.clone()], None).unwrap();
        assert!(given.check(&[0; 16], |_| Some("y/Q5Jg==".into())).is_ok());
        assert_eq!(given.check(&[0; 16], |_| Some("AAAAAA==".into())).unwrap_err().code, "BadDigest");
        assert!(Given::of(Some("SHA1"), vec![crc.clone()], None).is_err(), "another algorithm");
        assert!(Given::of(None, vec![crc.clone(), (Algorithm::Sha1, String::new())], None).is_err(), "two");
        assert!(Given::of(None, vec![(Algorithm::Crc32, "AAAA".into())], None).is_err(), "too short");
        assert_eq!(Given::of(None, vec![], Some("AAAA")).unwrap_err().code, "InvalidDigest");
        assert_eq!(Given::of(Some("MD4"), vec![], None).unwrap_err().code, "InvalidRequest");
        assert_eq!(Given::of(Some("XXHASH3"), vec![], None).unwrap_err().code, "NotImplemented");
        let md5 = Given::of(None, vec![], Some("AAAAAAAAAAAAAAAAAAAAAA==")).unwrap();
        assert!(md5.check(&[0; 16], |_| None).is_ok());
        assert_eq!(md5.check(&[1; 16], |_| None).unwrap_err().code, "BadDigest");
    }
}
