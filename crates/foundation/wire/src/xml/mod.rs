//! XML: what restXml reads, and what restXml, awsQuery and ec2Query print.

mod read;
mod tree;
mod write;

pub(crate) use read::At;
pub(crate) use tree::Tree;
pub(crate) use write::{Writer, error, escape};

/// What stands before the root element.
pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
