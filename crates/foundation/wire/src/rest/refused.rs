//! What a REST service answers to a request that does not fit.

use base::Fault;

use crate::value::Malformed;
use crate::{Kind, Member, Operation, Protocol};

/// What S3 says of every body it cannot use.
pub(crate) const MALFORMED_XML: &str =
    "The XML you provided was not well-formed or did not validate against our published schema";

/// Why a request was not read.
#[derive(Debug)]
pub(super) enum Refused {
    /// The body is not what the shape says.
    Body(Malformed),
    /// A label, parameter or header is not.
    Place { member: &'static Member, value: String, why: Malformed },
}

impl From<Malformed> for Refused {
    fn from(why: Malformed) -> Self {
        Self::Body(why)
    }
}

impl Refused {
    /// The fault in the service's own words.
    pub(super) fn fault(self, protocol: Protocol, operation: &'static Operation) -> Fault {
        match (protocol, self) {
            (Protocol::RestXml, Self::Body(_)) if operation.service.bare_errors => {
                Fault::new("MalformedXML", 400, MALFORMED_XML)
            }
            (Protocol::RestXml, Self::Place { member, value, .. }) if operation.service.bare_errors => {
                invalid_argument(member, value)
            }
            (Protocol::RestXml, Self::Body(why) | Self::Place { why, .. }) => Fault::new("MalformedInput", 400, why.0),
            (_, Self::Body(why) | Self::Place { why, .. }) => Fault::serialization(why.0),
        }
    }
}

/// S3's InvalidArgument: which argument, which value.
fn invalid_argument(member: &'static Member, value: String) -> Fault {
    let name = member.wire;
    let words = match (name, member.shape.kind) {
        ("partNumber", _) => "Part number must be an integer between 1 and 10000, inclusive".to_owned(),
        (_, Kind::Integer | Kind::Long) => format!("Provided {name} not an integer or within integer range"),
        _ => format!("The value provided for {name} is not valid"),
    };
    Fault::new("InvalidArgument", 400, words).with("ArgumentName", name).with("ArgumentValue", value)
}
