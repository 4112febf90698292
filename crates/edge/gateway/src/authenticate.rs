//! Who sends a request.
//!
//! A key that exists is always verified. What proves nothing, no signature or an unknown key, is believed on a loopback
//! listener only, and never over an account with keys somebody made. Inside a sandbox the listener says who speaks.

use base::{Account, Fault, Principal, Region};
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
    pub(crate) fn authenticate(&self, arrival: &Arrival<'_>) -> Result<Caller, Fault> {
        let claim = sigv4::parse(&arrival.request)?;
        let region =
            claim.as_ref().and_then(|claim| claim.scope.region.parse().ok()).unwrap_or_else(Region::default_region);
        let principal = match (&arrival.connection.entrance.principal, claim) {
            (Some(principal), _) => principal.clone(),
            (None, Some(claim)) => self.signed(arrival, &claim)?,
            (None, None) => self.unproven(arrival, Account::DEFAULT, || sigv4::missing(&arrival.request))?,
        };
        Ok(Caller { principal, region })
    }

    /// Who visits a public site: anonymous without a signature, and where a signature proves nothing.
    pub(crate) fn visitor(&self, arrival: &Arrival<'_>) -> Result<Principal, Fault> {
        if let Some(principal) = &arrival.connection.entrance.principal {
            return Ok(principal.clone());
        }
        match sigv4::parse(&arrival.request) {
            Ok(Some(claim)) if self.options.keys.find(&claim.key_id).is_some() => self.signed(arrival, &claim),
            // An application behind a public site may use `Authorization` and these query names as it likes.
            _ => Ok(Principal::Anonymous),
        }
    }

    fn signed(&self, arrival: &Arrival<'_>, claim: &Claim) -> Result<Principal, Fault> {
        let Some(credential) = self.options.keys.find(&claim.key_id) else {
            let account = claim.key_id.parse().unwrap_or(Account::DEFAULT);
            return self.unproven(arrival, account, || sigv4::unknown_key(&arrival.request));
        };
        let now = self.options.clocks.signing();
        if credential.expires.is_some_and(|end| end <= now) {
            return Err(sigv4::wrong_token(&arrival.request, true));
        }
        if !claim.token_is(credential.session_token.as_deref()) {
            return Err(sigv4::wrong_token(&arrival.request, false));
        }
        claim.verify(&arrival.request, &credential.secret, now)?;
        Ok(credential.principal)
    }

    /// A caller who proves nothing: the account's root where that is believed, else `refusal`.
    fn unproven(
        &self,
        arrival: &Arrival<'_>,
        account: Account,
        refusal: impl FnOnce() -> Fault,
    ) -> Result<Principal, Fault> {
        if !loopback(arrival.connection.entrance.via) || self.options.keys.account_has_keys(account) {
            return Err(refusal());
        }
        origin::check(arrival, &self.options.hosts)?;
        Ok(Principal::Root { account, verified: false })
    }
}
