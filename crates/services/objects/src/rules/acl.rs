//! Access control lists: what a request may give, what it grants, and the policy statements that say the same.
//!
//! Source: Amazon S3 User Guide, "Access control list (ACL) overview".

use base::{Account, Fault};
use model::s3::{AccessControlPolicy, Grant, Grantee, Owner};
use serde_json::{Value, json};

use crate::faults;

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
/// Most grants of a list.
const GRANTS: usize = 100;

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// What a request says of a list, apart from a body.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given<'a> {
    /// The list's name: `public-read`.
    pub(crate) canned: Option<&'a str>,
    pub(crate) full_control: Option<&'a str>,
    pub(crate) read: Option<&'a str>,
    pub(crate) write: Option<&'a str>,
    pub(crate) read_acp: Option<&'a str>,
    pub(crate) write_acp: Option<&'a str>,
}

impl Given<'_> {
    fn headers(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("FULL_CONTROL", self.full_control),
            ("READ", self.read),
            ("WRITE", self.write),
            ("READ_ACP", self.read_acp),
            ("WRITE_ACP", self.write_acp),
        ]
    }

    /// Whether it says anything.
    pub(crate) fn is_none(&self) -> bool {
        self.canned.is_none() && self.headers().iter().all(|(_, header)| header.is_none())
    }

    /// The list it asks for; none if it asks for none. `owner` and `bucket_owner` are canonical ids.
    ///
    /// # Errors
    /// InvalidRequest, InvalidArgument, UnresolvableGrantByEmailAddress, NotImplemented.
    pub(crate) fn list(&self, of: Of, owner: &str, bucket_owner: &str) -> Result<Option<AccessControlPolicy>, Fault> {
        let headers = self.headers();
        let by_headers = headers.iter().any(|(_, header)| header.is_some());
        let grants = match self.canned {
            Some(_) if by_headers => {
                return Err(faults::request("Specifying both Canned ACLs and Header Grants is not allowed"));
            }
            Some(name) => canned(name, of, owner, bucket_owner)?,
            None if !by_headers => return Ok(None),
            None => {
                let mut grants = Vec::new();
                for (permission, header) in headers {
                    for grantee in header.map(grantees).transpose()?.unwrap_or_default() {
                        grants.push(Grant { grantee: Some(grantee), permission: Some(permission.into()) });
                    }
                }
                grants
            }
        };
        Ok(Some(AccessControlPolicy { owner: Some(named(owner)), grants: Some(grants) }))
    }
}

fn named(id: &str) -> Owner {
    Owner { id: Some(id.into()), display_name: None }
}

fn user(id: &str) -> Grantee {
    Grantee { id: Some(id.into()), type_: Some("CanonicalUser".into()), ..Grantee::default() }
}

fn group(uri: &str) -> Grantee {
    Grantee { uri: Some(uri.into()), type_: Some("Group".into()), ..Grantee::default() }
}

fn grant(grantee: Grantee, permission: &str) -> Grant {
    Grant { grantee: Some(grantee), permission: Some(permission.into()) }
}

/// What a list that nobody gave grants: everything to the owner.
pub(crate) fn private(owner: &str) -> AccessControlPolicy {
    AccessControlPolicy { owner: Some(named(owner)), grants: Some(vec![grant(user(owner), "FULL_CONTROL")]) }
}

fn canned(name: &str, of: Of, owner: &str, bucket_owner: &str) -> Result<Vec<Grant>, Fault> {
    let more = match (name, of) {
        ("private", _) => vec![],
        ("public-read", _) => vec![grant(group(ALL_USERS), "READ")],
        ("public-read-write", _) => vec![grant(group(ALL_USERS), "READ"), grant(group(ALL_USERS), "WRITE")],
        ("authenticated-read", _) => vec![grant(group(AUTHENTICATED_USERS), "READ")],
        ("aws-exec-read", _) => return Err(Fault::not_implemented("s3: ACL aws-exec-read")),
        ("log-delivery-write", Of::Bucket) => {
            vec![grant(group(LOG_DELIVERY), "WRITE"), grant(group(LOG_DELIVERY), "READ_ACP")]
        }
        ("bucket-owner-read" | "bucket-owner-full-control", Of::Object) if owner == bucket_owner => vec![],
        ("bucket-owner-read", Of::Object) => vec![grant(user(bucket_owner), "READ")],
        ("bucket-owner-full-control", Of::Object) => vec![grant(user(bucket_owner), "FULL_CONTROL")],
        _ => return Err(faults::argument("", "x-amz-acl", name)),
    };
    Ok(std::iter::once(grant(user(owner), "FULL_CONTROL")).chain(more).collect())
}

