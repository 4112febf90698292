//! Roles as which functions are called.

use base::{Account, Fault, Principal};

use crate::faults;

/// What stands for whoever sent a request, where a role could.
pub(crate) const CALLER: &str = "arn:aws:iam::*:user/*";

/// As AWS names the sessions in which API Gateway acts.
const SESSION: &str = "BackplaneAssumeRoleSession";

/// Whether a text is the ARN of a role of an account.
///
/// # Errors
/// BadRequestException; NotImplemented for the caller's own credentials.
pub(crate) fn check(arn: &str) -> Result<(), Fault> {
    if arn.starts_with("arn:aws:iam::*:user/") {
        return Err(Fault::not_implemented("apigatewayv2: credentials of the caller (arn:aws:iam::*:user/*)"));
    }
    session(arn).map(drop).ok_or_else(|| faults::bad(format!("Invalid ARN specified for credentials: {arn}")))
}

/// Who acts as a role; none if the ARN names none.
pub(crate) fn session(arn: &str) -> Option<Principal> {
    let (account, role) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    let account: Account = account.parse().ok()?;
    let role = role.rsplit('/').next().filter(|role| !role.is_empty())?.to_owned();
    Some(Principal::Session { account, role, session: SESSION.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_from_what_is_none() {
        let arn = session("arn:aws:iam::000000000000:role/path/caller").unwrap().arn();
        assert_eq!(arn, "arn:aws:sts::000000000000:assumed-role/caller/BackplaneAssumeRoleSession");
        for wrong in [
            "",
            "caller",
            "arn:aws:iam::000000000000:role/",
            "arn:aws:iam::1:role/x",
            "arn:aws:iam::000000000000:user/x",
        ] {
            assert_eq!(check(wrong).unwrap_err().code, "BadRequestException", "{wrong}");
        }
        assert_eq!(check("arn:aws:iam::*:user/*").unwrap_err().code, "NotImplemented");
    }
}
