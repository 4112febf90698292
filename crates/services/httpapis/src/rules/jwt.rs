//! JSON web tokens: RFC 7519 and RFC 7515, as far as HTTP APIs go.
//! Source: API Gateway Developer Guide, "Control access to HTTP APIs with JWT authorizers".

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The longest token that is looked at, bytes: no header may be longer.
const LONGEST: usize = crate::limits::HEAD_BYTES;

/// A token, taken apart and not yet believed.
pub(crate) struct Token<'t> {
    // What is signed: head and claims as they were sent.
    signed: &'t str,
    signature: Vec<u8>,
    algorithm: &'static RsaParameters,
    /// Names the key that signed it.
    pub(crate) key_id: String,
    claims: Map<String, Value>,
}

/// An issuer's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// Why a token does not count. The words are for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

fn invalid<T>(words: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(words.into()))
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
}

/// An issuer's keys by their ids; those of other kinds are left out.
pub(crate) fn keys(set: &[u8]) -> Option<BTreeMap<String, Key>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(set).ok()?;
    let one = |key: &Value| {
        let text = |member: &str| key.get(member).and_then(Value::as_str);
        if text("kty") != Some("RSA") || text("use").is_some_and(|of| of != "sig") {
            return None;
        }
        let read = |member: &str| URL_SAFE_NO_PAD.decode(text(member)?.trim_end_matches('=')).ok();
        Some((text("kid")?.to_owned(), Key { modulus: read("n")?, exponent: read("e")? }))
    };
    Some(set.keys.iter().filter_map(one).collect())
}

