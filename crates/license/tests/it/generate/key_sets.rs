//! `key-sets.json`.

use usher_license::{KeySetClaims, Typ, signing_input};

use super::{
    ISSUER, KeySetCase, KeySetTrust, KeySets, NOW, claims,
    keys::{
        add, base64url, both_keys, header, jwk, key_set_of, license, published, retired_key, root_key, sign,
        signing_key, stranger, text,
    },
};

pub(super) fn key_sets() -> Result<KeySets, serde_json::Error> {
    let trust =
        KeySetTrust { issuer: ISSUER.to_owned(), root: jwk(&root_key()).thumbprint(), minimum_serial: 7 };
    let good = KeySetClaims {
        iss: ISSUER.to_owned(),
        iat: NOW,
        serial: 7,
        root: jwk(&root_key()),
        keys: both_keys(),
    };
    let json = text(&good)?;
    let strange = text(&KeySetClaims { root: jwk(&stranger()), ..good.clone() })?;
    let mut cases = Vec::new();
    let mut case = |expect: &str, name: &str, key_set: String| {
        cases.push(KeySetCase { name: name.to_owned(), key_set, expect: expect.to_owned() });
    };
    let root_kid = jwk(&root_key()).thumbprint();

    case("ok", "two keys, one of them retired", key_set_of(&json, &root_key()));
    case(
        "ok",
        "a later serial",
        key_set_of(&text(&KeySetClaims { serial: 8, ..good.clone() })?, &root_key()),
    );
    let foreign = json.replacen(r#""keys":["#, r#""keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},"#, 1);
    case("ok", "a key of a kind that is not known", key_set_of(&foreign, &root_key()));
    case("wrong-root", "another root, consistently", key_set_of(&strange, &stranger()));
    case("wrong-root", "another root under the pinned kid", {
        sign(&signing_input(Typ::KeySet, &root_kid, strange.as_bytes()), &stranger())
    });
    case("wrong-root", "the pinned root under another kid", {
        sign(&signing_input(Typ::KeySet, &jwk(&stranger()).thumbprint(), json.as_bytes()), &root_key())
    });
    case("bad-signature", "the pinned root, signed by another", {
        sign(&signing_input(Typ::KeySet, &root_kid, json.as_bytes()), &stranger())
    });
    case("wrong-type", "a license document", license(&claims())?);
    case("wrong-issuer", "another issuer", {
        key_set_of(
            &text(&KeySetClaims { iss: "https://usher.other.example".to_owned(), ..good.clone() })?,
            &root_key(),
        )
    });
    case(
        "old-key-set",
        "an earlier serial",
        key_set_of(&text(&KeySetClaims { serial: 6, ..good.clone() })?, &root_key()),
    );
    case(
        "no-usable-key",
        "no key",
        key_set_of(&text(&KeySetClaims { keys: vec![], ..good.clone() })?, &root_key()),
    );
    let retired = vec![published(&retired_key(), NOW)];
    case("no-usable-key", "only a retired key", {
        key_set_of(&text(&KeySetClaims { keys: retired, ..good.clone() })?, &root_key())
    });
    let other_kid =
        json.replace(jwk(&signing_key()).thumbprint().as_str(), jwk(&stranger()).thumbprint().as_str());
    case("kid-mismatch", "a key under another's name", key_set_of(&other_kid, &root_key()));
    let twice = vec![published(&signing_key(), NOW + 1), published(&signing_key(), NOW + 2)];
    case(
        "malformed",
        "a key twice",
        key_set_of(&text(&KeySetClaims { keys: twice, ..good.clone() })?, &root_key()),
    );
    let forever = json.replacen(&format!(r#","exp":{NOW}"#), "", 1);
    case("malformed", "a key without not-after", key_set_of(&forever, &root_key()));
    let private = json.replacen(r#""use":"#, r#""d":"AA","use":"#, 1);
    case("malformed", "a private key", key_set_of(&private, &root_key()));
    case(
        "malformed",
        "no serial",
        key_set_of(&json.replacen(r#""serial":"#, r#""number":"#, 1), &root_key()),
    );
    case("duplicate-member", "serial twice", key_set_of(&add(&json, r#""serial":9"#), &root_key()));
    case("forbidden-header", "the root key in the header", {
        let header = add(
            &header("EdDSA", "usher-keys+jwt", root_kid.as_str()),
            &format!(r#""jwk":{}"#, text(&good.root)?),
        );
        sign(&format!("{}.{}", base64url(header), base64url(&json)), &root_key())
    });
    Ok(KeySets { trust, now: NOW, cases })
}
