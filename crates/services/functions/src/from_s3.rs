//! Code that lies in a bucket: asked for as the caller, with the caller's own rights.
//!
//! Source: AWS Lambda API Reference, `FunctionCode` and `LayerVersionContentInput`.

use base::{Fault, RequestId};
use door::{Body, Call, Context, Input, Origin, Via};
use model::s3::{self, ops};
use wire::Op;

use crate::code::Kept;
use crate::{Functions, faults};

/// An archive: inline, or an object.
pub(crate) enum Archive {
    Inline(bytes::Bytes),
    Object { bucket: String, key: String, version: Option<String> },
}

impl Archive {
    /// What the members of a request say.
    ///
    /// # Errors
    /// AWS's words for none at all, for two at once, and for half of an object's name.
    pub(crate) fn of(
        inline: Option<bytes::Bytes>,
        (bucket, key, version): (Option<String>, Option<String>, Option<String>),
        operation: &str,
    ) -> Result<Self, Fault> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (some(bucket), some(key)) {
            (None, None) if version.is_none() => Ok(Self::Inline(crate::aws::inline(inline, operation)?)),
            _ if inline.is_some() => {
                Err(faults::invalid("Please do not provide other FunctionCode parameters when providing a ZipFile."))
            }
            (Some(bucket), Some(key)) => Ok(Self::Object { bucket, key, version: some(version) }),
            _ => Err(faults::invalid("Please provide both S3Bucket and S3Key.")),
        }
    }
}

impl Functions {
    /// Keeps the code of a request: checked, unpacked and durable when this answers.
    ///
    /// # Errors
    /// AWS's words for what S3 answers and for what cannot be unpacked; the store's faults.
    pub(crate) async fn take_in(&self, context: &Context, archive: Archive) -> Result<Kept, Fault> {
        let (bucket, key, version_id) = match archive {
            Archive::Inline(zip) => return self.code.keep(zip).await,
            Archive::Object { bucket, key, version } => (bucket, key, version),
        };
        let place = format!("{bucket}/{key}");
        let input = s3::GetObjectRequest { bucket: Some(bucket), key: Some(key), version_id, ..Default::default() };
        let call = Call {
            principal: context.principal.clone(),
            via: Via::Room("lambda"),
            origin: Origin { secure: true, form: false, ..context.origin.clone() },
            operation: ops::GetObject::ROW,
            input: Input::Typed(Box::new(input)),
            body: Body::Empty,
            region: context.region.clone(),
            request_id: RequestId::new(&*self.options.rng),
            deadline: context.deadline,
            depth: context.depth.saturating_add(1),
            trace: context.trace.clone(),
        };
        let reply = self.options.dispatch.call(call).await.map_err(|fault| refused(&fault, &place))?;
        self.code.keep_stream(reply.body).await
    }
}

/// What Lambda says of what S3 said.
fn refused(fault: &Fault, place: &str) -> Fault {
    let said = format!("S3 Error Code: {}. S3 Error Message: {}", fault.code, fault.message);
    match fault.status {
        500.. => fault.clone(),
        403 => faults::user(Fault::new(
            "AccessDeniedException",
            403,
            format!(
                "Your access has been denied by S3, please make sure your request credentials have permission to GetObject \
                 for {place}. {said}"
            ),
        )),
        _ => faults::invalid(format!("Error occurred while GetObject. {said}")),
    }
}
