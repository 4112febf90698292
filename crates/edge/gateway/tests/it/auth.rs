//! Who is believed: a known key's signature always counts; what proves nothing counts on loopback only.

use crate::world::{IDENTITY, KEY, LIST, Made, SECRET, Signed, VOID, World, root};

#[tokio::test]
async fn a_known_key_is_verified_and_names_its_principal_and_region() {
    let world = World::new().await;
    assert_eq!(world.signed(KEY, SECRET, None, LIST).await.status, 200);
    assert_eq!(world.signed(KEY, SECRET, None, IDENTITY).await.status, 200);
    for seen in world.seen() {
        assert_eq!((seen.principal, seen.region.as_str()), (root("111122223333", true), "eu-west-1"));
    }
}

#[tokio::test]
async fn a_wrong_secret_or_a_changed_body_of_a_known_key_is_refused_even_on_loopback() {
    let world = World::new().await;
    let got = world.signed(KEY, "wrong", None, LIST).await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (403, "InvalidSignatureException"));
    let got = world.signed(KEY, "wrong", None, IDENTITY).await;
    assert!(got.status == 403 && got.body.contains("<Code>SignatureDoesNotMatch</Code>"), "{got:?}");
    let changed = Signed { sent_body: Some(b"Action=GetSessionToken&Version=2011-06-15  "), ..IDENTITY };
    assert_eq!(world.signed(KEY, SECRET, None, changed).await.status, 403);
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn a_temporary_key_needs_its_token_and_ends() {
    let world = World::new().await;
    assert_eq!(world.signed("ASIATEMPORARY", SECRET, Some("token"), LIST).await.status, 200);
    let got = world.signed("ASIATEMPORARY", SECRET, Some("another"), LIST).await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (403, "UnrecognizedClientException"));
    assert_eq!(world.signed("ASIATEMPORARY", SECRET, None, LIST).await.status, 403);
    let got = world.signed("ASIAOVER", SECRET, Some("token"), LIST).await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (403, "ExpiredTokenException"));
    assert_eq!(world.seen().len(), 1);
}

#[tokio::test]
async fn a_void_key_is_refused_as_if_nobody_had_made_it_also_where_unknown_keys_are_believed() {
    for loopback in [true, false] {
        let world = World::made(Made { loopback, ..Made::default() }).await;
        for (secret, target, code) in [
            (SECRET, LIST, "UnrecognizedClientException"),
            ("another", LIST, "UnrecognizedClientException"),
            (SECRET, IDENTITY, "InvalidClientTokenId"),
        ] {
            let got = world.signed(VOID, secret, None, target).await;
            assert_eq!(got.status, 403);
            let body = &got.body;
            assert!(got.header("x-amzn-errortype") == code || body.contains(code), "{body}");
            assert!(body.contains("The security token included in the request is invalid."), "{body}");
        }
        assert!(world.seen().is_empty());
    }
}

#[tokio::test]
async fn unknown_keys_and_no_key_are_believed_on_loopback_only() {
    for loopback in [true, false] {
        let world = World::made(Made { loopback, ..Made::default() }).await;
        let unsigned = world.ask("GET", "/2015-03-31/functions", &[], b"").await;
        let unknown = world.signed("test", "test", None, LIST).await;
        let digits = world.signed("123456789012", "test", None, IDENTITY).await;
        if loopback {
            assert_eq!([unsigned.status, unknown.status, digits.status], [200; 3]);
            let principals: Vec<_> = world.seen().into_iter().map(|seen| seen.principal).collect();
            let expected = ["000000000000", "000000000000", "123456789012"].map(|account| root(account, false));
            assert_eq!(principals, expected);
        } else {
            assert_eq!(unsigned.header("x-amzn-errortype"), "MissingAuthenticationTokenException");
            assert_eq!(unknown.header("x-amzn-errortype"), "UnrecognizedClientException");
            assert!(digits.body.contains("<Code>InvalidClientTokenId</Code>"), "{digits:?}");
            assert_eq!([unsigned.status, unknown.status, digits.status], [403; 3]);
            assert!(world.seen().is_empty());
        }
    }
}

#[tokio::test]
async fn an_unknown_key_holds_no_rights_over_an_account_with_keys() {
    let world = World::new().await;
    let got = world.signed("111122223333", "test", None, LIST).await;
    assert_eq!((got.status, got.header("x-amzn-errortype")), (403, "UnrecognizedClientException"));
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn a_mangled_signature_is_refused_with_a_client_error() {
    let world = World::new().await;
    for header in [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b",
        "AWS4-HMAC-SHA256 Credential=,Signature=,SignedHeaders=",
    ] {
        let got = world.ask("GET", "/2015-03-31/functions", &[("authorization", header)], b"").await;
        assert!((400..500).contains(&got.status), "{header}: {got:?}");
    }
    assert!(world.seen().is_empty());
}
