//! STS: who am I, and temporary credentials.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::{Account, Arn, Fault, Principal};
use door::{Answer, Body, Context, Handle};
use model::sts::{self, ops};

use crate::Identity;
use crate::faults::{denied, invalid, unsigned};
use crate::rules::credential;
use crate::rules::document::{Purpose, read};
use crate::types::{Role, Session, Speaker};

/// AssumeRole without DurationSeconds.
const ASSUME_S: i64 = 3600;
/// The longest session of a role assumed by a role session.
const CHAINED_S: i64 = 3600;
/// GetSessionToken of a user without DurationSeconds.
const TOKEN_S: i64 = 43_200;
/// The longest GetSessionToken of root.
const ROOT_TOKEN_S: i64 = 3600;

impl Handle<ops::GetCallerIdentity> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        _: sts::GetCallerIdentityRequest,
        _: Body,
    ) -> Result<Answer<sts::GetCallerIdentityResponse>, Fault> {
        let user_id = self.user_id(&context.principal)?;
        let output = sts::GetCallerIdentityResponse {
            user_id: Some(user_id),
            account: Some(context.account.to_string()),
            arn: Some(self.arn(&context.principal)),
        };
        Ok(output.into())
    }
}

impl Handle<ops::GetAccessKeyInfo> for Identity {
    async fn handle(
        self: Arc<Self>,
        _: Context,
        input: sts::GetAccessKeyInfoRequest,
        _: Body,
    ) -> Result<Answer<sts::GetAccessKeyInfoResponse>, Fault> {
        let id = input.access_key_id.unwrap_or_default();
        let account = credential::account_of(&id)
            .ok_or_else(|| invalid(format!("Invalid access key ID {id}: it names no account")))?;
        Ok(sts::GetAccessKeyInfoResponse { account: Some(account.to_string()) }.into())
    }
}

impl Handle<ops::GetSessionToken> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: sts::GetSessionTokenRequest,
        _: Body,
    ) -> Result<Answer<sts::GetSessionTokenResponse>, Fault> {
        let refused = [
            (input.serial_number.is_some(), "SerialNumber"),
            (input.token_code.is_some(), "TokenCode"),
            (input.minimum_session_token_size.is_some(), "MinimumSessionTokenSize"),
        ];
        refuse(&refused, "GetSessionToken")?;
        // Who proved nothing gets a token that proves nothing.
        let unproven = self.is_unproven(&context);
        let (speaker, longest) = match &context.principal {
            Principal::Root { .. } => (Speaker::Root, ROOT_TOKEN_S),
            Principal::User { name, .. } => (Speaker::User(name.clone()), TOKEN_S * 3),
            Principal::Session { .. } => return Err(denied("Cannot call GetSessionToken with session credentials")),
            Principal::Anonymous | Principal::Service { .. } => return Err(unsigned()),
        };
        let seconds = input.duration_seconds.unwrap_or(TOKEN_S).min(longest);
        let born = Birth { unproven, ..Birth::default() };
        let credentials = self.grant(context.account, speaker, seconds, born).await?;
        Ok(sts::GetSessionTokenResponse { credentials: Some(credentials), ..Default::default() }.into())
    }
}

