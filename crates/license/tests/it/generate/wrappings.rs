//! Documents whose outer form, header or signature is wrong; the payload is a good one.

use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha512};
use usher_license::{Claims, Limits, MAX_BYTES, MAX_DEPTH, Typ, attach, signing_input};

use super::{
    claims,
    documents::Case,
    keys::{
        add, base64url, header, jwk, kid, license_of, nested, retired_key, root_key, sign, signing_key,
        stranger, text, with_header,
    },
};

pub(super) fn shapes(good: &str, case: &mut Case<'_>) {
    let document = license_of(good, &signing_key());
    let (input, signature) = document.rsplit_once('.').unwrap_or_default();
    case("malformed", "nothing", String::new());
    case("malformed", "two parts", input.to_owned());
    case("malformed", "four parts", format!("{document}."));
    case("malformed", "a line's end after it", format!("{document}\n"));
    case("malformed", "padding", format!("{document}=="));
    case("malformed", "standard base64", format!("{input}.{}", signature.replace(['-', '_'], "+")));
    // 64 bytes leave four bits of the last character unused: `A` and `B` there would decode alike if they were ignored.
    case("malformed", "trailing bits in the signature", format!("{input}.{}", next_last(signature)));
    case("malformed", "a signature of 63 bytes", format!("{input}.{}", base64url([0; 63])));
    case("malformed", "no signature", format!("{input}."));
    case(
        "malformed",
        "the JSON serialization",
        format!(r#"{{"payload":"{}","signatures":[]}}"#, base64url(good)),
    );
    case(
        "oversized",
        "one byte too many",
        format!("{document}{}", "A".repeat(MAX_BYTES + 1 - document.len())),
    );
}

/// The text with its last character exchanged for the next one of the base64url alphabet.
fn next_last(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let last = chars.pop().unwrap_or('A');
    chars.push(char::from_u32(u32::from(last) + 1).unwrap_or('A'));
    chars.into_iter().collect()
}

pub(super) fn headers(good: &str, case: &mut Case<'_>) {
    let plain = header("EdDSA", "license+jwt", &kid());
    for member in ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64"] {
        let header = add(&plain, &format!(r#""{member}":null"#));
        case("forbidden-header", &format!("the header member {member}"), with_header(&header, good));
    }
    let jwk =
        format!(r#""jwk":{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, base64url(stranger().verifying_key()));
    let own = sign(&format!("{}.{}", base64url(add(&plain, &jwk)), base64url(good)), &stranger());
    case("forbidden-header", "a key of its own, and signed with it", own);

    let unsigned = format!("{}.{}.", base64url(header("none", "license+jwt", &kid())), base64url(good));
    case("malformed", "alg none, without a signature", unsigned);
    for alg in ["none", "HS256", "ES256", "eddsa", "Ed448"] {
        case(
            "wrong-algorithm",
            &format!("alg {alg}"),
            with_header(&header(alg, "license+jwt", &kid()), good),
        );
    }
    for typ in ["JWT", "license+JWT", "application/license+jwt", "usher-keys+jwt"] {
        case("wrong-type", &format!("typ {typ}"), with_header(&header("EdDSA", typ, &kid()), good));
    }
    case("wrong-type", "no typ", with_header(&plain.replace(r#""typ":"license+jwt","#, ""), good));
    case("wrong-algorithm", "no alg", with_header(&plain.replace(r#""alg":"EdDSA","#, ""), good));
    case("malformed", "no kid", with_header(&plain.replace(r#","kid""#, r#","key""#), good));
    case(
        "malformed",
        "a kid that is a number",
        with_header(&header("EdDSA", "license+jwt", "1").replace("\"1\"", "1"), good),
    );
    case("malformed", "a header that is an array", with_header("[]", good));
    case("malformed", "two objects in the header", with_header(&format!("{plain}{plain}"), good));
    case("duplicate-member", "the header's alg twice", with_header(&add(&plain, r#""alg":"EdDSA""#), good));
    case("duplicate-member", "twice by an escape", with_header(&add(&plain, r#""\u0061lg":"none""#), good));
    case(
        "too-deep",
        "a deep header",
        with_header(&add(&plain, &format!(r#""a":{}"#, nested(MAX_DEPTH))), good),
    );
}

pub(super) fn signatures(good: &str, case: &mut Case<'_>) -> Result<(), serde_json::Error> {
    case("unknown-key", "a key that nobody trusts", license_of(good, &stranger()));
    case("unknown-key", "the root key", license_of(good, &root_key()));
    case("key-expired", "a key at its not-after", license_of(good, &retired_key()));
    case(
        "key-expired",
        "a stranger's signature under a key at its not-after",
        sign(&signing_input(Typ::License, &jwk(&retired_key()).thumbprint(), good.as_bytes()), &stranger()),
    );
    let input = signing_input(Typ::License, &jwk(&signing_key()).thumbprint(), good.as_bytes());
    case("bad-signature", "a stranger's signature under a trusted kid", sign(&input, &stranger()));
    case("bad-signature", "a signature of zeros", attach(&input, &[0; 64]));
    case("bad-signature", "a payload that is no JSON, and not signed", {
        attach(&signing_input(Typ::License, &jwk(&signing_key()).thumbprint(), b"{"), &[0; 64])
    });
    let other = signing_key().sign(b"something else").to_bytes();
    case("bad-signature", "a signature over something else", attach(&input, &other));
    let larger = text(&Claims { limits: Limits { seats: Some(2_000), ..claims().limits }, ..claims() })?;
    let raised = signing_input(Typ::License, &jwk(&signing_key()).thumbprint(), larger.as_bytes());
    let signature = signing_key().sign(input.as_bytes()).to_bytes();
    case("bad-signature", "a raised limit", attach(&raised, &signature));
    case(
        "bad-signature",
        "a second signature made from the first, S + L",
        attach(&input, &plus_group_order(signature)),
    );
    case(
        "bad-signature",
        "a signature whose R has small order",
        attach(&input, &with_neutral_r(input.as_bytes(), &signing_key())),
    );
    Ok(())
}

/// What RFC 8032 §5.1.7 takes and a strict verifier refuses: R is the neutral element, and so S is only H(R ‖ A ‖ M) · a.
fn with_neutral_r(message: &[u8], key: &SigningKey) -> [u8; 64] {
    let mut signature = [0; 64];
    signature.iter_mut().take(1).for_each(|byte| *byte = 1);
    let (r, s) = signature.split_at_mut(32);
    let factor =
        Sha512::new().chain_update(&*r).chain_update(key.verifying_key()).chain_update(message).finalize();
    let a = key.to_scalar();
    let bits = factor.iter().rev().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
    let product = bits.fold(a + -a, |sum, bit| if bit { sum + sum + a } else { sum + sum });
    s.copy_from_slice(product.as_bytes());
    signature
}

/// The other encoding of the same scalar S, which RFC 8032 §5.1.7 forbids: S + L, little-endian, in the second half.
fn plus_group_order(mut signature: [u8; 64]) -> [u8; 64] {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, order) in signature.iter_mut().skip(32).zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        let [low, high] = sum.to_le_bytes();
        *byte = low;
        carry = u16::from(high);
    }
    signature
}