/// `id="…", uri="…"`
fn grantees(header: &str) -> Result<Vec<Grantee>, Fault> {
    header
        .split(',')
        .map(|one| {
            let (kind, value) = one
                .trim()
                .split_once('=')
                .ok_or_else(|| faults::argument("Argument format not recognized", "x-amz-grant", one))?;
            let value = value.trim().trim_matches('"');
            let grantee = match kind.trim() {
                "id" => user(value),
                "uri" => group(value),
                "emailAddress" => Grantee {
                    email_address: Some(value.into()),
                    type_: Some("AmazonCustomerByEmail".into()),
                    ..Grantee::default()
                },
                other => return Err(faults::argument("Argument format not recognized", "x-amz-grant", other)),
            };
            check_grantee(&grantee)?;
            Ok(grantee)
        })
        .collect()
}

fn check_grantee(grantee: &Grantee) -> Result<(), Fault> {
    match grantee.type_.as_deref() {
        Some("CanonicalUser") => {
            let id = grantee.id.as_deref().unwrap_or_default();
            if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Ok(());
            }
            Err(faults::argument("Invalid id", "CanonicalUser/ID", id))
        }
        Some("Group") => {
            let uri = grantee.uri.as_deref().unwrap_or_default();
            if [ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY].contains(&uri) {
                return Ok(());
            }
            Err(faults::argument("Invalid group uri", "Group/URI", uri))
        }
        Some("AmazonCustomerByEmail") => {
            let words = "The e-mail address you provided does not match any account on record.";
            Err(Fault::new("UnresolvableGrantByEmailAddress", 400, words))
        }
        _ => Err(faults::malformed()),
    }
}

/// A list that came as a body, checked. `owner` is the canonical id of whose it must be.
///
/// # Errors
/// MalformedACLError, AccessDenied, InvalidArgument.
pub(crate) fn of_body(list: AccessControlPolicy, owner: &str) -> Result<AccessControlPolicy, Fault> {
    let broken = || {
        let words = "The XML you provided was not well-formed or did not validate against our published schema";
        Fault::new("MalformedACLError", 400, words)
    };
    let named = list.owner.as_ref().and_then(|owner| owner.id.as_deref()).ok_or_else(broken)?;
    if named != owner {
        return Err(faults::denied());
    }
    let grants = list.grants.as_deref().unwrap_or_default();
    if grants.len() > GRANTS {
        return Err(broken());
    }
    for Grant { grantee, permission } in grants {
        check_grantee(grantee.as_ref().ok_or_else(broken)?)?;
        if !matches!(permission.as_deref(), Some("FULL_CONTROL" | "READ" | "WRITE" | "READ_ACP" | "WRITE_ACP")) {
            return Err(broken());
        }
    }
    Ok(AccessControlPolicy { grants: Some(grants.to_vec()), ..list })
}

fn is_public_group(grant: &Grant) -> bool {
    let uri = grant.grantee.as_ref().and_then(|grantee| grantee.uri.as_deref());
    matches!(uri, Some(ALL_USERS | AUTHENTICATED_USERS))
}

/// Whether a list grants anything to everyone, or to everyone with an account.
pub(crate) fn is_public(list: &AccessControlPolicy) -> bool {
    list.grants.iter().flatten().any(is_public_group)
}

/// Whether a list grants anything to anybody but one canonical id.
pub(crate) fn reaches_others(list: &AccessControlPolicy, id: &str) -> bool {
    list.grants.iter().flatten().any(|grant| grant.grantee.as_ref().is_some_and(|it| it.id.as_deref() != Some(id)))
}

