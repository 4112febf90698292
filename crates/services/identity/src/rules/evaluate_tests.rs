use proptest::prelude::*;

use super::super::document::{Purpose, read};
use super::*;

/// A statement over few words, so that statements meet.
fn statement(principal: &'static str) -> impl Strategy<Value = (bool, String)> {
    let words = (any::<bool>(), any::<bool>(), "[ab*]{1,2}", any::<bool>(), "[ab*]{1,2}", any::<bool>());
    words.prop_map(move |(allow, no_action, action, no_resource, resource, conditional)| {
        let effect = if allow { "Allow" } else { "Deny" };
        let (action_is, resource_is) =
            (if no_action { "NotAction" } else { "Action" }, if no_resource { "NotResource" } else { "Resource" });
        let condition = if conditional { r#","Condition":{"StringEquals":{"k:k":"v"}}"# } else { "" };
        let text = format!(
            r#"{{"Effect":"{effect}"{principal},"{action_is}":"s:{action}","{resource_is}":"arn:aws:s:::{resource}"{condition}}}"#
        );
        (allow, text)
    })
}

fn policy(statements: &[(bool, String)], purpose: Purpose) -> Vec<Named> {
    let one = |(_, text): &(bool, String)| {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{text}]}}"#);
        Named { name: "p".into(), document: Arc::new(read(&text, purpose).unwrap()) }
    };
    statements.iter().map(one).collect()
}

fn caller() -> Caller {
    let account: Account = "111122223333".parse().unwrap();
    Caller { kind: Kind::User, account, arn: format!("arn:aws:iam::{account}:user/u"), role_arn: None }
}

fn allowed(identity: &[Named], boundary: Option<&[Named]>, resource: Option<&Named>, has_key: bool) -> bool {
    let (caller, mut context) = (caller(), Context::default());
    if has_key {
        context.set("k:k", "v");
    }
    let question =
        Question { caller: &caller, action: "s:ab", resource: "arn:aws:s:::ab", owner: None, context: &context };
    evaluate(&question, &Applicable { identity, boundary, session: None, resource, trust: false }).is_allowed()
}

const EVERYONE: &str = r#","Principal":"*""#;

proptest! {
    #[test]
    fn a_deny_more_never_allows_and_an_allow_more_never_denies(
        set in prop::collection::vec(statement(""), 0..5), more in statement(""), key: bool,
    ) {
        let before = allowed(&policy(&set, Purpose::Identity), None, None, key);
        let mut larger = set;
        larger.push(more.clone());
        let after = allowed(&policy(&larger, Purpose::Identity), None, None, key);
        let holds = if more.0 { after || !before } else { before || !after };
        prop_assert!(holds);
    }

    #[test]
    fn the_order_of_policies_says_nothing(set in prop::collection::vec(statement(""), 0..5), key: bool) {
        let mut turned = set.clone();
        turned.reverse();
        let (one, other) = (policy(&set, Purpose::Identity), policy(&turned, Purpose::Identity));
        prop_assert_eq!(allowed(&one, None, None, key), allowed(&other, None, None, key));
    }

    #[test]
    fn a_boundary_only_takes_away(
        set in prop::collection::vec(statement(""), 0..4), limit in prop::collection::vec(statement(""), 0..4), key: bool,
    ) {
        let (set, limit) = (policy(&set, Purpose::Identity), policy(&limit, Purpose::Identity));
        let bounded = allowed(&set, Some(&limit), None, key);
        prop_assert_eq!(bounded, allowed(&set, None, None, key) && allowed(&limit, None, None, key));
    }

    #[test]
    fn within_an_account_either_side_suffices_and_neither_may_deny(
        set in prop::collection::vec(statement(""), 0..4), grant in statement(EVERYONE), key: bool,
    ) {
        let identity = policy(&set, Purpose::Identity);
        let resource = policy(std::slice::from_ref(&grant), Purpose::Resource);
        let both = allowed(&identity, None, resource.first(), key);
        let (own, theirs) = (allowed(&identity, None, None, key), allowed(&[], None, resource.first(), key));
        // What either side denies, the other cannot save; what it does not speak of, the other decides.
        let denies = |set: &[Named], resource: Option<&Named>| {
            let everything = policy(&[(true, r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#.into())], Purpose::Identity);
            let all: Vec<Named> = set.iter().cloned().chain(everything).collect();
            !allowed(&all, None, resource, key)
        };
        prop_assert_eq!(both, (own || theirs) && !denies(&identity, None) && !denies(&[], resource.first()));
    }
}
