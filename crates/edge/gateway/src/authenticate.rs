//! Who sends a request.
//!
//! A key that exists is always verified. What proves nothing, no signature or an unknown key, is believed on a loopback
//! listener only, and never over an account with keys somebody made. Inside a sandbox the listener says who speaks, unless
//! a key that exists signed: a function that assumed another role is then that role.

use base::{Account, Fault, Principal, Region};
use door::{Credential, Origin, Via};
use wire::sigv2;
use wire::sigv4::{self, Claim};

use crate::arrival::Arrival;
use crate::{Gateway, loopback, origin};

/// Who calls, and which region they address.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) region: Region,
    pub(crate) origin: Origin,
}

impl Gateway {
    pub(crate) fn authenticate(&self, arrival: &Arrival<'_>) -> Result<Caller, Fault> {
        let claim = sigv4::parse(&arrival.request)?;
        if let Some(claim) = sigv2::parse(&arrival.request).filter(|_| claim.is_none()) {
            return self.by_version_2(arrival, &claim);
        }
        let region =
            claim.as_ref().and_then(|claim| claim.scope.region.parse().ok()).unwrap_or_else(Region::default_region);
        let mut origin = origin_of(arrival);
        let principal = match (&arrival.connection.entrance.principal, &claim) {
            (Some(inside), claim) => self.within(arrival, inside, claim.as_ref(), &mut origin)?,
            (None, Some(claim)) => {
                self.known(arrival, claim, &mut origin).unwrap_or_else(|| self.unknown(arrival, claim))?
            }
            (None, None) => match self.unproven(arrival, Account::DEFAULT, || sigv4::missing(&arrival.request)) {
                // Some objects are for everybody: the policies say which.
                Err(_) if arrival.stored => Principal::Anonymous,
                believed => believed?,
            },
        };
        Ok(Caller { principal, region, origin })
    }

    /// Who signed a presigned URL by Signature Version 2.
    fn by_version_2(&self, arrival: &Arrival<'_>, claim: &sigv2::Claim) -> Result<Caller, Fault> {
        let (region, mut origin) = (Region::default_region(), origin_of(arrival));
        let Some(credential) = self.options.keys.find(&claim.key_id) else {
            let inside = arrival.connection.entrance.principal.clone();
            let account = claim.key_id.parse().unwrap_or(Account::DEFAULT);
            let unknown = || self.unproven(arrival, account, || sigv4::unknown_key(&arrival.request));
            let principal = inside.map_or_else(unknown, Ok)?;
            return Ok(Caller { principal, region, origin });
        };
        self.usable(arrival, &credential, claim.token.as_deref() == credential.session_token.as_deref())?;
        let path = self.addressed(arrival).path(&arrival.request.path).to_owned();
        claim.verify(&arrival.request, &path, &credential.secret, self.options.clocks.signing())?;
        origin.key_id = Some(claim.key_id.clone());
        Ok(Caller { principal: credential.principal, region, origin })
    }

    /// Whether a key that exists may sign now; `with_token` says whether its token came along.
    pub(crate) fn usable(&self, arrival: &Arrival<'_>, credential: &Credential, with_token: bool) -> Result<(), Fault> {
        if credential.void {
            return Err(sigv4::unknown_key(&arrival.request));
        }
        if credential.expires.is_some_and(|end| end <= self.options.clocks.signing()) {
            return Err(sigv4::wrong_token(&arrival.request, true));
        }
        if !with_token {
            return Err(sigv4::wrong_token(&arrival.request, false));
        }
        Ok(())
    }

    /// Who speaks inside a sandbox: the function, or whom a key that exists names, since a function may assume a role.
    /// A key that does not exist, or none, leaves the function who it is; so does its own, when that has expired.
    fn within(
        &self,
        arrival: &Arrival<'_>,
        inside: &Principal,
        claim: Option<&Claim>,
        origin: &mut Origin,
    ) -> Result<Principal, Fault> {
        let Some(claim) = claim else { return Ok(inside.clone()) };
        match self.known(arrival, claim, origin) {
            Some(Ok(principal)) => Ok(principal),
            Some(Err(fault)) => match self.options.keys.find(&claim.key_id) {
                Some(own) if own.principal == *inside => Ok(inside.clone()),
                _ => Err(fault),
            },
            None => Ok(inside.clone()),
        }
    }

    /// Who visits a public site: anonymous without a signature, and where a signature proves nothing.
    pub(crate) fn visitor(&self, arrival: &Arrival<'_>) -> Result<(Principal, Origin), Fault> {
        let mut origin = origin_of(arrival);
        let claim = sigv4::parse(&arrival.request).ok().flatten();
        let principal = match &arrival.connection.entrance.principal {
            Some(inside) => self.within(arrival, inside, claim.as_ref(), &mut origin)?,
            // An application behind a public site may use `Authorization` and these query names as it likes.
            None => {
                claim.and_then(|claim| self.known(arrival, &claim, &mut origin)).unwrap_or(Ok(Principal::Anonymous))?
            }
        };
        Ok((principal, origin))
    }

    /// Whom a signature by a key that exists names; none if the key does not exist.
    fn known(&self, arrival: &Arrival<'_>, claim: &Claim, origin: &mut Origin) -> Option<Result<Principal, Fault>> {
        let credential = self.options.keys.find(&claim.key_id)?;
        let verified = self.verify(arrival, claim, &credential);
        if verified.is_ok() {
            origin.key_id = Some(claim.key_id.clone());
        }
        Some(verified.map(|()| credential.principal))
    }

    fn verify(&self, arrival: &Arrival<'_>, claim: &Claim, credential: &Credential) -> Result<(), Fault> {
        let now = self.options.clocks.signing();
        self.usable(arrival, credential, claim.token_is(credential.session_token.as_deref()))?;
        if arrival.streams {
            return claim.verify_head(&arrival.request, &credential.secret, now);
        }
        claim.verify(&arrival.request, &credential.secret, now)
    }

    fn unknown(&self, arrival: &Arrival<'_>, claim: &Claim) -> Result<Principal, Fault> {
        let account = claim.key_id.parse().unwrap_or(Account::DEFAULT);
        self.unproven(arrival, account, || sigv4::unknown_key(&arrival.request))
    }

    /// A caller who proves nothing: the account's root where that is believed, else `refusal`.
    pub(crate) fn unproven(
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

/// What the connection says of the caller.
pub(crate) fn origin_of(arrival: &Arrival<'_>) -> Origin {
    let via = arrival.connection.entrance.via;
    Origin {
        key_id: None,
        // Every sandbox has the same address of its own, which tells nothing.
        source_ip: (via != Via::Sandbox).then_some(arrival.connection.peer),
        user_agent: arrival.header("user-agent").map(str::to_owned),
        secure: arrival.connection.is_secure(),
        tls: arrival.connection.tls,
        form: false,
    }
}