/// Whether a list gives a canonical id everything.
pub(crate) fn gives_all(list: &AccessControlPolicy, id: &str) -> bool {
    let all = |grant: &Grant| {
        grant.permission.as_deref() == Some("FULL_CONTROL")
            && grant.grantee.as_ref().is_some_and(|it| it.id.as_deref() == Some(id))
    };
    list.grants.iter().flatten().any(all)
}

/// Who asks, as lists know them: none is nobody.
pub(crate) type Asker<'a> = Option<(Account, &'a str)>;

/// The statements that let a caller do what a list grants it. `without_public`: what is granted to everyone does not count.
pub(crate) fn statements(
    list: &AccessControlPolicy,
    of: Of,
    resource: &str,
    asker: Asker<'_>,
    without_public: bool,
) -> Vec<Value> {
    let mut out = Vec::new();
    for grant in list.grants.iter().flatten() {
        let Some(grantee) = &grant.grantee else { continue };
        if without_public && is_public_group(grant) {
            continue;
        }
        let principal = match (asker, grantee.uri.as_deref(), grantee.id.as_deref()) {
            (_, Some(ALL_USERS), _) => json!("*"),
            (Some((account, _)), Some(AUTHENTICATED_USERS), _) => json!({"AWS": account.as_str()}),
            (Some((account, id)), _, Some(granted)) if id == granted => json!({"AWS": account.as_str()}),
            _ => continue,
        };
        for (actions, below) in actions(grant.permission.as_deref().unwrap_or_default(), of) {
            let resource = if below { format!("{resource}/*") } else { resource.to_owned() };
            let sid = format!("acl{}", out.len());
            out.push(
                json!({"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": actions, "Resource": resource}),
            );
        }
    }
    out
}

