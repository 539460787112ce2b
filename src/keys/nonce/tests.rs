use super::*;

const AT: Position = Position { incarnation: 3, sequence: 258 };

fn keys() -> NonceKeys {
    NonceKeys::new(NonceKey::from_secret([7; 32]), Vec::new())
}

#[test]
fn a_nonce_is_read_as_the_position_that_it_was_made_for() {
    let nonce = keys().nonce("a", AT);
    assert_eq!(nonce.len(), LENGTH);
    assert_eq!(keys().read("a", &nonce), Presented::Genuine(AT));
    assert_eq!(nonce, keys().nonce("a", AT), "it is the same each time");
}

/// Computed with another implementation of HMAC: what is out there must stay readable.
#[test]
fn the_form_of_a_nonce_does_not_change() {
    assert_eq!(keys().nonce("a", AT), "uEFt9QAAAAMAAAAAAAABAhSuurLXhRIBJoR2h0qKA7Q");
}

#[test]
fn a_nonce_is_good_for_its_activation_its_position_and_its_key_only() {
    let nonce = keys().nonce("a", AT);
    assert_eq!(keys().read("b", &nonce), Presented::NotOurs);
    let whole = BASE64_URL_SAFE_NO_PAD.decode(&nonce).unwrap();
    for at in 0..whole.len() {
        let mut other = whole.clone();
        other[at] ^= 1;
        let other = BASE64_URL_SAFE_NO_PAD.encode(other);
        assert_eq!(keys().read("a", &other), Presented::NotOurs, "byte {at}");
    }
    let others = NonceKeys::new(NonceKey::from_secret([8; 32]), Vec::new());
    assert_eq!(others.read("a", &nonce), Presented::NotOurs);
}

#[test]
fn a_nonce_under_a_former_key_is_still_known() {
    let nonce = keys().nonce("a", AT);
    let former = vec![NonceKey::from_secret([9; 32]), NonceKey::from_secret([7; 32])];
    let turned = NonceKeys::new(NonceKey::from_secret([8; 32]), former);
    assert_eq!(turned.read("a", &nonce), Presented::Genuine(AT));
    assert_ne!(turned.nonce("a", AT), nonce, "new ones are made under the new key");
}

#[test]
fn the_token_of_an_activation_is_its_own_and_no_nonce() {
    assert_eq!(keys().token_seed("a"), keys().token_seed("a"));
    assert_ne!(keys().token_seed("a"), keys().token_seed("b"));
    let others = NonceKeys::new(NonceKey::from_secret([8; 32]), Vec::new());
    assert_ne!(keys().token_seed("a"), others.token_seed("a"));
}

#[test]
fn an_activation_key_is_known_as_ours_for_its_license_and_its_name_only() {
    let (license, other) = (Uid("one".into()), Uid("two".into()));
    let key = keys().activation_key(&license, "lab", &[5; 32]);
    assert!(Purpose::ActivationKey.is_of(&key), "{}", *key);
    assert!(keys().made_activation_key(&license, "lab", &key));
    let former = NonceKeys::new(NonceKey::from_secret([8; 32]), vec![NonceKey::from_secret([7; 32])]);
    assert!(former.made_activation_key(&license, "lab", &key));
    assert!(!keys().made_activation_key(&other, "lab", &key));
    assert!(!keys().made_activation_key(&license, "fab", &key));
    let strange = NonceKeys::new(NonceKey::from_secret([8; 32]), Vec::new());
    assert!(!strange.made_activation_key(&license, "lab", &key));
    let whole = Purpose::ActivationKey.bytes(&key).unwrap();
    for at in 0..whole.len() {
        let mut other = whole.clone();
        other[at] ^= 1;
        let other = Purpose::ActivationKey.of_bytes(&other);
        assert!(!keys().made_activation_key(&license, "lab", &other), "byte {at}");
    }
    assert!(!keys().made_activation_key(&license, "lab", "usher_key_AAAA"));
}

#[test]
fn the_nonce_of_a_proof_says_when_it_was_made_and_nobody_else_can_make_one() {
    let nonce = keys().proof_nonce(1_800_000_000);
    assert_eq!(keys().proof_nonce_made(&nonce), Some(1_800_000_000));
    let former = NonceKeys::new(NonceKey::from_secret([8; 32]), vec![NonceKey::from_secret([7; 32])]);
    assert_eq!(former.proof_nonce_made(&nonce), Some(1_800_000_000));
    let whole = BASE64_URL_SAFE_NO_PAD.decode(&nonce).unwrap();
    for at in 0..whole.len() {
        let mut other = whole.clone();
        other[at] ^= 1;
        let other = BASE64_URL_SAFE_NO_PAD.encode(other);
        assert_eq!(keys().proof_nonce_made(&other), None, "byte {at}");
    }
    let strange = NonceKeys::new(NonceKey::from_secret([8; 32]), Vec::new());
    assert_eq!(strange.proof_nonce_made(&nonce), None);
    for text in ["", "x", &nonce[..30], &keys().nonce("a", AT)] {
        assert_eq!(keys().proof_nonce_made(text), None, "{text}");
    }
}

#[test]
fn a_token_that_is_marked_is_known_as_ours_and_no_other_is() {
    let token = keys().marked(Purpose::Access.token(&[5; 32], ""));
    assert!(Purpose::Access.is_of(&token) && keys().has_marked(&token), "{}", *token);
    let former = NonceKeys::new(NonceKey::from_secret([8; 32]), vec![NonceKey::from_secret([7; 32])]);
    assert!(former.has_marked(&token));
    let strange = NonceKeys::new(NonceKey::from_secret([8; 32]), Vec::new());
    assert!(!strange.has_marked(&token));
    for at in 0..token.len() {
        let mut other = token.as_bytes().to_vec();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        assert!(!keys().has_marked(std::str::from_utf8(&other).unwrap()), "character {at}");
    }
    let bare = Purpose::Access.token(&[5; 32], "");
    for other in ["", "x", "n\u{f6}nce-n\u{f6}", &*bare, &token[1..], &token[..token.len() - 1]] {
        assert!(!keys().has_marked(other), "{other}");
    }
    assert!(keys().has_marked(&keys().activation_key(&Uid("one".into()), "lab", &[5; 32])));
}

#[test]
fn what_is_no_nonce_is_not_ours() {
    let nonce = keys().nonce("a", AT);
    let (half, double, padded) = (&nonce[..40], format!("{nonce}{nonce}"), format!("{nonce}="));
    for text in ["", "x", "n\u{f6}nce", half, &nonce[..22], &double, &padded, &" ".repeat(LENGTH)] {
        assert_eq!(keys().read("a", text), Presented::NotOurs, "{text}");
    }
}

#[test]
fn a_key_survives_being_written_and_read_and_shows_nothing() {
    let key = NonceKey::from_secret([7; 32]);
    let read = NonceKey::from_jwk(key.to_jwk().unwrap().as_bytes()).unwrap();
    assert_eq!(NonceKeys::new(read, Vec::new()).nonce("a", AT), keys().nonce("a", AT));
    assert_eq!(format!("{key:?}"), format!("NonceKey({:?})", key.id));
    for text in ["", "{}", r#"{"kty":"OKP","k":""}"#, r#"{"kty":"oct","k":"AA"}"#, r#"{"kty":"oct","k":"="}"#]
    {
        assert!(matches!(NonceKey::from_jwk(text.as_bytes()), Err(KeyError::Unreadable(_))), "{text}");
    }
}
