//! `usher inspect`: what a document says. Nothing of it is verified.

use std::process::ExitCode;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use usher_license::{License, Unverified};

use crate::{
    cmd::{
        Exit, Failure, Output,
        describe::{DOUBTFUL, columns, everything, headline, styled},
        edge::Machine,
        eprint, print, print_json, refusal, source, unix,
    },
    service::edge::Edge as _,
};

/// Shows what a document says, whoever wrote it. See `usher verify` for whether it is genuine.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: source::Args,
    /// For whom to write.
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let document = args.source.read()?.document;
    let now = unix(Machine.now());
    match (License::parse(&document), args.output) {
        (Ok(license), Output::Human) => print(&for_people(&license, now))?,
        (Ok(license), Output::Json) => print_json(&for_programs(&license, &document)?)?,
        (Err(error), output) => {
            match output {
                Output::Human => eprint(&refusal::for_people(&error, now))?,
                Output::Json => print_json(&refusal::for_programs(&error))?,
            }
            return Ok(Exit::Refused.into());
        }
    }
    Ok(Exit::Done.into())
}

fn for_people(license: &License<Unverified>, now: u64) -> String {
    let claims = license.unverified_claims();
    let rows = columns(&everything(claims, license.unverified_kid(), now));
    let doubt = styled(DOUBTFUL, "not verified");
    format!("{doubt}, anybody may have written this: see usher verify\n{}\n{rows}", headline(claims))
}

fn for_programs(license: &License<Unverified>, document: &[u8]) -> Result<Value, Failure> {
    let header = document.split(|byte| *byte == b'.').next().unwrap_or_default();
    let header: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header)?)?;
    let payload: Value = serde_json::from_slice(license.unverified_payload())?;
    Ok(json!({"verified": false, "header": header, "payload": payload}))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &[u8] = include_bytes!("../../tests/vectors/license.jws");

    #[test]
    fn people_are_told_first_that_nothing_is_verified() {
        let license = License::parse(DOCUMENT).unwrap();
        let text = anstream::adapter::strip_str(&for_people(&license, 1_800_000_000)).to_string();
        let expected = "not verified, anybody may have written this: see usher verify\nseat/design/cy may use cad\n  license     design/cad";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn programs_get_the_header_and_the_payload_as_they_are() {
        let json = for_programs(&License::parse(DOCUMENT).unwrap(), DOCUMENT).unwrap();
        assert_eq!(json["verified"], false);
        assert_eq!(
            (&json["header"]["typ"], &json["header"]["alg"]),
            (&"license+jwt".into(), &"EdDSA".into())
        );
        assert_eq!(
            (&json["payload"]["sub"], &json["payload"]["exp"]),
            (&"seat/design/cy".into(), &4_102_444_800u64.into())
        );
    }
}
