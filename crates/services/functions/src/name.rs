//! How callers name functions: a name, a partial ARN or an ARN, each perhaps with a qualifier.

use base::{Account, Fault, Region};

use crate::faults;

/// Longest function name, characters. Source: AWS Lambda API reference, `CreateFunction`.
pub(crate) const NAME_LENGTH: usize = 64;
/// The version that can be changed.
pub(crate) const LATEST: &str = "$LATEST";

/// Where a function is: what its ARN says without a qualifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Whose it is.
    pub account: Account,
    /// Where it is.
    pub region: Region,
    /// Its name.
    pub name: String,
}

impl Address {
    /// The ARN without qualifier.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:{}:function:{}", self.region, self.account, self.name)
    }

    /// The ARN with a qualifier, if there is one.
    pub(crate) fn qualified(&self, qualifier: Option<&str>) -> String {
        match qualifier {
            Some(qualifier) => format!("{}:{qualifier}", self.arn()),
            None => self.arn(),
        }
    }
}

/// A function as a caller named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) address: Address,
    pub(crate) qualifier: Option<String>,
}

/// What a qualifier is by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Qualifier<'a> {
    /// None was given, or `$LATEST`.
    Latest,
    Version(u64),
    Alias(&'a str),
}

/// Tells versions from aliases: an alias is never all digits.
pub(crate) fn qualifier(text: Option<&str>) -> Qualifier<'_> {
    match text {
        None | Some(LATEST) => Qualifier::Latest,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            // No version has the number 0, and none is written with zeros before it.
            let number = text.parse().ok().filter(|_| !text.starts_with('0'));
            Qualifier::Version(number.unwrap_or_default())
        }
        Some(text) => Qualifier::Alias(text),
    }
}

/// The parts of a name in any of the forms the API takes.
/// Source: AWS Lambda API reference, "FunctionName: name formats".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) region: Option<&'a str>,
    pub(crate) account: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) qualifier: Option<&'a str>,
}

/// Takes a name apart; none when it has none of the forms.
pub(crate) fn parse(text: &str) -> Option<Parts<'_>> {
    let mut rest = text;
    let arn = rest.strip_prefix("arn:").and_then(|after| after.split_once(":lambda:"));
    if let Some((partition, after)) = arn {
        if !partition.starts_with("aws") || partition.contains(':') {
            return None;
        }
        rest = after;
    }
    let region = take(&mut rest, is_region);
    let account = take(&mut rest, |part| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_digit()));
    // A function may itself be called `function`: the word is a prefix only when a name follows it.
    take(&mut rest, |part| part == "function");
    let (name, qualifier) = match rest.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (rest, None),
    };
    let fits = is_name(name) && qualifier.is_none_or(is_qualifier);
    fits.then_some(Parts { region, account, name, qualifier })
}

/// Takes the part before the next colon when it is of the wanted kind.
fn take<'a>(rest: &mut &'a str, wanted: impl Fn(&str) -> bool) -> Option<&'a str> {
    let (part, after) = rest.split_once(':')?;
    if !wanted(part) {
        return None;
    }
    *rest = after;
    Some(part)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_qualifier(text: &str) -> bool {
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text == LATEST || text == "$LATEST.PUBLISHED" || word(text)
}

/// `us-east-1`, `us-gov-west-1`, `us-isob-east-1`: two letters, words, one digit.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return false };
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    first.len() == 2 && letters(first) && !middle.is_empty() && middle.iter().all(letters) && is_digit(last)
}

fn is_digit(text: &str) -> bool {
    matches!(text.as_bytes(), [digit] if digit.is_ascii_digit())
}

/// Resolves what a caller wrote in `FunctionName` and `Qualifier`, in the caller's account and region.
///
/// # Errors
/// AWS's words for a name that has no valid form, lies in another region or account, or contradicts the qualifier.
pub(crate) fn resolve(account: Account, region: &Region, text: &str, qualifier: Option<&str>) -> Result<Named, Fault> {
    let parts = parse(text).ok_or_else(|| faults::name_pattern(text))?;
    if let Some(other) = parts.region
        && other != region.as_str()
    {
        return Err(faults::not_found(format!(
            "Functions from '{other}' are not reachable in this region ('{region}')"
        )));
    }
    if parts.account.is_some_and(|other| other != account.as_str()) {
        return Err(faults::other_account(text));
    }
    let qualifier = qualifier.filter(|qualifier| !qualifier.is_empty());
    if let (Some(derived), Some(stated)) = (parts.qualifier, qualifier)
        && derived != stated
    {
        return Err(faults::invalid(
            "The derived qualifier from the function name does not match the specified qualifier.",
        ));
    }
    let address = Address { account, region: region.clone(), name: parts.name.to_owned() };
    Ok(Named { address, qualifier: qualifier.or(parts.qualifier).map(str::to_owned) })
}