/// The actions of a permission, and whether they are on what lies in the bucket.
/// Source: as above, "Mapping of ACL permissions and access policy permissions".
fn actions(permission: &str, of: Of) -> Vec<(&'static [&'static str], bool)> {
    const LIST: &[&str] = &["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"];
    const PUT: &[&str] = &["s3:PutObject"];
    const GET: &[&str] = &["s3:GetObject", "s3:GetObjectVersion"];
    let all = |each: [&str; 4]| each.into_iter().flat_map(|one| actions(one, of)).collect();
    match (permission, of) {
        ("FULL_CONTROL", Of::Bucket) => all(["READ", "WRITE", "READ_ACP", "WRITE_ACP"]),
        ("FULL_CONTROL", Of::Object) => all(["READ", "READ_ACP", "WRITE_ACP", ""]),
        ("READ", Of::Bucket) => vec![(LIST, false)],
        ("WRITE", Of::Bucket) => vec![(PUT, true)],
        ("READ_ACP", Of::Bucket) => vec![(&["s3:GetBucketAcl"], false)],
        ("WRITE_ACP", Of::Bucket) => vec![(&["s3:PutBucketAcl"], false)],
        ("READ", Of::Object) => vec![(GET, false)],
        ("READ_ACP", Of::Object) => vec![(&["s3:GetObjectAcl", "s3:GetObjectVersionAcl"], false)],
        ("WRITE_ACP", Of::Object) => vec![(&["s3:PutObjectAcl", "s3:PutObjectVersionAcl"], false)],
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> String {
        String::from(digit).repeat(64)
    }

    fn shown(list: &AccessControlPolicy) -> Vec<String> {
        let grants = list.grants.iter().flatten();
        grants
            .map(|grant| {
                let grantee = grant.grantee.as_ref().unwrap();
                let who = grantee.uri.as_deref().or(grantee.id.as_deref()).unwrap();
                format!(
                    "{} {}",
                    who.rsplit('/').next().unwrap().chars().take(8).collect::<String>(),
                    grant.permission.as_ref().unwrap()
                )
            })
            .collect()
    }

    #[test]
    fn lists_have_names() {
        let (owner, bucket) = (id('a'), id('b'));
        let of = |name, of| {
            let given = Given { canned: Some(name), ..Given::default() };
            given.list(of, &owner, &bucket).map(|list| shown(&list.unwrap()))
        };
        assert_eq!(of("private", Of::Bucket).unwrap(), ["aaaaaaaa FULL_CONTROL"]);
        assert_eq!(of("public-read", Of::Object).unwrap(), ["aaaaaaaa FULL_CONTROL", "AllUsers READ"]);
        let both = ["aaaaaaaa FULL_CONTROL", "AllUsers READ", "AllUsers WRITE"];
        assert_eq!(of("public-read-write", Of::Bucket).unwrap(), both);
        assert_eq!(of("bucket-owner-full-control", Of::Object).unwrap()[1], "bbbbbbbb FULL_CONTROL");
        assert_eq!(of("bucket-owner-read", Of::Object).unwrap()[1], "bbbbbbbb READ");
        assert_eq!(of("log-delivery-write", Of::Bucket).unwrap()[1..], ["LogDeliv WRITE", "LogDeliv READ_ACP"]);
        assert_eq!(of("authenticated-read", Of::Bucket).unwrap()[1], "Authenti READ");
        for (name, place) in [("no", Of::Bucket), ("bucket-owner-read", Of::Bucket), ("log-delivery-write", Of::Object)]
        {
            assert_eq!(of(name, place).unwrap_err().code, "InvalidArgument", "{name}");
        }
    }

    #[test]
    fn headers_grant_and_are_checked() {
        let owner = id('a');
        let text = format!("id=\"{}\", uri=\"{ALL_USERS}\"", id('c'));
        let given = Given { read: Some(&text), ..Given::default() };
        assert_eq!(
            shown(&given.list(Of::Object, &owner, &owner).unwrap().unwrap()),
            ["cccccccc READ", "AllUsers READ"]
        );
        for (text, code) in [
            ("id=1", "InvalidArgument"),
            ("uri=http://example.com", "InvalidArgument"),
            ("emailAddress=a@b.c", "UnresolvableGrantByEmailAddress"),
            ("nobody", "InvalidArgument"),
        ] {
            let given = Given { write_acp: Some(text), ..Given::default() };
            assert_eq!(given.list(Of::Object, &owner, &owner).unwrap_err().code, code, "{text}");
        }
        let both = Given { canned: Some("private"), read: Some(&text), ..Given::default() };
        assert_eq!(both.list(Of::Object, &owner, &owner).unwrap_err().code, "InvalidRequest");
        assert!(Given::default().list(Of::Object, &owner, &owner).unwrap().is_none());
    }

    #[test]
    fn a_list_says_what_a_statement_says() {
        let owner = id('a');
        let account: Account = "111122223333".parse().unwrap();
        let public = Given { canned: Some("public-read"), ..Given::default() };
        let public = public.list(Of::Object, &owner, &owner).unwrap().unwrap();
        let nobody = statements(&public, Of::Object, "r", None, false);
        assert_eq!(nobody.len(), 1);
        assert_eq!(nobody[0]["Principal"], "*");
        assert_eq!(nobody[0]["Action"], json!(["s3:GetObject", "s3:GetObjectVersion"]));
        assert!(statements(&public, Of::Object, "r", None, true).is_empty(), "public grants are ignored");
        assert_eq!(statements(&public, Of::Object, "r", Some((account, &owner)), true).len(), 3, "the owner's are not");
        let known = Given { canned: Some("authenticated-read"), ..Given::default() };
        let known = known.list(Of::Bucket, &owner, &owner).unwrap().unwrap();
        assert!(statements(&known, Of::Bucket, "r", None, false).is_empty());
        let theirs = statements(&known, Of::Bucket, "r", Some((account, "other")), false);
        assert_eq!(theirs[0]["Principal"], json!({"AWS": "111122223333"}));
        assert!(is_public(&public) && is_public(&known) && !is_public(&private(&owner)));
        assert!(reaches_others(&public, &owner) && !reaches_others(&private(&owner), &owner));
    }
}
