//! The smallest program that asks "may I run?": `verify LICENSE JWKS ISSUER PRODUCT`. Its siblings in other languages are in
//! `examples/clients/`.

use std::{
    error::Error,
    fs,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use usher_license::{License, Trust, Verified, verify};

fn main() -> ExitCode {
    match check() {
        Ok(license) => {
            let claims = license.claims();
            let features: Vec<&str> =
                license.features().iter().map(|feature| feature.name.as_str()).collect();
            let (sub, aud, until) = (&claims.sub, &claims.aud, rfc3339(license.exp()));
            println!("ok: {sub} may use {aud} until {until}; features: {}", features.join(", "));
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            eprintln!("refused: {refusal}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<License<Verified>, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [license, jwks, issuer, product] = arguments.as_slice() else {
        return Err("usage: verify LICENSE JWKS ISSUER PRODUCT".into());
    };
    let trust = Trust::jwks(&fs::read(jwks)?, issuer, product)?;
    Ok(verify(&fs::read(license)?, &trust, now()?)?)
}

#[expect(clippy::disallowed_methods, reason = "a program's edge: the library takes the time as an argument")]
fn now() -> Result<u64, Box<dyn Error>> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// Unix seconds as RFC 3339, in UTC. A real program takes a library for this.
fn rfc3339(seconds: u64) -> String {
    let (mut day, time) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1)
}
