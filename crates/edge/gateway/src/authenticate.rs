//! Who sends a request.
//!
//! A key that exists is always verified. What proves nothing, no signature or an unknown key, is believed on a loopback
//! listener only, and never over an account with keys somebody made. Inside a sandbox the listener says who speaks.

use base::{Account, Fault, Principal, Region};
use wire::Protocol;
use wire::sigv4::{self, Claim};

use crate::arrival::Arrival;
use crate::{Gateway, loopback, origin};

/// Who calls, and which region they address.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) region: Region,
}

impl Gateway {
    pub(crate) fn authenticate(&self, arrival: &Arrival<'_>, protocol: Protocol) -> Result<Caller, Fault> {
        let claim = sigv4::parse(&arrival.request)?;
        let region = claim.as_ref().and_then(|claim| claim.scope.region.parse().ok()).unwrap_or_else(Region::default_region);
        let principal = match (&arrival.connection.entrance.principal, claim) {
            (Some(principal), _) => principal.clone(),
            (None, Some(claim)) => self.signed(arrival, protocol, &claim)?,
            (None, None) => self.unproven(arrival, Account::DEFAULT, || missing(protocol))?,
        };
        Ok(Caller { principal, region })
    }

    /// Who visits a public site: anonymous without a signature, and where a signature proves nothing.
    pub(crate) fn visitor(&self, arrival: &Arrival<'_>) -> Result<Principal, Fault> {
        if let Some(principal) = &arrival.connection.entrance.principal {
            return Ok(principal.clone());
        }
        match sigv4::parse(&arrival.request) {
            Ok(Some(claim)) if self.options.keys.find(&claim.key_id).is_some() => {
                self.signed(arrival, Protocol::RestJson, &claim)
            }
            // An application behind a public site may use `Authorization` and these query names as it likes.
            _ => Ok(Principal::Anonymous),
        }
    }

    fn signed(&self, arrival: &Arrival<'_>, protocol: Protocol, claim: &Claim) -> Result<Principal, Fault> {
        let Some(credential) = self.options.keys.find(&claim.key_id) else {
            let account = claim.key_id.parse().unwrap_or(Account::DEFAULT);
            return self.unproven(arrival, account, || unknown(protocol));
        };
        let now = self.options.clocks.signing();
        if credential.expires.is_some_and(|end| end <= now) {
            return Err(expired(protocol));
        }
        if credential.session_token.as_deref() != claim.token.as_deref() {
            return Err(unknown(protocol));
        }
        claim.verify(&arrival.request, &credential.secret, now)?;
        Ok(credential.principal)
    }

    /// A caller who proves nothing: the account's root where that is believed, else `refusal`.
    fn unproven(&self, arrival: &Arrival<'_>, account: Account, refusal: impl FnOnce() -> Fault) -> Result<Principal, Fault> {
        if !loopback(arrival.connection.entrance.via) || self.options.keys.account_has_keys(account) {
            return Err(refusal());
        }
        origin::check(arrival, &self.options.hosts)?;
        Ok(Principal::Root { account, verified: false })
    }
}

/// Query services name these errors differently from the others.
/// Source: AWS General Reference, "Common errors" of IAM and of Lambda.
fn is_query(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Query | Protocol::Ec2Query | Protocol::RestXml)
}

fn unknown(protocol: Protocol) -> Fault {
    let code = if is_query(protocol) { "InvalidClientTokenId" } else { "UnrecognizedClientException" };
    Fault::new(code, 403, "The security token included in the request is invalid.")
}

fn missing(protocol: Protocol) -> Fault {
    let code = if is_query(protocol) { "MissingAuthenticationToken" } else { "MissingAuthenticationTokenException" };
    Fault::new(code, 403, "Missing Authentication Token")
}

fn expired(protocol: Protocol) -> Fault {
    let code = if is_query(protocol) { "ExpiredToken" } else { "ExpiredTokenException" };
    Fault::new(code, 403, "The security token included in the request is expired")
}