impl Handle<ops::AssumeRole> for Identity {
    async fn handle(
        self: Arc<Self>,
        context: Context,
        input: sts::AssumeRoleRequest,
        _: Body,
    ) -> Result<Answer<sts::AssumeRoleResponse>, Fault> {
        let refused = [
            (input.serial_number.is_some(), "SerialNumber"),
            (input.token_code.is_some(), "TokenCode"),
            (input.provided_contexts.as_ref().is_some_and(|contexts| !contexts.is_empty()), "ProvidedContexts"),
            (input.minimum_session_token_size.is_some(), "MinimumSessionTokenSize"),
        ];
        refuse(&refused, "AssumeRole")?;
        if context.principal == Principal::Anonymous {
            return Err(unsigned());
        }
        let arn = input.role_arn.unwrap_or_default();
        let name = input.role_session_name.unwrap_or_default();
        let (account, role) = self.assumable(&context.principal, &arn)?;
        let seconds = input.duration_seconds.unwrap_or(ASSUME_S);
        if matches!(context.principal, Principal::Session { .. }) && seconds > CHAINED_S {
            return Err(invalid(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            ));
        }
        if seconds > role.max_session_s {
            return Err(invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role."));
        }
        let before = context.origin.key_id.as_deref().and_then(|id| self.session_of(id));
        let (policies, policy_arns) = self.session_policies(account, input.policy, input.policy_arns)?;
        let (tags, transitive) = session_tags(input.tags, input.transitive_tag_keys, before.as_deref())?;
        let source_identity = source_identity(input.source_identity, before.as_deref())?;
        let unproven = self.is_unproven(&context);
        let born = Birth { policies, policy_arns, tags, transitive, source_identity, unproven };
        let packed = born.packed_percent();
        let source_identity = born.source_identity.clone();
        let speaker = Speaker::Role { role: role.name.clone(), session: name.clone() };
        let credentials = self.grant(account, speaker, seconds, born).await?;
        let who = Principal::Session { account, role: role.name, session: name.clone() };
        let assumed =
            sts::AssumedRoleUser { assumed_role_id: Some(format!("{}:{name}", role.id)), arn: Some(who.arn()) };
        let output = sts::AssumeRoleResponse {
            credentials: Some(credentials),
            assumed_role_user: Some(assumed),
            packed_policy_size: packed,
            source_identity,
            ..Default::default()
        };
        Ok(output.into())
    }
}

/// Characters of the session policies together. Source: AWS STS API reference, "AssumeRole".
const SESSION_POLICY_CHARS: usize = 2048;

/// What a session is born with besides its role.
#[derive(Default)]
struct Birth {
    policies: Vec<String>,
    policy_arns: Vec<String>,
    tags: BTreeMap<String, String>,
    transitive: BTreeSet<String>,
    source_identity: Option<String>,
    unproven: bool,
}

impl Birth {
    /// How much of the room for policies and tags they take; none without any.
    fn packed_percent(&self) -> Option<i64> {
        let texts = self.policies.iter().chain(&self.policy_arns).chain(self.tags.keys()).chain(self.tags.values());
        let size: usize = texts.map(String::len).sum();
        (size > 0).then(|| (size * 100).div_ceil(SESSION_POLICY_CHARS).min(100) as i64)
    }
}

fn bad_value(message: &str) -> Fault {
    Fault::new("InvalidParameterValue", 400, message)
}

/// The tags of a session that may have been begun with another, and which of them go on from it. Keys have no case.
/// Source: IAM User Guide, "Pass session tags in AWS STS", chaining roles with session tags.
fn session_tags(
    given: Option<Vec<sts::Tag>>,
    transitive: Option<Vec<String>>,
    before: Option<&Session>,
) -> Result<(BTreeMap<String, String>, BTreeSet<String>), Fault> {
    let (mut tags, mut handed_on) = (BTreeMap::new(), BTreeSet::new());
    for (key, value) in before.into_iter().flat_map(Session::handed_on) {
        handed_on.insert(key.clone());
        tags.insert(key.clone(), value.clone());
    }
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for tag in given.unwrap_or_default() {
        let (key, value) = (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        if handed_on.iter().any(|inherited: &String| inherited.eq_ignore_ascii_case(&key)) {
            return Err(bad_value(
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from \
                 the calling session.",
            ));
        }
        if !seen.insert(key.to_lowercase()) {
            return Err(bad_value("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
        }
        tags.insert(key, value);
    }
    for key in transitive.unwrap_or_default() {
        let named =
            tags.keys().find(|tag| tag.eq_ignore_ascii_case(&key)).filter(|_| seen.contains(&key.to_lowercase()));
        let missing = || bad_value("The specified transitive tag key must be included in the requested tags.");
        handed_on.insert(named.ok_or_else(missing)?.clone());
    }
    Ok((tags, handed_on))
}

/// Who is behind a session: once said, it stays through the chain.
fn source_identity(given: Option<String>, before: Option<&Session>) -> Result<Option<String>, Fault> {
    match (given, before.and_then(|session| session.source_identity.clone())) {
        (Some(given), Some(set)) if given != set => {
            Err(invalid("The source identity is already set for this assume role session"))
        }
        (given, set) => Ok(set.or(given)),
    }
}

/// Refuses members that would change what the caller gets and that nothing here acts on.
fn refuse(members: &[(bool, &str)], operation: &str) -> Result<(), Fault> {
    match members.iter().find(|(given, _)| *given) {
        None => Ok(()),
        Some((_, member)) => Err(Fault::not_implemented(format_args!("{member} of sts:{operation}"))),
    }
}

impl Identity {
    /// The role an ARN names. Whether its trust policy lets the caller in was the door's question. Unlike on AWS root may
    /// assume roles: the first key, the only one at hand after the first start, is root's.
    fn assumable(&self, caller: &Principal, arn: &str) -> Result<(Account, Role), Fault> {
        let parsed: Arn = arn.parse().map_err(|_| invalid(format!("{arn} is invalid")))?;
        let path = parsed.resource.strip_prefix("role/").filter(|_| parsed.service == "iam");
        let account: Option<Account> = parsed.account.parse().ok();
        let (Some(path), Some(account)) = (path, account) else { return Err(invalid(format!("{arn} is invalid"))) };
        let caller_arn = self.arn(caller);
        let refusal =
            || denied(format!("User: {caller_arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"));
        let name = path.rsplit('/').next().unwrap_or(path);
        let role = self.role(account, name).map_err(|fault| if fault.status == 404 { refusal() } else { fault })?;
        if role.arn(account) != arn { Err(refusal()) } else { Ok((account, role)) }
    }

    /// Whether the caller proved nothing, or speaks with a session begun by such a caller.
    fn is_unproven(&self, context: &Context) -> bool {
        let session = context.origin.key_id.as_deref().and_then(|id| self.session_of(id));
        matches!(context.principal, Principal::Root { verified: false, .. }) || session.is_some_and(|one| one.unproven)
    }

    /// Session policies, checked.
    fn session_policies(
        &self,
        account: Account,
        policy: Option<String>,
        arns: Option<Vec<sts::PolicyDescriptorType>>,
    ) -> Result<(Vec<String>, Vec<String>), Fault> {
        if let Some(policy) = &policy {
            read(policy, Purpose::Identity)?;
            if policy.chars().count() > SESSION_POLICY_CHARS {
                return Err(invalid(format!("The session policy is longer than {SESSION_POLICY_CHARS} characters.")));
            }
        }
        let arns: Vec<String> = arns.unwrap_or_default().into_iter().filter_map(|one| one.arn).collect();
        if let Some(missing) = arns.iter().find(|arn| self.managed(account, arn).is_none()) {
            return Err(invalid(format!("Policy {missing} does not exist or is not attachable.")));
        }
        Ok((policy.into_iter().collect(), arns))
    }

    async fn grant(
        &self,
        account: Account,
        speaker: Speaker,
        seconds: i64,
        born: Birth,
    ) -> Result<sts::Credentials, Fault> {
        // The answer has whole seconds; what is kept must be the same moment.
        let now_ms = self.clocks.signing().0 / 1000 * 1000;
        let Birth { policies, policy_arns, tags, transitive, source_identity, unproven } = born;
        let holder = self.holder_of(account, &speaker);
        let bare = Session::new(account, speaker, now_ms, now_ms + seconds * 1000);
        let whole = Session { policies, policy_arns, tags, transitive, source_identity, holder, unproven, ..bare };
        let (id, credential) = self.issue(whole).await?;
        Ok(sts::Credentials {
            access_key_id: Some(id),
            secret_access_key: Some(credential.secret.clone()),
            session_token: credential.session_token.clone(),
            expiration: credential.expires,
        })
    }

    /// `UserId` of GetCallerIdentity.
    /// Source: IAM User Guide, "Policy variables", table of `aws:userid`.
    pub(crate) fn user_id(&self, principal: &Principal) -> Result<String, Fault> {
        match principal {
            Principal::Anonymous => Err(unsigned()),
            Principal::Root { account, .. } => Ok(account.to_string()),
            Principal::User { account, name } => Ok(self.user(*account, name)?.id),
            Principal::Session { account, role, session } => {
                let id =
                    self.role(*account, role).map_or_else(|_| self.deriver.role_id(*account, role), |role| role.id);
                Ok(format!("{id}:{session}"))
            }
            Principal::Service { name, .. } => Ok((*name).into()),
        }
    }

    /// The principal's ARN, with a user's path.
    pub(crate) fn arn(&self, principal: &Principal) -> String {
        match principal {
            Principal::User { account, name } => {
                self.user(*account, name).map_or_else(|_| principal.arn(), |user| user.arn(*account))
            }
            _ => principal.arn(),
        }
    }
}
