//! Access control lists of buckets and objects.

use base::Fault;
use door::Context;

use super::refuse;
use crate::Objects;
use crate::types::Bucket;

impl Objects {
    /// The access control list that a request gives an object by a name or by grants; none for the one every object has.
    ///
    /// # Errors
    /// NotImplemented.
    pub(super) fn given_acl(
        &self,
        _bucket: &Bucket,
        _context: &Context,
        canned: Option<&str>,
        grants: [&Option<String>; 4],
    ) -> Result<Option<String>, Fault> {
        refuse(&[
            ("ACL", canned.is_some_and(|canned| canned != "private" && canned != "bucket-owner-full-control")),
            ("grants", grants.iter().any(|grant| grant.is_some())),
        ])?;
        Ok(None)
    }
}
