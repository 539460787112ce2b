use std::sync::LazyLock;

use openidconnect::{PrivateSigningKey as _, core::CoreEdDsaPrivateSigningKey};
use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey},
    ecdsa::EcdsaSig,
    hash::{MessageDigest, hash},
    nid::Nid,
    pkey::Private,
};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;
const TOKEN: &str = "usher_act_0000";

fn ed(seed: u8) -> (CoreEdDsaPrivateSigningKey, Value) {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([seed; 32]);
    let body = base64::prelude::BASE64_STANDARD.encode(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let key = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, None).unwrap();
    let jwk = serde_json::to_value(key.as_verification_key()).unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": jwk["x"]});
    (key, jwk)
}

static ED: LazyLock<(CoreEdDsaPrivateSigningKey, Value)> = LazyLock::new(|| ed(1));

static EC: LazyLock<(EcKey<Private>, Value)> = LazyLock::new(|| {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = EcKey::generate(&group).unwrap();
    let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    let mut context = BigNumContext::new().unwrap();
    key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
    let text = |number: &BigNum| BASE64_URL_SAFE_NO_PAD.encode(number.to_vec_padded(32).unwrap());
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": text(&x), "y": text(&y)});
    (key, jwk)
});

fn by_ed(text: &[u8]) -> Vec<u8> {
    ED.0.sign(&CoreJwsSigningAlgorithm::EdDsa, text).unwrap()
}

fn by_ec(text: &[u8]) -> Vec<u8> {
    let signature = EcdsaSig::sign(&hash(MessageDigest::sha256(), text).unwrap(), &EC.0).unwrap();
    [signature.r(), signature.s()].map(|part| part.to_vec_padded(32).unwrap()).concat()
}

fn made(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fn header() -> Value {
    json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": ED.1})
}

fn claims() -> Value {
    json!({"jti": "j", "htm": "POST", "htu": "https://usher.acme.example:8443/v1/heartbeat", "iat": NOW, "ath": encoded(TOKEN.as_bytes())})
}

/// `base` with these members instead; those that are null are left out.
fn with(mut base: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        base[name] = value.clone();
    }
    base.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    base
}

fn judge(proof: &str) -> Result<Proven, Check> {
    let names = ["usher.acme.example", "::1"].map(String::from);
    let expected = Expected {
        method: "POST",
        path: "/v1/heartbeat",
        names: &names,
        token: Some(TOKEN),
        now: Timestamp::from_second(NOW).unwrap(),
        nonce_made: &|nonce| nonce.strip_prefix("ours ")?.parse().ok(),
    };
    verify(proof, &expected)
}

fn with_header(members: &Value) -> Result<Proven, Check> {
    judge(&made(&with(header(), members).to_string(), &claims().to_string(), by_ed))
}

fn with_claims(members: &Value) -> Result<Proven, Check> {
    judge(&made(&header().to_string(), &with(claims(), members).to_string(), by_ed))
}

#[test]
fn a_proof_by_either_algorithm_is_good_and_says_whose_key_it_is() {
    let proven = with_claims(&json!({})).unwrap();
    assert_eq!(proven.thumbprint.len(), 43);
    assert_eq!(with_claims(&json!({})).unwrap(), proven);
    assert_ne!(with_claims(&json!({"jti": "k"})).unwrap().id, proven.id, "each is another one");
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": EC.1});
    let by_other = judge(&made(&header.to_string(), &claims().to_string(), by_ec)).unwrap();
    assert_ne!(by_other.thumbprint, proven.thumbprint);
    assert_ne!(by_other.id, proven.id, "of another key it is another one, whatever its jti");
}

