//! Tokens of issuers.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base::{Clocks, SystemClocks};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::apigatewayv2::{self as aws, ops};
use serde_json::{Value, json};

use crate::world::{World, input, request};

const ISSUER: &str = "https://issuer.example/pool/";

/// An issuer with one key.
struct Issuer {
    pair: RsaKeyPair,
}

impl Issuer {
    /// One that the world can ask.
    fn known_to(world: &World) -> Self {
        let made = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&made).unwrap();
        let pair = RsaKeyPair::from_pkcs8(der.as_ref()).unwrap();
        // RSAPublicKey in DER: RFC 8017, A.1.1; of 2048 bits its parts are always at these places.
        let public = pair.public_key().as_ref();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let key = json!({
            "kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig",
            "n": text(&public[9..265]),
            "e": text(&public[267..270]),
        });
        let configuration = json!({"issuer": ISSUER, "jwks_uri": "https://issuer.example/keys"});
        let url = "https://issuer.example/pool/.well-known/openid-configuration";
        world.elsewhere.answers(url, 200, configuration.to_string());
        world.elsewhere.answers("https://issuer.example/keys", 200, json!({"keys": [key]}).to_string());
        Self { pair }
    }

    fn signs(&self, key: &str, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({"alg": "RS256", "kid": key})), part(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn claims() -> Value {
    let now_s = SystemClocks.signing().0 / 1000;
    json!({"iss": ISSUER, "aud": "app", "sub": "ann", "exp": now_s + 60, "scope": "read write", "n": 3})
}

/// An API with a route for tokens, in a payload format.
async fn guarded(world: &World, payload: &str, scopes: &[&str]) -> String {
    let api = world.api().await;
    let input = input!(CreateAuthorizerRequest {
        api_id: &*api,
        name: "tokens",
        authorizer_type: "JWT",
        identity_source: ["$request.header.Authorization".to_owned()],
        jwt_configuration: input!(JWTConfiguration {
            issuer: ISSUER,
            audience: ["app".to_owned(), "other".to_owned()]
        }),
    });
    let made = world.call::<ops::CreateAuthorizer>(input).await.unwrap();
    assert_eq!((made.authorizer_type.as_deref(), made.name.as_deref()), (Some("JWT"), Some("tokens")));
    let integration = world.integration(&api, payload).await;
    let scopes: Vec<String> = scopes.iter().map(|&scope| scope.to_owned()).collect();
    let route = aws::CreateRouteRequest {
        authorization_scopes: Some(scopes.clone()),
        ..input!(CreateRouteRequest {
            api_id: &*api,
            route_key: "GET /",
            target: format!("integrations/{integration}"),
            authorization_type: "JWT",
            authorizer_id: made.authorizer_id.unwrap(),
        })
    };
    let made = world.call::<ops::CreateRoute>(route).await.unwrap();
    assert_eq!(made.authorization_scopes.unwrap_or_default(), scopes);
    world.stage(&api, "$default").await;
    api
}

#[tokio::test]
async fn who_has_a_token_gets_in_and_the_function_hears_of_it() {
    let world = World::new();
    let issuer = Issuer::known_to(&world);
    let api = guarded(&world, "2.0", &[]).await;
    let token = issuer.signs("one", &claims());
    for sent in [format!("Bearer {token}"), token] {
        let told = world.send(&request(&api, "GET", "/", &[("authorization", &sent)], "")).await;
        assert_eq!(told.status, 200, "{:?}", told.headers);
        let authorizer = world.function.called().event["requestContext"]["authorizer"].clone();
        assert_eq!(authorizer["jwt"]["scopes"], Value::Null);
        let claims = &authorizer["jwt"]["claims"];
        assert_eq!(
            (&claims["sub"], &claims["n"], &claims["scope"]),
            (&json!("ann"), &json!("3"), &json!("read write"))
        );
    }
    assert_eq!(world.elsewhere.asked().len(), 2, "the keys are asked for once");
}

#[tokio::test]
async fn who_has_none_hears_why() {
    let world = World::new();
    let issuer = Issuer::known_to(&world);
    let api = guarded(&world, "2.0", &[]).await;
    let told = world.visit(&api, "GET", "/").await;
    assert_eq!(told.both(), (401, r#"{"message":"Unauthorized"}"#));
    assert_eq!(told.header("www-authenticate"), Some("Bearer"));
    let mut old = claims();
    old["exp"] = json!(1);
    for (sent, why) in [
        ("nonsense".to_owned(), "invalid number of segments"),
        (issuer.signs("one", &old), "the token has expired"),
        (issuer.signs("two", &claims()), "the token's key is unknown to its issuer"),
        (Issuer::known_to(&World::new()).signs("one", &claims()), "invalid signature"),
    ] {
        let told = world.send(&request(&api, "GET", "/", &[("authorization", &sent)], "")).await;
        assert_eq!(told.both(), (401, r#"{"message":"Unauthorized"}"#));
        let challenge = told.header("www-authenticate").unwrap();
        assert!(challenge.contains("invalid_token") && challenge.contains(why), "{challenge}");
    }
    assert!(!world.function.was_called());
    let asked = world.elsewhere.asked().len();
    assert_eq!(asked, 2, "unknown keys do not send the platform to the issuer each time");
}

#[tokio::test]
async fn a_route_may_want_scopes() {
    let world = World::new();
    let issuer = Issuer::known_to(&world);
    let api = guarded(&world, "1.0", &["write", "admin"]).await;
    world.function.does(crate::world::Does::Answers(json!({"statusCode": 200})));
    let sent = issuer.signs("one", &claims());
    assert_eq!(world.send(&request(&api, "GET", "/", &[("authorization", &sent)], "")).await.status, 200);
    let authorizer = world.function.called().event["requestContext"]["authorizer"].clone();
    assert_eq!((&authorizer["scopes"], &authorizer["claims"]["sub"]), (&json!(["write"]), &json!("ann")));
    let mut less = claims();
    less["scope"] = json!("read");
    let sent = issuer.signs("one", &less);
    let told = world.send(&request(&api, "GET", "/", &[("authorization", &sent)], "")).await;
    assert_eq!(told.both(), (403, r#"{"message":"Forbidden"}"#));
    assert_eq!(told.header("www-authenticate"), Some(r#"Bearer scope="write admin" error="insufficient_scope""#));
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_lets_nobody_in() {
    let world = World::new();
    let elsewhere = World::new();
    let issuer = Issuer::known_to(&elsewhere);
    let api = guarded(&world, "2.0", &[]).await;
    let sent = issuer.signs("one", &claims());
    let told = world.send(&request(&api, "GET", "/", &[("authorization", &sent)], "")).await;
    assert_eq!(told.status, 401);
    assert!(told.header("www-authenticate").unwrap().contains("OIDC discovery endpoint communication error"));
    // Another issuer and audience are another authorizer.
    let made = input!(GetAuthorizersRequest { api_id: &*api });
    let made = world.call::<ops::GetAuthorizers>(made).await.unwrap().items.unwrap().pop().unwrap();
    let sent = Issuer::known_to(&world).signs("one", &claims());
    let update = input!(UpdateAuthorizerRequest {
        api_id: &*api,
        authorizer_id: made.authorizer_id.unwrap(),
        identity_source: ["$request.querystring.token".to_owned()],
        jwt_configuration: input!(JWTConfiguration {
            issuer: "https://issuer.example/pool",
            audience: ["x".to_owned()]
        }),
    });
    world.call::<ops::UpdateAuthorizer>(update).await.unwrap();
    let told = world.send(&request(&api, "GET", &format!("/?token={sent}"), &[], "")).await;
    assert!(told.header("www-authenticate").unwrap().contains("invalid issuer"), "{:?}", told.headers);
}
