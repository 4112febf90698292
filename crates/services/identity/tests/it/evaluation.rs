//! IAM's evaluation logic, a row for each case its documentation tells of.

use std::sync::Arc;

use base::Account;
use identity::rules::context::Context;
use identity::rules::document::{Purpose, read};
use identity::rules::evaluate::{Applicable, Layer, Named, Outcome, Question, evaluate};
use identity::rules::principal::{Caller, Kind};

const OURS: &str = "111122223333";
const THEIRS: &str = "444455556666";
const BUCKET: &str = "arn:aws:s3:::bucket/key";

#[derive(Clone, Copy, Default)]
struct Case<'a> {
    page: &'a str,
    says: &'a str,
    caller: Who,
    identity: &'a [&'a str],
    boundary: Option<&'a [&'a str]>,
    session: Option<&'a [&'a str]>,
    resource: Option<&'a str>,
    trust: bool,
    // Whether the resource belongs to another account than the caller.
    foreign: bool,
    keys: &'a [(&'a str, &'a str)],
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Who {
    #[default]
    User,
    Role,
    Root,
    Service,
    Anonymous,
}

impl Who {
    fn caller(self) -> Caller {
        let account: Account = OURS.parse().unwrap();
        let (kind, arn, role) = match self {
            Self::User => (Kind::User, format!("arn:aws:iam::{OURS}:user/team/ann"), None),
            Self::Role => {
                let role = format!("arn:aws:iam::{OURS}:role/team/app");
                (Kind::Role, format!("arn:aws:sts::{OURS}:assumed-role/app/run"), Some(role))
            }
            Self::Root => (Kind::Root, format!("arn:aws:iam::{OURS}:root"), None),
            Self::Service => (Kind::Service, "s3.amazonaws.com".into(), None),
            Self::Anonymous => (Kind::Anonymous, "*".into(), None),
        };
        Caller { kind, account, arn, role_arn: role }
    }
}

fn named(statements: &[&str], purpose: Purpose) -> Vec<Named> {
    statements
        .iter()
        .map(|statement| {
            let text = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
            Named { name: "p".into(), document: Arc::new(read(&text, purpose).unwrap()) }
        })
        .collect()
}

fn outcome(case: &Case<'_>, action: &str, resource: &str) -> Outcome {
    let (purpose, caller) = (if case.trust { Purpose::Trust } else { Purpose::Resource }, case.caller.caller());
    let mut context = Context::default();
    for (key, value) in case.keys {
        context.set(key, *value);
    }
    let identity = named(case.identity, Purpose::Identity);
    let boundary = case.boundary.map(|set| named(set, Purpose::Identity));
    let session = case.session.map(|set| named(set, Purpose::Identity));
    let resources = case.resource.map(|one| named(&[one], purpose));
    let owner = if case.foreign { THEIRS } else { OURS }.parse().unwrap();
    let question = Question { caller: &caller, action, resource, owner: Some(owner), context: &context };
    let policies = Applicable {
        identity: &identity,
        boundary: boundary.as_deref(),
        session: session.as_deref(),
        resource: resources.as_ref().and_then(|set| set.first()),
        trust: case.trust,
    };
    evaluate(&question, &policies).outcome
}

const ALLOW: &str = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;
const ALLOW_OTHER: &str = r#"{"Effect":"Allow","Action":"sqs:*","Resource":"*"}"#;
const DENY: &str = r#"{"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}"#;

/// Statements of a resource's policy about one principal.
macro_rules! grant {
    ($effect:literal, $element:literal, $principal:literal) => {
        concat!(
            r#"{"Effect":""#,
            $effect,
            r#"",""#,
            $element,
            r#"":"#,
            $principal,
            r#","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}"#
        )
    };
}

