//! A test control: one input member that the door takes away, to see which test notices.

use std::str::FromStr;

use base::Fault;
use wire::{Operation, Structure};

use crate::Body;

/// One member of one operation's input, written `lambda:CreateFunction.Code.ZipFile`; `lambda:CreateFunction` means all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    service: String,
    operation: String,
    // Empty: every member.
    member: String,
}

impl FromStr for Dropped {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (service, rest) = text.split_once(':').ok_or_else(|| format!("{text} is not service:Operation.Member"))?;
        let (operation, member) = rest.split_once('.').unwrap_or((rest, ""));
        Ok(Self { service: service.into(), operation: operation.into(), member: member.into() })
    }
}

impl Dropped {
    /// Takes the member away from an input and its body, if they are of this operation.
    pub(crate) fn drop_from(
        &self,
        operation: &'static Operation,
        input: Box<dyn Structure>,
        body: &mut Body,
    ) -> Result<Box<dyn Structure>, Fault> {
        if self.operation != operation.name || self.service != operation.service.name {
            return Ok(input);
        }
        let members = operation.input_shape.members();
        if self.member.is_empty() || members.iter().any(|member| member.streaming && member.name == self.member) {
            *body = Body::Empty;
        }
        if self.member.is_empty() {
            return Ok((operation.input)());
        }
        wire::without(operation, &*input, &self.member).map_err(|error| Fault::internal(error.to_string()))
    }
}
