//! What is known of an object besides its bytes: GetObjectAttributes.

use std::sync::Arc;

use base::Fault;
use door::{Answer, Body, Context, Handle};
use model::s3::{self, ops};
use store::Snapshot;

use super::date;
use super::read::{may_open, of_version, readable};
use crate::aws::given::customer;
use crate::content::parts_of;
use crate::rules::checksums;
use crate::types::{Object, Sum};
use crate::{Objects, faults, limits};

/// What may be asked for.
const KNOWN: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

impl Handle<ops::GetObjectAttributes> for Objects {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: s3::GetObjectAttributesRequest,
        _: Body,
    ) -> Result<Answer<s3::GetObjectAttributesOutput>, Fault> {
        let place = self.place(input.bucket, input.key, input.expected_bucket_owner.as_deref())?;
        let asked: Vec<&str> =
            input.object_attributes.iter().flatten().flat_map(|names| names.split(',')).map(str::trim).collect();
        if let Some(other) = asked.iter().find(|name| !KNOWN.contains(name)) {
            return Err(faults::argument("Invalid attribute name specified.", "x-amz-object-attributes", other));
        }
        let customer = customer!(input)?;
        let page = Page::of(input.max_parts, input.part_number_marker)?;
        let view = self.kv.snapshot()?;
        let version = readable(&*view, &place, input.version_id.as_deref())?;
        let object = &of_version(&place, &version, input.version_id.is_some(), "GET")?;
        may_open(object, customer.as_ref())?;
        let wants = |name: &str| asked.contains(&name);
        let output = s3::GetObjectAttributesOutput {
            last_modified: Some(date(version.modified_ms)),
            version_id: version.id.clone(),
            // Without quotes, unlike everywhere else.
            e_tag: wants("ETag").then(|| object.etag.clone()),
            checksum: object.checksum.as_ref().filter(|_| wants("Checksum")).map(checksum),
            object_parts: if wants("ObjectParts") { parts(&*view, object, &page)? } else { None },
            storage_class: wants("StorageClass")
                .then(|| object.storage_class.clone().unwrap_or_else(|| "STANDARD".into())),
            object_size: wants("ObjectSize").then_some(object.content.size_bytes as i64),
            ..s3::GetObjectAttributesOutput::default()
        };
        Ok(output.into())
    }
}

fn checksum(sum: &Sum) -> s3::Checksum {
    let mut output = s3::Checksum { checksum_type: Some(sum.kind().to_owned()), ..s3::Checksum::default() };
    checksums::show!(output, sum);
    output
}

/// Which parts are listed.
struct Page {
    most: i64,
    /// Behind the part with this number.
    marker: i64,
}

impl Page {
    /// # Errors
    /// InvalidArgument.
    fn of(most: Option<i64>, marker: Option<i64>) -> Result<Self, Fault> {
        let checked = |given: Option<i64>, default: i64, name: &str| {
            let given = given.unwrap_or(default);
            let words = format!("Argument {name} must be an integer between 0 and 2147483647");
            if given < 0 { Err(faults::argument(words, name, &given.to_string())) } else { Ok(given) }
        };
        let most = checked(most, limits::PAGE, "max-parts")?.min(limits::PAGE);
        Ok(Self { most, marker: checked(marker, 0, "part-number-marker")? })
    }
}

/// The parts of an object that has some: how many, and each one where it has a checksum of its own.
fn parts(view: &dyn Snapshot, object: &Object, page: &Page) -> Result<Option<s3::GetObjectAttributesParts>, Fault> {
    let Some(count) = object.parts else { return Ok(None) };
    let mut output = s3::GetObjectAttributesParts {
        total_parts_count: Some(count.into()),
        ..s3::GetObjectAttributesParts::default()
    };
    if !object.checksum.as_ref().is_some_and(|sum| sum.composite) {
        return Ok(Some(output));
    }
    let mut shown = Vec::new();
    let mut truncated = false;
    for part in parts_of(view, &object.content)?.into_iter().filter(|part| i64::from(part.number) > page.marker) {
        truncated = shown.len() as i64 == page.most;
        if truncated {
            break;
        }
        let mut one = s3::ObjectPart {
            part_number: Some(part.number.into()),
            size: Some(part.content.size_bytes as i64),
            ..s3::ObjectPart::default()
        };
        if let Some(sum) = &part.checksum {
            checksums::show!(one, sum);
        }
        shown.push(one);
    }
    output.part_number_marker = Some(page.marker);
    output.next_part_number_marker = Some(shown.last().and_then(|part| part.part_number).unwrap_or(0));
    output.max_parts = Some(page.most);
    output.is_truncated = Some(truncated);
    output.parts = (!shown.is_empty()).then_some(shown);
    Ok(Some(output))
}
