//! The access control list that comes with a new object or bucket.

use base::Fault;
use door::Context;

use super::canonical_id;
use super::configuration::ACLS;
use crate::rules::acl::{self, Given, Of};
use crate::settled::Ownership;
use crate::types::Bucket;
use crate::{Objects, faults};

impl Objects {
    /// The access control list that a request gives an object by a name or by grants; none for the one every object has.
    ///
    /// # Errors
    /// AccessControlListNotSupported, AccessDenied where public lists are blocked, InvalidArgument.
    pub(super) fn given_acl(
        &self,
        bucket: &Bucket,
        context: &Context,
        canned: Option<&str>,
        grants: [&Option<String>; 4],
    ) -> Result<Option<String>, Fault> {
        let [full_control, read, read_acp, write_acp] = grants.map(|grant| grant.as_deref());
        let given = Given { canned, full_control, read, read_acp, write_acp, write: None };
        if given.is_none() {
            return Ok(None);
        }
        let settled = bucket.settled();
        let bucket_owner = canonical_id(&bucket.owner);
        if settled.ownership == Ownership::Enforced {
            // The one list that says what holds anyhow.
            return if canned == Some("bucket-owner-full-control") { Ok(None) } else { Err(no_lists()) };
        }
        let owner = canonical_id(context.account.as_str());
        let Some(list) = given.list(Of::Object, &owner, &bucket_owner)? else { return Ok(None) };
        if acl::is_public(&list) && settled.block.block_public_acls == Some(true) {
            let caller = context.principal.arn();
            return Err(faults::blocked(&caller, "s3:PutObjectAcl", "*", ACLS, "BlockPublicAcls"));
        }
        Ok(Some(wire::keep(&list)))
    }
}

/// AccessControlListNotSupported.
pub(super) fn no_lists() -> Fault {
    Fault::new("AccessControlListNotSupported", 400, "The bucket does not allow ACLs")
}