#[test]
fn the_thumbprint_is_that_of_the_standards() {
    // RFC 8037, appendix A.3; RFC 9449, section 4.1 and section 6.1.
    let thumbprint = |jwk: Value, algorithm| {
        let jwk: Jwk = serde_json::from_value(jwk).unwrap();
        jwk.key(&algorithm).unwrap().1
    };
    let okp = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    assert_eq!(
        thumbprint(okp, CoreJwsSigningAlgorithm::EdDsa),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    let ec = json!({"kty": "EC", "crv": "P-256", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"});
    assert_eq!(
        thumbprint(ec, CoreJwsSigningAlgorithm::EcdsaP256Sha256),
        "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    );
}

#[test]
fn what_is_no_proof_is_refused() {
    for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "\u{f6}.\u{f6}.\u{f6}"] {
        assert_eq!(judge(text), Err(Check::Malformed), "{text}");
    }
    let good = made(&header().to_string(), &claims().to_string(), by_ed);
    assert!(judge(&good).is_ok());
    assert_eq!(judge(&format!("{good}=")), Err(Check::Malformed));
    let long = |bytes: usize| with_claims(&json!({"more": "x".repeat(bytes)})).map(|_| ());
    assert_eq!((long(100), long(2_000)), (Ok(()), Err(Check::Malformed)));
    for name in ["jti", "htm", "htu", "iat"] {
        assert_eq!(with_claims(&json!({name: null})), Err(Check::Malformed), "{name}");
    }
    let twice = claims().to_string().replacen('{', r#"{"htm": "POST","#, 1);
    assert_eq!(judge(&made(&header().to_string(), &twice, by_ed)), Err(Check::Malformed), "one member twice");
}

#[test]
fn what_is_made_for_something_else_or_not_as_it_must_be_is_refused() {
    assert!(with_header(&json!({"kid": "1"})).is_ok(), "what is not known is left aside");
    for other in ["JWT", "dpop", "DPOP+JWT", ""] {
        assert_eq!(with_header(&json!({"typ": other})), Err(Check::Type), "{other}");
    }
    for crit in [json!(["b64"]), json!([]), json!("exp")] {
        assert_eq!(with_header(&json!({"crit": crit})), Err(Check::Critical), "{crit}");
    }
    for algorithm in ["none", "HS256", "RS256", "ES384", "Ed25519", "eddsa", ""] {
        assert_eq!(with_header(&json!({"alg": algorithm})), Err(Check::Algorithm), "{algorithm}");
    }
    let unsigned =
        made(&with(header(), &json!({"alg": "none"})).to_string(), &claims().to_string(), |_| Vec::new());
    assert_eq!(judge(&unsigned), Err(Check::Algorithm));
}

#[test]
fn a_key_is_a_public_one_of_its_algorithm_and_nothing_else() {
    for (members, what) in [
        (json!({"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}), "a private key"),
        (json!({"d": ""}), "what looks like one"),
        (json!({"kty": "oct", "k": "AAAA"}), "a symmetric key"),
        (json!({"kty": "EC"}), "another kind"),
        (json!({"crv": "X25519"}), "another curve"),
        (json!({"crv": null}), "no curve"),
        (json!({"x": null}), "no coordinate"),
        (json!({"x": "AAAA"}), "a short coordinate"),
        (json!({"y": ED.1["x"]}), "one too many"),
    ] {
        let jwk = with(ED.1.clone(), &members);
        assert_eq!(with_header(&json!({"jwk": jwk})), Err(Check::Key), "{what}");
    }
    let padded = format!("{}=", ED.1["x"].as_str().unwrap());
    assert_eq!(with_header(&json!({"jwk": with(ED.1.clone(), &json!({"x": padded}))})), Err(Check::Key));
    assert_eq!(with_header(&json!({"jwk": EC.1})), Err(Check::Key), "a key of another algorithm");
    let private = with(EC.1.clone(), &json!({"d": "AAAA"}));
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": private});
    assert_eq!(judge(&made(&header.to_string(), &claims().to_string(), by_ec)), Err(Check::Key));
}

#[test]
fn a_signature_is_by_the_key_that_the_proof_names() {
    assert_eq!(with_header(&json!({"jwk": ed(2).1})), Err(Check::Signature), "another's key");
    let good = made(&header().to_string(), &claims().to_string(), by_ed);
    let other = made(&header().to_string(), &with(claims(), &json!({"jti": "k"})).to_string(), by_ed);
    let (text, _) = good.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    assert_eq!(judge(&format!("{text}.{signature}")), Err(Check::Signature), "of other claims");
    assert_eq!(judge(&format!("{text}.")), Err(Check::Signature), "none");
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": EC.1});
    let wrong = made(&header.to_string(), &claims().to_string(), |_| vec![0; 64]);
    assert_eq!(judge(&wrong), Err(Check::Signature));
}

#[test]
fn a_proof_is_good_for_its_method_and_its_address_only() {
    for method in ["GET", "post", "DELETE", ""] {
        assert_eq!(with_claims(&json!({"htm": method})), Err(Check::Method), "{method}");
    }
    for same in [
        "https://usher.acme.example/v1/heartbeat",
        "https://usher.acme.example:443/v1/heartbeat",
        "HTTPS://usher.acme.example:30443/v1/./heartbeat",
        "https://[::1]:8443/v1/heartbeat",
    ] {
        assert!(with_claims(&json!({"htu": same})).is_ok(), "{same}");
    }
    for other in [
        "http://usher.acme.example/v1/heartbeat",
        "https://other.acme.example/v1/heartbeat",
        "https://usher.acme.example.other.example/v1/heartbeat",
        "https://usher.acme.example@other.acme.example/v1/heartbeat",
        &"https://usher.acme.example/v1/heartbeat".replace("://", "://ann@"),
        "https://usher.acme.example/v1/heartbeat/",
        "https://usher.acme.example/v1/Heartbeat",
        "https://usher.acme.example/v1/sessions",
        "https://usher.acme.example/v1/heartbeat?a=b",
        "https://usher.acme.example/v1/heartbeat?",
        "https://usher.acme.example/v1/heartbeat#a",
        "https://usher.acme.example/",
        "/v1/heartbeat",
        "",
    ] {
        assert_eq!(with_claims(&json!({"htu": other})), Err(Check::Address), "{other}");
    }
}

#[test]
fn a_proof_is_good_with_its_token_only() {
    for (ath, what) in [
        (Value::Null, "none"),
        (json!(""), "an empty one"),
        (json!(encoded(b"usher_act_0001")), "another token's"),
        (json!(TOKEN), "the token itself"),
    ] {
        assert_eq!(with_claims(&json!({"ath": ath})), Err(Check::Token), "{what}");
    }
}

#[test]
fn a_jti_is_there_and_no_longer_than_it_need_be() {
    assert!(with_claims(&json!({"jti": "j".repeat(LONGEST_ID)})).is_ok());
    for jti in [String::new(), "j".repeat(LONGEST_ID + 1)] {
        assert_eq!(with_claims(&json!({"jti": jti})), Err(Check::Id), "{jti}");
    }
}

#[test]
fn a_proof_is_of_now_by_its_makers_clock_or_by_our_nonce() {
    for iat in [NOW - LEEWAY, NOW + LEEWAY] {
        assert!(with_claims(&json!({"iat": iat})).is_ok(), "{iat}");
    }
    for iat in [NOW - LEEWAY - 1, NOW + LEEWAY + 1, 0, i64::MIN, i64::MAX] {
        assert_eq!(with_claims(&json!({"iat": iat})), Err(Check::Stale), "{iat}");
        let nonce = format!("ours {}", NOW - NONCE_AGE);
        assert!(with_claims(&json!({"iat": iat, "nonce": nonce})).is_ok(), "our clock counts: {iat}");
    }
    for nonce in
        [format!("ours {}", NOW - NONCE_AGE - 1), format!("ours {}", NOW + LEEWAY + 1), "theirs".into()]
    {
        assert_eq!(with_claims(&json!({"nonce": nonce})), Err(Check::Stale), "{nonce}");
    }
}
