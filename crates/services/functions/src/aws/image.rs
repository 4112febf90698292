//! Container images as code: checked, kept and shown. They do not run here yet.

use base::Fault;
use model::lambda as aws;
use store::Digest;

use super::{some_of, some_text};
use crate::faults;
use crate::types::{Code, Image, ImageConfig, Settings};

/// What has no meaning for an image.
fn not_of_images() -> Fault {
    faults::invalid("Please don't provide handler or runtime or layer when the intended function PackageType is Image.")
}

/// The image that a new function is to be made of; none for an archive.
///
/// # Errors
/// AWS's words for a package type that contradicts the code.
pub(super) fn requested(input: &aws::CreateFunctionRequest) -> Result<Option<Image>, Fault> {
    let code = input.code.as_ref();
    let uri = code.and_then(|code| code.image_uri.clone()).filter(|uri| !uri.is_empty());
    if input.package_type.as_deref() != Some("Image") {
        if uri.is_some() {
            let words = "Please do not provide ImageUri when creating a function with packageType Zip.";
            return Err(faults::invalid(words));
        }
        return zip_only(input.image_config.as_ref()).map(|()| None);
    }
    let archive = code.is_some_and(|code| code.zip_file.is_some() || code.s3_bucket.is_some());
    let uri = uri
        .filter(|_| !archive)
        .ok_or_else(|| faults::invalid("Please provide ImageUri when creating a function with packageType Image."))?;
    if some_text(input.runtime.as_ref()) || some_text(input.handler.as_ref()) || some_of(input.layers.as_ref()) {
        return Err(not_of_images());
    }
    Ok(Some(Image { uri, config: input.image_config.clone().map(config).unwrap_or_default() }))
}

/// An image's configuration belongs to no archive.
fn zip_only(config: Option<&aws::ImageConfig>) -> Result<(), Fault> {
    match config {
        Some(_) => {
            Err(faults::invalid("Please don't provide ImageConfig when the intended function PackageType is Zip."))
        }
        None => Ok(()),
    }
}

/// Whether a change of settings fits what a function is made of.
///
/// # Errors
/// AWS's words when it does not.
pub(super) fn fits(input: &aws::UpdateFunctionConfigurationRequest, settings: &Settings) -> Result<(), Fault> {
    if settings.image.is_none() {
        return zip_only(input.image_config.as_ref());
    }
    if some_text(input.runtime.as_ref()) || some_text(input.handler.as_ref()) || some_of(input.layers.as_ref()) {
        return Err(not_of_images());
    }
    Ok(())
}

/// The image that a function is to be made of from now on; none for an archive.
///
/// # Errors
/// AWS's words for an image where there was an archive, and the other way round.
pub(super) fn updated(settings: &Settings, uri: Option<String>, archive: bool) -> Result<Option<Image>, Fault> {
    match (&settings.image, uri.filter(|uri| !uri.is_empty())) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            Err(faults::invalid("Please don't provide ImageUri when updating a function with packageType Zip."))
        }
        (Some(image), Some(uri)) if !archive => Ok(Some(Image { uri, config: image.config.clone() })),
        (Some(_), _) => {
            Err(faults::invalid("Please provide ImageUri when updating a function with packageType Image."))
        }
    }
}

pub(super) fn config(config: aws::ImageConfig) -> ImageConfig {
    ImageConfig {
        entry_point: config.entry_point.unwrap_or_default(),
        command: config.command.unwrap_or_default(),
        working_directory: config.working_directory.filter(|folder| !folder.is_empty()),
    }
}

/// An image's configuration as AWS shows it: none when it says nothing.
pub(super) fn shown(image: &Image) -> Option<aws::ImageConfigResponse> {
    if image.config == ImageConfig::default() {
        return None;
    }
    let given = |list: &Vec<String>| Some(list.clone()).filter(|list| !list.is_empty());
    let image_config = aws::ImageConfig {
        entry_point: given(&image.config.entry_point),
        command: given(&image.config.command),
        working_directory: image.config.working_directory.clone(),
    };
    Some(aws::ImageConfigResponse { image_config: Some(image_config), error: None })
}

/// What names an image as code: the digest in its URI, or one of the URI.
pub(super) fn code(image: &Image) -> Code {
    let named = image.uri.split_once("@sha256:").and_then(|(_, digest)| digest.parse::<Digest>().ok());
    let digest = named.unwrap_or_else(|| Digest::of(image.uri.as_bytes()));
    Code { sha256: digest.to_string(), size_bytes: 0 }
}

/// Where GetFunction says an image is.
pub(super) fn location(image: &Image, code: &Code) -> aws::FunctionCodeLocation {
    let repository = image.uri.split('@').next().unwrap_or_default();
    let repository = match repository.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        _ => repository,
    };
    aws::FunctionCodeLocation {
        repository_type: Some("ECR".into()),
        image_uri: Some(image.uri.clone()),
        resolved_image_uri: Some(format!("{repository}@sha256:{}", code.sha256)),
        ..aws::FunctionCodeLocation::default()
    }
}
