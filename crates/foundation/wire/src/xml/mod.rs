//! XML: what restXml reads, and what restXml, awsQuery and ec2Query print.

mod read;
mod tree;
mod write;

pub(crate) use read::At;
pub(crate) use tree::Tree;
pub(crate) use write::{Writer, error, escape};

/// What stands before the root element.
pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// The texts of two children of every element of a name, wherever it stands in a document; none for what is no document or
/// lacks one of the two.
pub fn pairs_of_xml(document: &[u8], element: &str, children: [&str; 2]) -> Option<Vec<[String; 2]>> {
    let tree = Tree::parse(document).ok()?;
    let (mut open, mut pairs) = (vec![tree.root()], Vec::new());
    while let Some(at) = open.pop() {
        if tree.name(at) == element {
            let text = |name| Some(tree.content(tree.child(at, name)?).to_owned());
            pairs.push([text(children[0])?, text(children[1])?]);
        } else {
            open.extend(tree.children(at));
        }
    }
    pairs.reverse();
    Some(pairs)
}

/// A document of texts under one root.
pub fn xml_document(root: &str, fields: &[(&str, &str)]) -> bytes::Bytes {
    let mut out = format!("{DECLARATION}<{root}>");
    for (name, text) in fields {
        write::field(&mut out, name, text);
    }
    out.push_str(&format!("</{root}>"));
    out.into()
}
