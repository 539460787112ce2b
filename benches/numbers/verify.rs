//! Verifying a document, against the bare signature check of the same bytes.

use std::{hint::black_box, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use usher_license::{Trust, verify};

use crate::{Failure, clock::Since, report::Line, stats::Sorted};

/// How often the two sides alternate.
const ROUNDS: usize = 101;
/// How often each verifies in a round.
const EACH: u32 = 200;
const GOAL: f64 = 2.0;

/// The demo's document and keys, as any client reads them.
const DOCUMENT: &[u8] = include_bytes!("../../tests/vectors/license.jws");
const JWKS: &[u8] = include_bytes!("../../tests/vectors/trusted.jwks.json");

/// Measures the row `verify`.
pub fn measure() -> Result<Line, Failure> {
    let document = DOCUMENT.trim_ascii();
    let claims = usher_license::License::parse(document)?.unverified_claims().clone();
    let trust = Trust::jwks(JWKS, &claims.iss, &claims.aud)?;
    let (key, message, signature) = bare(document)?;
    verify(document, &trust, claims.iat)?;

    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(nanoseconds(|| verify(black_box(document), &trust, claims.iat).is_ok()));
        bares.push(nanoseconds(|| key.verify_strict(black_box(&message), &signature).is_ok()));
    }
    let ratios = Sorted::of(ours.iter().zip(&bares).map(|(ours, bare)| ours / bare));
    let (ours, bares) = (Sorted::of(ours), Sorted::of(bares));
    let (least, most) = (ratios.quantile(0.05), ratios.quantile(0.95));
    Ok(Line {
        what: format!("`verify` a document of {} bytes, against a bare `verify_strict`", document.len()),
        goal: Some((format!("≤ {GOAL} ×"), ratios.median() <= GOAL)),
        figure: format!("{:.2} ×", ratios.median()),
        detail: format!(
            "{:.1} µs and {:.1} µs; 5th to 95th percentile of the ratio {least:.2} to {most:.2}",
            ours.median() / 1_000.0,
            bares.median() / 1_000.0
        ),
    })
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    x: String,
}

/// What a program would check that has nothing but the signature to check.
fn bare(document: &[u8]) -> Result<(VerifyingKey, Vec<u8>, Signature), Failure> {
    let text = std::str::from_utf8(document)?;
    let (message, signature) = text.rsplit_once('.').ok_or("not a JWS")?;
    let kid = usher_license::License::parse(document)?.unverified_kid().to_owned();
    let Jwks { keys } = serde_json::from_slice(JWKS)?;
    let key = keys.into_iter().find(|key| key.kid == kid).ok_or("the document's key is not there")?;
    let key = URL_SAFE_NO_PAD.decode(key.x)?;
    Ok((
        VerifyingKey::from_bytes(&key.try_into().map_err(|_| "a key of another length")?)?,
        message.as_bytes().to_vec(),
        Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature)?)?,
    ))
}

/// How long one takes.
fn nanoseconds(mut one: impl FnMut() -> bool) -> f64 {
    let begun = Since::now();
    for _ in 0..EACH {
        black_box(one());
    }
    (begun.elapsed() / EACH).max(Duration::from_nanos(1)).as_secs_f64() * 1e9
}