/// As [`resolve`], for operations that act on a whole function.
///
/// # Errors
/// As [`resolve`], and AWS's words when a version or alias is named.
pub(crate) fn resolve_whole(account: Account, region: &Region, text: &str) -> Result<Address, Fault> {
    let named = resolve(account, region, text, None)?;
    if named.qualifier.is_some() {
        return Err(faults::invalid(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. \
             Please specify either a function name or an unqualified function ARN.",
        ));
    }
    Ok(named.address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn here() -> (Account, Region) {
        (Account::DEFAULT, Region::default_region())
    }

    #[test]
    fn every_form_names_the_same_function() {
        let (account, region) = here();
        let expected = Address { account, region: region.clone(), name: "thumb".into() };
        for text in [
            "thumb",
            "function:thumb",
            "000000000000:function:thumb",
            "000000000000:thumb",
            "us-east-1:000000000000:function:thumb",
            "arn:aws:lambda:us-east-1:000000000000:function:thumb",
        ] {
            let named = resolve(account, &region, text, None).unwrap();
            assert_eq!((named.address, named.qualifier), (expected.clone(), None), "{text}");
            let named = resolve(account, &region, &format!("{text}:$LATEST"), None).unwrap();
            assert_eq!((named.address, named.qualifier), (expected.clone(), Some(LATEST.into())), "{text}");
        }
        assert_eq!(expected.arn(), "arn:aws:lambda:us-east-1:000000000000:function:thumb");
    }

    #[test]
    fn qualifiers_are_told_apart_by_their_form() {
        assert_eq!(qualifier(None), Qualifier::Latest);
        assert_eq!(qualifier(Some(LATEST)), Qualifier::Latest);
        assert_eq!(qualifier(Some("12")), Qualifier::Version(12));
        for never in ["0", "007", "99999999999999999999999"] {
            assert_eq!(qualifier(Some(never)), Qualifier::Version(0), "{never}");
        }
        assert_eq!(qualifier(Some("v1")), Qualifier::Alias("v1"));
    }

    #[test]
    fn awkward_names_are_names() {
        assert_eq!(parse("function").unwrap().name, "function");
        assert_eq!(parse("123456789012").unwrap().name, "123456789012");
        assert_eq!(parse("us-east-1").unwrap().name, "us-east-1");
        assert_eq!(parse("thumb:live").unwrap().qualifier, Some("live"));
    }

    #[test]
    fn strangers_are_refused_in_words() {
        let (account, region) = here();
        let fault = |text, qualifier| resolve(account, &region, text, qualifier).unwrap_err();
        let other = fault("arn:aws:lambda:eu-west-1:000000000000:function:thumb", None);
        assert_eq!(other.message, "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')");
        assert_eq!(fault("111111111111:function:thumb", None).code, "AccessDeniedException");
        assert_eq!(fault("a b", None).code, "ValidationException");
        assert_eq!(
            fault("thumb:1", Some("2")).message,
            "The derived qualifier from the function name does not match the specified qualifier."
        );
        assert!(
            resolve_whole(account, &region, "thumb:1").unwrap_err().message.starts_with("This operation is permitted")
        );
    }

    proptest! {
        #[test]
        fn a_written_arn_reads_back(name in "[a-zA-Z0-9_-]{1,64}", qualifier in proptest::option::of("[a-zA-Z0-9_-]{1,20}")) {
            let (account, region) = here();
            let address = Address { account, region: region.clone(), name };
            let arn = address.qualified(qualifier.as_deref());
            let named = resolve(account, &region, &arn, None).unwrap();
            prop_assert_eq!(named, Named { address, qualifier });
        }

        #[test]
        fn nothing_panics_and_what_parses_is_clean(text in ".{0,200}") {
            if let Some(parts) = parse(&text) {
                prop_assert!(is_name(parts.name));
                prop_assert!(parts.qualifier.is_none_or(is_qualifier));
            }
        }
    }
}
