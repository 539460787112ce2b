//! How a verdict is told. Pure.

use serde_json::{Value, json};
use usher_license::{Claims, Thumbprint};

use crate::{
    cmd::{
        describe::{DOUBTFUL, GOOD, columns, essentials, headline, styled},
        refusal,
        verify::judge::Verdict,
    },
    domain::text::{Issuer, Product},
};

/// What goes to the two outputs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) out: String,
    pub(super) err: String,
}

/// For people. `source` is as it was written on the command line.
pub(super) fn for_people(verdict: &Verdict, source: &str, now: u64) -> Report {
    match verdict {
        Verdict::Proven(license) => {
            let (claims, ok) = (license.claims(), styled(GOOD, "ok"));
            let rows = columns(&essentials(claims, license.kid(), now));
            Report { out: format!("{ok}: {}\n{rows}", headline(claims)), err: String::new() }
        }
        Verdict::Unproven { license, unproven_root } => {
            let (claims, doubt) = (license.unproven_claims(), styled(DOUBTFUL, "signature ok, key unproven"));
            let mut rows = essentials(claims, license.unproven_kid(), now);
            rows.push(("root", format!("{unproven_root}, unproven")));
            Report {
                out: format!("{doubt}: {}, if the key is genuine\n{}", headline(claims), columns(&rows)),
                err: format!("next: {}\n", prove(claims, source)),
            }
        }
        Verdict::Refused(error) => Report { out: String::new(), err: refusal::for_people(error, now) },
    }
}

/// For programs: one object, always on standard output.
pub(super) fn for_programs(verdict: &Verdict, source: &str) -> Result<Value, serde_json::Error> {
    Ok(match verdict {
        Verdict::Proven(license) => {
            let payload: Value = serde_json::from_slice(license.payload())?;
            json!({"verdict": "ok", "kid": license.kid(), "payload": payload})
        }
        Verdict::Unproven { license, unproven_root } => {
            let payload: Value = serde_json::from_slice(license.unproven_payload())?;
            json!({
                "verdict": "unproven",
                "message": "signature ok, key unproven",
                "next": prove(license.unproven_claims(), source),
                "kid": license.unproven_kid(),
                "root": Thumbprint::as_str(unproven_root),
                "payload": payload,
            })
        }
        Verdict::Refused(error) => refusal::for_programs(error),
    })
}