impl<'t> Token<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// It is none, or is not signed by RSA.
    pub(crate) fn parse(token: &'t str) -> Result<Self, Invalid> {
        if token.len() > LONGEST {
            return invalid("the token is too long");
        }
        let Some((signed, signature)) = token.rsplit_once('.') else {
            return invalid("token contains an invalid number of segments");
        };
        let Some((head, claims)) = signed.split_once('.').filter(|(_, claims)| !claims.contains('.')) else {
            return invalid("token contains an invalid number of segments");
        };
        let read = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let head: Option<Head> = read(head).and_then(|head| serde_json::from_slice(&head).ok());
        let claims: Option<Map<String, Value>> = read(claims).and_then(|claims| serde_json::from_slice(&claims).ok());
        let (Some(head), Some(claims), Some(signature)) = (head, claims, read(signature)) else {
            return invalid("the token is malformed");
        };
        let algorithm = match head.alg.as_str() {
            "RS256" => &RSA_PKCS1_2048_8192_SHA256,
            "RS384" => &RSA_PKCS1_2048_8192_SHA384,
            "RS512" => &RSA_PKCS1_2048_8192_SHA512,
            _ => return invalid("signing method is invalid"),
        };
        let Some(key_id) = head.kid else { return invalid("the token names no key") };
        Ok(Self { signed, signature, algorithm, key_id, claims })
    }

    /// Checks its signature and claims at a moment, seconds since the epoch.
    ///
    /// # Errors
    /// What does not hold.
    pub(crate) fn verify(&self, key: &Key, issuer: &str, audience: &[String], now_s: i64) -> Result<(), Invalid> {
        let key = PublicKeyComponents { n: &*key.modulus, e: &*key.exponent };
        if key.verify(self.algorithm, self.signed.as_bytes(), &self.signature).is_err() {
            return invalid("the token has an invalid signature");
        }
        if self.text("iss") != Some(issuer) {
            return invalid("the token has an invalid issuer");
        }
        let named = match self.claims.get("aud") {
            // Access tokens of some issuers name their client instead.
            None => self.text("client_id").into_iter().collect(),
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            Some(_) => Vec::new(),
        };
        if !named.iter().any(|one| audience.iter().any(|known| known == one)) {
            return invalid("the token does not have a valid audience");
        }
        match self.moment("exp")? {
            Some(exp) if exp > now_s => {}
            _ => return invalid("the token has expired"),
        }
        if self.moment("nbf")?.is_some_and(|nbf| nbf > now_s) {
            return invalid("the token is not valid yet");
        }
        if self.moment("iat")?.is_some_and(|iat| iat > now_s) {
            return invalid("the token was issued in the future");
        }
        Ok(())
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    /// A claim that is a moment; none if it is absent.
    fn moment(&self, claim: &str) -> Result<Option<i64>, Invalid> {
        match self.claims.get(claim) {
            None => Ok(None),
            Some(Value::Number(number)) => {
                let whole = number.as_i64().or_else(|| number.as_f64().map(|moment| moment as i64));
                whole.map(Some).ok_or_else(|| Invalid(format!("the token's {claim} is no moment")))
            }
            Some(_) => invalid(format!("the token's {claim} is no moment")),
        }
    }

    /// The scopes it has: `scope`, or `scp`.
    fn scopes(&self) -> Vec<&str> {
        match self.claims.get("scope").or_else(|| self.claims.get("scp")) {
            Some(Value::String(many)) => many.split(' ').filter(|scope| !scope.is_empty()).collect(),
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Those of the wanted scopes that it has; none if it has none of them.
    pub(crate) fn granted(&self, wanted: &[String]) -> Option<Vec<String>> {
        let has = self.scopes();
        let granted: Vec<String> = wanted.iter().filter(|scope| has.contains(&scope.as_str())).cloned().collect();
        (!granted.is_empty()).then_some(granted)
    }

    /// The claims as events have them: every value a text.
    pub(crate) fn claims(&self) -> Map<String, Value> {
        let text = |value: &Value| {
            let mut text = String::new();
            write_claim(&mut text, value);
            Value::String(text)
        };
        self.claims.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }
}

/// Lists are `[a b]` and objects `map[a:1 b:2]`, as AWS shows them.
fn write_claim(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                write_claim(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push_str("map[");
            for (at, (name, member)) in members.iter().enumerate() {
                let _ = write!(out, "{}{name}:", if at > 0 { " " } else { "" });
                write_claim(out, member);
            }
            out.push(']');
        }
        Value::Null => out.push_str("<nil>"),
        Value::Bool(_) | Value::Number(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://issuer.example";

    fn pair() -> (RsaKeyPair, Key) {
        let made = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&made).unwrap();
        let pair = RsaKeyPair::from_pkcs8(der.as_ref()).unwrap();
        // RSAPublicKey in DER: RFC 8017, A.1.1; of 2048 bits its parts are always at these places.
        let public = pair.public_key().as_ref();
        let key = Key { modulus: public[9..265].to_vec(), exponent: public[267..270].to_vec() };
        (pair, key)
    }

    fn signed(pair: &RsaKeyPair, head: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(head), part(claims));
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn only_what_holds_altogether_counts() {
        let (pair, key) = pair();
        let audience = vec!["app".to_owned()];
        let head = json!({"alg": "RS256", "kid": "k"});
        let good = json!({"iss": ISSUER, "aud": ["other", "app"], "exp": 2000, "nbf": 500, "iat": 500});
        let verify = |claims: &Value| {
            let token = signed(&pair, &head, claims);
            Token::parse(&token).unwrap().verify(&key, ISSUER, &audience, 1000).map_err(|why| why.0)
        };
        assert_eq!(verify(&good), Ok(()));
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            verify(&claims).unwrap_err()
        };
        assert_eq!(with("iss", json!("https://other.example")), "the token has an invalid issuer");
        assert_eq!(with("aud", json!("other")), "the token does not have a valid audience");
        assert_eq!(with("exp", json!(1000)), "the token has expired");
        assert_eq!(with("exp", json!("never")), "the token's exp is no moment");
        assert_eq!(with("nbf", json!(1001)), "the token is not valid yet");
        assert_eq!(with("iat", json!(1001)), "the token was issued in the future");
        assert_eq!(verify(&json!({"iss": ISSUER, "client_id": "app", "exp": 2000})), Ok(()));
        assert!(verify(&json!({"iss": ISSUER, "client_id": "app"})).is_err(), "it must end");
        assert!(verify(&json!({"iss": ISSUER, "exp": 2000})).is_err(), "it must name an audience");
        // Another's signature, and claims that were changed after it.
        let token = signed(&super::tests::pair().0, &head, &good);
        let why = Token::parse(&token).unwrap().verify(&key, ISSUER, &audience, 1000).unwrap_err();
        assert_eq!(why.0, "the token has an invalid signature");
        let (own, forged) =
            (signed(&pair, &head, &good), signed(&pair, &head, &json!({"iss": ISSUER, "aud": "app", "exp": 9000})));
        let forged = format!("{}.{}", forged.rsplit_once('.').unwrap().0, own.rsplit_once('.').unwrap().1);
        assert!(Token::parse(&forged).unwrap().verify(&key, ISSUER, &audience, 1000).is_err());
    }

    #[test]
    fn what_is_no_token_is_told() {
        let (pair, _) = pair();
        for head in [json!({"alg": "none", "kid": "k"}), json!({"alg": "HS256", "kid": "k"}), json!({"alg": "RS256"})] {
            assert!(Token::parse(&signed(&pair, &head, &json!({}))).is_err(), "{head}");
        }
        for text in ["", "a", "a.b", "a.b.c", "a.b.c.d", "..", "é.é.é"] {
            assert!(Token::parse(text).is_err(), "{text}");
        }
        assert!(Token::parse(&"x".repeat(20_000)).is_err());
    }

    #[test]
    fn claims_are_texts_and_scopes_are_known_in_both_forms() {
        let (pair, _) = pair();
        let head = json!({"alg": "RS256", "kid": "k"});
        let claims = json!({"n": 1, "b": true, "l": ["a", "b"], "o": {"x": 1}, "scope": "read write"});
        let token = signed(&pair, &head, &claims);
        let token = Token::parse(&token).unwrap();
        let texts = json!({"n": "1", "b": "true", "l": "[a b]", "o": "map[x:1]", "scope": "read write"});
        assert_eq!(Value::Object(token.claims()), texts);
        let wanted = |scopes: &[&str]| token.granted(&scopes.iter().map(|&scope| scope.to_owned()).collect::<Vec<_>>());
        assert_eq!(wanted(&["write", "admin"]), Some(vec!["write".to_owned()]));
        assert_eq!(wanted(&["admin"]), None);
        let listed = signed(&pair, &head, &json!({"scp": ["admin"]}));
        assert!(Token::parse(&listed).unwrap().granted(&["admin".to_owned()]).is_some());
    }

    #[test]
    fn keys_of_other_kinds_are_left_out() {
        let set = json!({"keys": [
            {"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB", "use": "sig"},
            {"kty": "RSA", "kid": "b", "n": "AQAB", "e": "AQAB", "use": "enc"},
            {"kty": "EC", "kid": "c"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, 3,
        ]});
        let keys = keys(set.to_string().as_bytes()).unwrap();
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(super::keys(b"{}"), None);
    }
}