const TO_USER: &str = grant!("Allow", "Principal", r#"{"AWS":"arn:aws:iam::111122223333:user/team/ann"}"#);
const TO_ROLE: &str = grant!("Allow", "Principal", r#"{"AWS":"arn:aws:iam::111122223333:role/team/app"}"#);
const TO_SESSION: &str = grant!("Allow", "Principal", r#"{"AWS":"arn:aws:sts::111122223333:assumed-role/app/run"}"#);
const TO_ACCOUNT: &str = grant!("Allow", "Principal", r#"{"AWS":"arn:aws:iam::111122223333:root"}"#);
const TO_NUMBER: &str = grant!("Allow", "Principal", r#"{"AWS":"111122223333"}"#);
const TO_OTHER: &str = grant!("Allow", "Principal", r#"{"AWS":"999999999999"}"#);
const TO_ALL: &str = grant!("Allow", "Principal", r#""*""#);
const TO_ALL_AWS: &str = grant!("Allow", "Principal", r#"{"AWS":["*"]}"#);
const TO_SERVICE: &str = grant!("Allow", "Principal", r#"{"Service":"s3.amazonaws.com"}"#);
const TO_FEDERATED: &str = grant!("Allow", "Principal", r#"{"Federated":"cognito-identity.amazonaws.com"}"#);
const TO_CANONICAL: &str = grant!("Allow", "Principal", r#"{"CanonicalUser":"79a59df900b949e5"}"#);
const NO_ACCOUNT: &str = grant!("Deny", "Principal", r#"{"AWS":"111122223333"}"#);
const NO_ROLE: &str = grant!("Deny", "Principal", r#"{"AWS":"arn:aws:iam::111122223333:role/team/app"}"#);
const BUT_USER_AND_ACCOUNT: &str = grant!(
    "Deny",
    "NotPrincipal",
    r#"{"AWS":["arn:aws:iam::111122223333:user/team/ann","arn:aws:iam::111122223333:root"]}"#
);
const BUT_USER_ONLY: &str = grant!("Deny", "NotPrincipal", r#"{"AWS":"arn:aws:iam::111122223333:user/team/ann"}"#);
const BUT_ACCOUNT_ONLY: &str = grant!("Deny", "NotPrincipal", r#"{"AWS":"arn:aws:iam::111122223333:root"}"#);
const BUT_ROLE: &str = grant!(
    "Deny",
    "NotPrincipal",
    r#"{"AWS":["arn:aws:iam::111122223333:role/team/app","arn:aws:iam::111122223333:root"]}"#
);
const BUT_SESSION: &str = grant!(
    "Deny",
    "NotPrincipal",
    r#"{"AWS":["arn:aws:sts::111122223333:assumed-role/app/run","arn:aws:iam::111122223333:role/team/app",
    "arn:aws:iam::111122223333:root"]}"#
);
const TRUST_ACCOUNT: &str = r#"{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}"#;
const TRUST_USER: &str =
    r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/team/ann"},"Action":"sts:AssumeRole"}"#;
const TRUST_OTHER: &str = r#"{"Effect":"Allow","Principal":{"AWS":"999999999999"},"Action":"sts:AssumeRole"}"#;
const MAY_ASSUME: &str = r#"{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}"#;

const SINGLE: &str = "Policy evaluation for requests within a single account";
const LOGIC: &str = "How AWS enforcement code logic evaluates requests";
const CROSS: &str = "Cross-account policy evaluation logic";
const BOUNDS: &str = "Permissions boundaries for IAM entities";
const NOT: &str = "AWS JSON policy elements: NotPrincipal";
const WHO: &str = "AWS JSON policy elements: Principal";
const SESSIONS: &str = "Policies and permissions: session policies";
const TRUSTS: &str = "Using IAM roles: trust policies";

use Outcome::{Allowed, Denied, Missing};
use Who::{Anonymous, Role, Root, Service, User};

fn case<'a>(page: &'a str, says: &'a str, caller: Who) -> Case<'a> {
    Case { page, says, caller, ..Case::default() }
}

#[rustfmt::skip]
fn cases() -> Vec<(Case<'static>, Outcome)> {
    vec![
        (case(LOGIC, "by default everything is denied", User), Missing(Layer::Identity)),
        (case(LOGIC, "root has full access", Root), Outcome::Root),
        (Case { identity: &[ALLOW], ..case(SINGLE, "an identity policy allows", User) }, Allowed(Layer::Identity)),
        (Case { identity: &[ALLOW], ..case(SINGLE, "a role's policy allows", Role) }, Allowed(Layer::Identity)),
        (Case { identity: &[ALLOW_OTHER], ..case(SINGLE, "no statement speaks of it", User) }, Missing(Layer::Identity)),
        (Case { identity: &[ALLOW, DENY], ..case(LOGIC, "an explicit deny overrides an allow", User) }, Denied(Layer::Identity)),
        (Case { identity: &[DENY], resource: Some(TO_USER), ..case(LOGIC, "a deny overrides another policy's allow", User) }, Denied(Layer::Identity)),
        (Case { identity: &[ALLOW], resource: Some(NO_ACCOUNT), ..case(LOGIC, "a resource's deny overrides", User) }, Denied(Layer::Resource)),
        (Case { resource: Some(NO_ACCOUNT), ..case(LOGIC, "a resource's deny holds for root", Root) }, Denied(Layer::Resource)),
        (Case { identity: &[ALLOW], resource: Some(NO_ROLE), ..case(LOGIC, "a deny of the role holds for its sessions", Role) }, Denied(Layer::Resource)),
        (Case { resource: Some(TO_USER), ..case(SINGLE, "the resource's policy alone suffices", User) }, Allowed(Layer::Resource)),
        (Case { identity: &[ALLOW], resource: Some(TO_OTHER), ..case(SINGLE, "either side suffices", User) }, Allowed(Layer::Identity)),
        (Case { resource: Some(TO_OTHER), ..case(SINGLE, "it names another account", User) }, Missing(Layer::Identity)),
        (Case { resource: Some(TO_ACCOUNT), ..case(WHO, "the account's ARN hands the decision to the account", User) }, Missing(Layer::Identity)),
        (Case { resource: Some(TO_NUMBER), ..case(WHO, "its number does the same", Role) }, Missing(Layer::Identity)),
        (Case { identity: &[ALLOW], resource: Some(TO_ACCOUNT), ..case(WHO, "and the account's policy decides", User) }, Allowed(Layer::Identity)),
        (Case { resource: Some(TO_ALL), ..case(WHO, "everyone", User) }, Allowed(Layer::Resource)),
        (Case { resource: Some(TO_ALL_AWS), ..case(WHO, "everyone, the other form", Role) }, Allowed(Layer::Resource)),
        (Case { resource: Some(TO_ALL), ..case(WHO, "everyone includes the anonymous", Anonymous) }, Allowed(Layer::Resource)),
        (Case { resource: Some(TO_ACCOUNT), ..case(WHO, "an account does not", Anonymous) }, Missing(Layer::Resource)),
        (Case { resource: Some(TO_SERVICE), ..case(WHO, "a service", Service) }, Allowed(Layer::Resource)),
        (Case { resource: Some(TO_SERVICE), ..case(WHO, "a service is no user", User) }, Missing(Layer::Identity)),
        (Case { resource: Some(TO_ACCOUNT), ..case(WHO, "an account is no service", Service) }, Missing(Layer::Resource)),
        (Case { resource: Some(TO_FEDERATED), ..case(WHO, "a federated principal is no user", User) }, Missing(Layer::Identity)),
        (Case { resource: Some(TO_CANONICAL), ..case(WHO, "nor is a canonical user", User) }, Missing(Layer::Identity)),
        // Permissions boundaries.
        (Case { identity: &[ALLOW], boundary: Some(&[ALLOW]), ..case(BOUNDS, "identity and boundary allow", User) }, Allowed(Layer::Identity)),
        (Case { identity: &[ALLOW], boundary: Some(&[ALLOW_OTHER]), ..case(BOUNDS, "the boundary does not allow", User) }, Missing(Layer::Boundary)),
        (Case { identity: &[ALLOW], boundary: Some(&[]), ..case(BOUNDS, "the boundary's policy is gone", Role) }, Missing(Layer::Boundary)),
        (Case { boundary: Some(&[ALLOW]), ..case(BOUNDS, "a boundary grants nothing", User) }, Missing(Layer::Identity)),
        (Case { identity: &[ALLOW], boundary: Some(&[ALLOW, DENY]), ..case(BOUNDS, "the boundary denies", User) }, Denied(Layer::Boundary)),
        (Case { boundary: Some(&[ALLOW_OTHER]), resource: Some(TO_USER), ..case(BOUNDS, "a grant to a user is not limited by its boundary", User) }, Allowed(Layer::Resource)),
        (Case { boundary: Some(&[ALLOW_OTHER]), resource: Some(TO_ROLE), ..case(BOUNDS, "a grant to a role is limited by its boundary", Role) }, Missing(Layer::Boundary)),
        (Case { boundary: Some(&[ALLOW]), resource: Some(TO_ROLE), ..case(BOUNDS, "which must allow it, the identity need not", Role) }, Allowed(Layer::Resource)),
        (Case { boundary: Some(&[ALLOW_OTHER]), resource: Some(TO_SESSION), ..case(BOUNDS, "a grant to a session is not", Role) }, Allowed(Layer::Resource)),
        (Case { boundary: Some(&[ALLOW_OTHER]), resource: Some(TO_ALL), ..case(WHO, "a grant to everyone is not", Role) }, Allowed(Layer::Resource)),
        (Case { boundary: Some(&[DENY]), resource: Some(TO_SESSION), ..case(BOUNDS, "but its deny holds", Role) }, Denied(Layer::Boundary)),
        (Case { boundary: Some(&[ALLOW]), resource: Some(BUT_USER_AND_ACCOUNT), ..case(BOUNDS, "NotPrincipal with Deny always denies who has a boundary", User) }, Denied(Layer::Resource)),
        // Session policies.
        (Case { identity: &[ALLOW], session: Some(&[ALLOW]), ..case(SESSIONS, "role and session policy allow", Role) }, Allowed(Layer::Identity)),
        (Case { identity: &[ALLOW], session: Some(&[ALLOW_OTHER]), ..case(SESSIONS, "the session policy does not", Role) }, Missing(Layer::Session)),
        (Case { session: Some(&[ALLOW]), ..case(SESSIONS, "a session policy grants nothing", Role) }, Missing(Layer::Identity)),
        (Case { identity: &[ALLOW], session: Some(&[ALLOW, DENY]), ..case(SESSIONS, "the session policy denies", Role) }, Denied(Layer::Session)),
        (Case { session: Some(&[ALLOW_OTHER]), resource: Some(TO_ROLE), ..case(SESSIONS, "a grant to the role is limited by it", Role) }, Missing(Layer::Session)),
        (Case { session: Some(&[ALLOW]), resource: Some(TO_ROLE), ..case(SESSIONS, "and passes where it allows", Role) }, Allowed(Layer::Resource)),
        (Case { session: Some(&[ALLOW_OTHER]), resource: Some(TO_SESSION), ..case(SESSIONS, "a grant to the session is not limited by it", Role) }, Allowed(Layer::Resource)),
        (Case { identity: &[ALLOW], boundary: Some(&[ALLOW_OTHER]), session: Some(&[ALLOW_OTHER]), ..case(SESSIONS, "all three must allow", Role) }, Missing(Layer::Boundary)),
        // Across accounts.
        (Case { foreign: true, identity: &[ALLOW], resource: Some(TO_USER), ..case(CROSS, "both sides allow", User) }, Allowed(Layer::Resource)),
        (Case { foreign: true, identity: &[ALLOW], resource: Some(TO_ACCOUNT), ..case(CROSS, "the account may be named", User) }, Allowed(Layer::Resource)),
        (Case { foreign: true, identity: &[ALLOW], resource: Some(TO_ROLE), ..case(CROSS, "or the role", Role) }, Allowed(Layer::Resource)),
        (Case { foreign: true, identity: &[ALLOW], ..case(CROSS, "the resource's side is missing", User) }, Missing(Layer::Resource)),
        (Case { foreign: true, identity: &[ALLOW], resource: Some(TO_OTHER), ..case(CROSS, "it names somebody else", User) }, Missing(Layer::Resource)),
        (Case { foreign: true, resource: Some(TO_USER), ..case(CROSS, "the caller's side is missing", User) }, Missing(Layer::Identity)),
        (Case { foreign: true, resource: Some(TO_SESSION), ..case(CROSS, "also for a session named itself", Role) }, Missing(Layer::Identity)),
        (Case { foreign: true, resource: Some(TO_ALL), ..case(CROSS, "also where everyone is let in", User) }, Missing(Layer::Identity)),
        (Case { foreign: true, identity: &[ALLOW], boundary: Some(&[ALLOW_OTHER]), resource: Some(TO_USER), ..case(CROSS, "the boundary limits the caller's side", User) }, Missing(Layer::Boundary)),
        (Case { foreign: true, identity: &[ALLOW], session: Some(&[ALLOW_OTHER]), resource: Some(TO_ROLE), ..case(CROSS, "so do session policies", Role) }, Missing(Layer::Session)),
        (Case { foreign: true, resource: Some(TO_ACCOUNT), ..case(CROSS, "root of another account must be let in", Root) }, Allowed(Layer::Resource)),
        (Case { foreign: true, ..case(CROSS, "and is not by itself", Root) }, Missing(Layer::Resource)),
        (Case { foreign: true, resource: Some(TO_ALL), ..case(CROSS, "the anonymous have no account to ask", Anonymous) }, Allowed(Layer::Resource)),
        // NotPrincipal.
        (Case { identity: &[ALLOW], resource: Some(BUT_USER_AND_ACCOUNT), ..case(NOT, "user and account are listed", User) }, Allowed(Layer::Identity)),
        (Case { identity: &[ALLOW], resource: Some(BUT_USER_ONLY), ..case(NOT, "the account is not listed", User) }, Denied(Layer::Resource)),
        (Case { identity: &[ALLOW], resource: Some(BUT_ACCOUNT_ONLY), ..case(NOT, "the user is not listed", User) }, Denied(Layer::Resource)),
        (Case { resource: Some(BUT_ACCOUNT_ONLY), ..case(NOT, "root is its account", Root) }, Outcome::Root),
        (Case { identity: &[ALLOW], resource: Some(BUT_USER_AND_ACCOUNT), ..case(NOT, "somebody else is listed", Role) }, Denied(Layer::Resource)),
        (Case { identity: &[ALLOW], resource: Some(BUT_ROLE), ..case(NOT, "the session is not listed", Role) }, Denied(Layer::Resource)),
        (Case { identity: &[ALLOW], resource: Some(BUT_SESSION), ..case(NOT, "session, role and account are listed", Role) }, Allowed(Layer::Identity)),
    ]
}

#[test]
fn every_documented_case_is_decided_as_documented() {
    for (case, expected) in cases() {
        let found = outcome(&case, "s3:GetObject", BUCKET);
        assert_eq!(found, expected, "{}: {}", case.page, case.says);
    }
}

#[test]
fn a_trust_policy_must_allow_also_within_its_account() {
    let role = "arn:aws:iam::111122223333:role/r";
    let base = Case { trust: true, ..case(TRUSTS, "", User) };
    for (says, case, expected) in [
        ("the trust policy names the user", Case { resource: Some(TRUST_USER), ..base }, Allowed(Layer::Trust)),
        (
            "it names the account, and the user's policy allows",
            Case { resource: Some(TRUST_ACCOUNT), identity: &[MAY_ASSUME], ..base },
            Allowed(Layer::Identity),
        ),
        (
            "it names the account, and nothing else allows",
            Case { resource: Some(TRUST_ACCOUNT), ..base },
            Missing(Layer::Identity),
        ),
        (
            "an identity policy alone does not suffice",
            Case { resource: Some(TRUST_OTHER), identity: &[MAY_ASSUME], ..base },
            Missing(Layer::Trust),
        ),
        (
            "across accounts both sides must allow",
            Case { resource: Some(TRUST_USER), foreign: true, ..base },
            Missing(Layer::Identity),
        ),
        (
            "and then it passes",
            Case { resource: Some(TRUST_USER), identity: &[MAY_ASSUME], foreign: true, ..base },
            Allowed(Layer::Trust),
        ),
        ("root must be trusted too", Case { resource: Some(TRUST_OTHER), caller: Root, ..base }, Missing(Layer::Trust)),
    ] {
        assert_eq!(outcome(&case, "sts:AssumeRole", role), expected, "{TRUSTS}: {says}");
    }
}

/// IAM User Guide, "IAM JSON policy elements" Action, NotAction, Resource, NotResource, Condition and variables.
#[test]
fn the_elements_of_a_statement_match_as_documented() {
    let allowed = |statement: &str, action: &str, resource: &str, keys: &[(&str, &str)]| {
        let case = Case { identity: &[statement], keys, ..case("", "", User) };
        matches!(outcome(&case, action, resource), Allowed(_))
    };
    let get = "s3:GetObject";
    for (statement, action, resource, keys, expected) in [
        (r#"{"Effect":"Allow","Action":"S3:getobject","Resource":"*"}"#, get, BUCKET, &[][..], true),
        (r#"{"Effect":"Allow","Action":["sqs:*","s3:Get*"],"Resource":"*"}"#, get, BUCKET, &[], true),
        (r#"{"Effect":"Allow","Action":"s3:Get?bject","Resource":"*"}"#, get, BUCKET, &[], true),
        (r#"{"Effect":"Allow","Action":"s3:Put*","Resource":"*"}"#, get, BUCKET, &[], false),
        (r#"{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}"#, get, BUCKET, &[], true),
        (r#"{"Effect":"Allow","NotAction":["iam:*","s3:*"],"Resource":"*"}"#, get, BUCKET, &[], false),
        (r#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::other/*"}"#, get, BUCKET, &[], true),
        (r#"{"Effect":"Allow","Action":"*","NotResource":["arn:aws:s3:::bucket/*"]}"#, get, BUCKET, &[], false),
        (r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::BUCKET/*"}"#, get, BUCKET, &[], false),
        (
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::bucket/${aws:username}/*"}"#,
            get,
            "arn:aws:s3:::bucket/ann/x",
            &[("aws:username", "ann")],
            true,
        ),
        (
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::bucket/${aws:username}/*"}"#,
            get,
            "arn:aws:s3:::bucket/bob/x",
            &[("aws:username", "ann")],
            false,
        ),
        (
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::bucket/${aws:username}/*"}"#,
            get,
            "arn:aws:s3:::bucket//x",
            &[],
            false,
        ),
        (
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::bucket/${aws:PrincipalTag/t, 'none'}"}"#,
            get,
            "arn:aws:s3:::bucket/none",
            &[],
            true,
        ),
        (
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/Team":"a",
            "aws:RequestedRegion":"eu-west-1"}}}"#,
            get,
            BUCKET,
            &[("aws:PrincipalTag/team", "a"), ("aws:RequestedRegion", "eu-west-1")],
            true,
        ),
        (
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/Team":"a",
            "aws:RequestedRegion":"eu-west-1"}}}"#,
            get,
            BUCKET,
            &[("aws:PrincipalTag/team", "a")],
            false,
        ),
        (
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/t":"a"},
            "Bool":{"aws:SecureTransport":"true"}}}"#,
            get,
            BUCKET,
            &[("aws:PrincipalTag/t", "a"), ("aws:SecureTransport", "false")],
            false,
        ),
    ] {
        assert_eq!(allowed(statement, action, resource, keys), expected, "{statement} for {action} on {resource}");
    }
    let conditional =
        r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#;
    let deny = |secure: &'static str| {
        let keys: &[(&str, &str)] = &[("aws:SecureTransport", secure)];
        outcome(&Case { identity: &[ALLOW, conditional], keys, ..case("", "", User) }, get, BUCKET)
    };
    assert_eq!((deny("false"), deny("true")), (Denied(Layer::Identity), Allowed(Layer::Identity)));
}