/// The command that proves the key. Its parts come from a document that anybody may have written, so only what cannot
/// mean anything to a shell is put in.
fn prove(claims: &Claims, source: &str) -> String {
    let issuer = claims.iss.parse::<Issuer>().map_or_else(|_| "ISSUER".to_owned(), Into::into);
    let product = claims.aud.parse::<Product>().map_or_else(|_| "PRODUCT".to_owned(), Into::into);
    let harmless = |char: char| char.is_ascii_alphanumeric() || matches!(char, '/' | '.' | '_' | '-' | ' ');
    let source = if source.chars().all(harmless) { source } else { "SOURCE" };
    format!(
        "say which root key you trust, from a cluster that you trust:\n  usher verify {source} --issuer {issuer} --product {product} \
         --trust \"$(kubectl get authorities --field-selector spec.issuer={issuer} -o jsonpath='{{.items[*].status.root}}')\""
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use usher_license::{Error, KeySet};

    use super::*;
    use crate::cmd::{
        Exit,
        verify::{
            judge::{Belief, judge},
            vectors::{documents, key_sets},
        },
    };

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_proven_document_says_who_may_use_what_until_when_and_who_signed() {
        let file = documents();
        let report =
            for_people(&judge(file.good().as_bytes(), file.by_root(), file.now), "license.jws", file.now);
        let expected = "ok: seat/design/cy may use cad
  holder    cy@acme.example
  device    lab-3, and no other
  features  render, simulate (5 at once), exports (100 per Day)
  until     2027-01-19T07:00:00Z (in 3 days), renew by 2027-01-16T07:00:00Z (in 23 hours)
  issuer    https://usher.acme.example/a/default
  key       aVBtapLd11SUVKIMGJfPzOEDuN0sXcmzJQNVT-_sKEU
";
        assert_eq!((plain(&report.out), report.err), (expected.to_owned(), String::new()));
    }

    #[test]
    fn an_unproven_key_is_said_to_be_so_with_the_command_that_proves_it() {
        let file = documents();
        let belief = Belief::Nothing { key_set: file.trust.keys.as_bytes(), issuer: None, product: None };
        let verdict = judge(file.good().as_bytes(), belief, file.now);
        let report = for_people(&verdict, "secret/cad -n design", file.now);
        let out = plain(&report.out);
        assert!(
            out.starts_with(
                "signature ok, key unproven: seat/design/cy may use cad, if the key is genuine\n"
            ),
            "{out}"
        );
        assert!(out.ends_with(&format!("  root      {}, unproven\n", file.trust.root)), "{out}");
        assert_eq!(
            report.err,
            "next: say which root key you trust, from a cluster that you trust:\n  \
             usher verify secret/cad -n design --issuer https://usher.acme.example/a/default --product cad \
             --trust \"$(kubectl get authorities --field-selector spec.issuer=https://usher.acme.example/a/default \
             -o jsonpath='{.items[*].status.root}')\"\n"
        );
        assert_eq!(for_programs(&verdict, "-").unwrap()["verdict"], "unproven");
    }

    #[test]
    fn a_document_cannot_put_a_command_into_the_next_step() {
        let file = documents();
        let belief = Belief::Nothing { key_set: file.trust.keys.as_bytes(), issuer: None, product: None };
        let Verdict::Unproven { license, .. } = judge(file.good().as_bytes(), belief, file.now) else {
            unreachable!()
        };
        let mut claims = license.unproven_claims().clone();
        claims.iss = "https://a.example/$(reboot)".into();
        claims.aud = "cad; reboot".into();
        let next = prove(&claims, "a;reboot");
        assert!(!next.contains("reboot"), "{next}");
        assert!(next.contains("usher verify SOURCE --issuer ISSUER --product PRODUCT "), "{next}");
    }

    #[test]
    fn people_read_dates_where_the_crate_counts_seconds() {
        let file = documents();
        let told = |name: &str| {
            let verdict = judge(file.document(name).as_bytes(), file.by_root(), file.now);
            plain(&for_people(&verdict, "-", file.now).err)
        };
        assert_eq!(
            told("the instant of exp"),
            "refused (expired): the document was valid until 2027-01-15T08:00:00Z (now)\n\
             next: Fetch the renewed document, and check this machine's clock.\n"
        );
        assert!(told("one second before").contains("valid from 2027-01-15T08:00:01Z (in 1 second) on"));
        assert!(told("a key at its not-after").contains("was good until 2027-01-15T08:00:00Z (now)"));
    }

    #[test]
    fn every_refusal_there_is_exits_with_1_and_says_what_to_do_next() {
        let file = documents();
        let trust = &file.trust;
        let of_documents =
            file.cases.iter().map(|case| judge(case.document.as_bytes(), file.by_root(), file.now));
        let of_key_sets = key_sets().cases.into_iter().map(|case| {
            let belief = Belief::Root {
                root: &trust.root,
                key_set: case.key_set.as_bytes(),
                expected: file.expected(),
            };
            judge(file.good().as_bytes(), belief, file.now)
        });
        // This one is for programs that remember a serial, which this command does not.
        let old = KeySet::verify(trust.keys.as_bytes(), &trust.root, &trust.issuer)
            .unwrap()
            .require_serial(u64::MAX);
        let old = Verdict::Refused(old.unwrap_err());

        let mut seen = BTreeSet::new();
        for verdict in of_documents.chain(of_key_sets).chain([old]) {
            let Verdict::Refused(error) = &verdict else { continue };
            seen.insert(error.code());
            assert_eq!(verdict.exit(), Exit::Refused, "{error}");
            let report = for_people(&verdict, "-", file.now);
            let told = plain(&report.err);
            assert!(report.out.is_empty(), "{told}");
            assert!(told.starts_with(&format!("refused ({}): ", error.code())), "{told}");
            let next = told.split_once("\nnext: ").unwrap().1;
            assert!(next.ends_with(".\n") && next.contains(' '), "{told}");
            let json = for_programs(&verdict, "-").unwrap();
            assert_eq!((&json["code"], &json["next"]), (&error.code().into(), &error.next().into()));
        }
        assert_eq!(seen, Error::CODES.iter().copied().collect());
    }
}
