//! Whether texts and numbers are within AWS's bounds. The model of this service names them and says no more.

use std::collections::BTreeMap;

use base::Fault;

use crate::{faults, limits};

/// A text of so many characters.
///
/// # Errors
/// BadRequestException.
pub(crate) fn length(member: &str, value: Option<&str>, least: usize, most: usize) -> Result<(), Fault> {
    let Some(value) = value else { return Ok(()) };
    let count = value.chars().count();
    if count < least || count > most {
        return Err(faults::bad(format!(
            "Invalid {member} specified: it has {count} characters and must have between {least} and {most}"
        )));
    }
    Ok(())
}

/// The name of a stage: `$default`, or letters, digits, hyphens and underscores.
///
/// # Errors
/// BadRequestException.
pub(crate) fn stage_name(name: &str) -> Result<(), Fault> {
    let plain = !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if plain || name == "$default" {
        return Ok(());
    }
    Err(faults::bad(
        "Invalid stage name. Only a-z, A-Z, 0-9, hyphen, underscore and $default are allowed in the stage name, of at most 128 characters.",
    ))
}

/// Tags of an API or stage.
///
/// # Errors
/// BadRequestException.
pub(crate) fn tags(tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    for (key, value) in tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(faults::bad("Tag keys starting with aws: are reserved for system use"));
        }
        length("tag key", Some(key), 1, 128)?;
        length("tag value", Some(value), 0, 256)?;
    }
    if tags.len() > limits::TAGS {
        return Err(faults::too_many("tags", limits::TAGS));
    }
    Ok(())
}

/// The variables of a stage.
///
/// # Errors
/// BadRequestException.
pub(crate) fn variables(variables: &BTreeMap<String, String>) -> Result<(), Fault> {
    if variables.len() > limits::STAGE_VARIABLES {
        return Err(faults::too_many("stage variables", limits::STAGE_VARIABLES));
    }
    for (name, value) in variables {
        length("stage variable name", Some(name), 1, limits::VARIABLE_NAME_CHARACTERS)?;
        length("stage variable value", Some(value), 0, limits::VARIABLE_CHARACTERS)?;
        let fits = value.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._~:/?#&=,".contains(letter));
        if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') || !fits {
            return Err(faults::bad(format!(
                "Stage variable {name} is invalid: names have letters, digits and underscores, values match [A-Za-z0-9-._~:/?#&=,]+"
            )));
        }
    }
    Ok(())
}
