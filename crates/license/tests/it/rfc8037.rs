//! The example of RFC 8037, appendix A: the same key gives the same thumbprint, the same signing input shape, the same signature.

use ed25519_dalek::{Signature, Signer as _, SigningKey};
use usher_license::{Jwk, attach};

/// Appendix A.1 (`d`), A.3 and A.4.
const SEED: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
    0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
const INPUT: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
const JWS: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

#[test]
fn the_key_has_the_thumbprint_of_a_3() {
    let key = SigningKey::from_bytes(&SEED);
    assert_eq!(Jwk::from_public(key.verifying_key().as_bytes()).thumbprint().as_str(), THUMBPRINT);
}

#[test]
fn the_key_signs_as_in_a_4() {
    let signature: Signature = SigningKey::from_bytes(&SEED).sign(INPUT.as_bytes());
    assert_eq!(attach(INPUT, &signature.to_bytes()), JWS);
}
