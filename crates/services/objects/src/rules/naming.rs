//! Which names buckets and objects may have. Source: Amazon S3 User Guide, "General purpose bucket naming rules" and "Naming
//! Amazon S3 objects".

use base::Fault;

use crate::limits::KEY_BYTES;

/// Beginnings that AWS keeps for itself.
const PREFIXES: [&str; 2] = ["xn--", "sthree-"];
/// Endings that AWS keeps for itself.
const SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// Whether a bucket may be called so.
///
/// # Errors
/// InvalidBucketName.
pub(crate) fn check_bucket(name: &str) -> Result<(), Fault> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let fits = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| plain(*byte) || matches!(byte, b'.' | b'-'))
        && bytes.first().copied().is_some_and(plain)
        && bytes.last().copied().is_some_and(plain)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    if fits {
        return Ok(());
    }
    Err(Fault::new("InvalidBucketName", 400, "The specified bucket is not valid.").with("BucketName", name))
}

/// Whether an object may be called so.
///
/// # Errors
/// KeyTooLongError.
pub(crate) fn check_key(key: &str) -> Result<(), Fault> {
    if key.len() <= KEY_BYTES {
        return Ok(());
    }
    Err(Fault::new("KeyTooLongError", 400, "Your key is too long")
        .with("Size", key.len().to_string())
        .with("MaxSizeAllowed", KEY_BYTES.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for good in ["abc", "my-bucket", "my.bucket.1", "123", "a-b", "amzn-s3-demo-bucket", &"a".repeat(63)] {
            assert!(check_bucket(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Abc",
            "a_b",
            "-ab",
            "ab-",
            ".ab",
            "a..b",
            "192.168.1.1",
            "xn--a",
            "a-s3alias",
            "a--ol-s3",
            "a--x-s3",
            "über",
            &"a".repeat(64),
        ] {
            assert_eq!(check_bucket(bad).unwrap_err().code, "InvalidBucketName", "{bad}");
        }
        assert!(check_key(&"é".repeat(512)).is_ok());
        assert_eq!(check_key(&"é".repeat(513)).unwrap_err().code, "KeyTooLongError");
    }
}
