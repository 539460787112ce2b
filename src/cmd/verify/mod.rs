//! `usher verify`: whether a document may be used.

mod judge;
mod report;
#[cfg(test)]
mod vectors;

use std::{path::PathBuf, process::ExitCode};

use jiff::Timestamp;
use usher_license::Thumbprint;

use crate::{
    cmd::{Failure, Output, edge::Machine, eprint, print, print_json, source, unix},
    domain::text::{Issuer, Product},
    service::edge::Edge as _,
};
use judge::{Belief, Expected, judge};

/// Says whether a document may be used: by whom, for what, until when, and who signed it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: source::Args,
    /// The thumbprint of the root key that you trust; needs --issuer and --product.
    #[arg(long, value_name = "THUMBPRINT", allow_hyphen_values = true, conflicts_with = "jwks")]
    trust: Option<Thumbprint>,
    /// The key set, if not keys.jws beside the document; it need not be trusted, the root signed it.
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    keys: Option<PathBuf>,
    /// A JWK set that you trust, never one from beside the document; needs --issuer and --product.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The issuer whose documents count, such as https://usher.acme.example/a/default.
    #[arg(long, value_name = "URL")]
    issuer: Option<Issuer>,
    /// The product that asks, such as cad.
    #[arg(long)]
    product: Option<Product>,
    /// Judge as of this instant (RFC 3339, such as 2027-01-15T08:00:00Z) and not as of now.
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// For whom to write.
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  usher verify secret/cad-license -n design --product cad \\
      --issuer https://usher.acme.example/a/default \\
      --trust \"$(kubectl get authority default -o jsonpath={.status.root})\"
  usher verify license.jws --jwks jwks.json --product cad \\
      --issuer https://usher.acme.example/a/default

Exit codes:
  0  it is proven that the document may be used
  1  it is refused
  2  the command line is wrong, or something could not be read
  3  the signature is good, but nothing shows that the key is one to trust
Whether it is bound to this device is for the program that uses it to check.";

/// Whom the command line says to trust.
enum Trusted<'a> {
    Root { root: &'a Thumbprint, expected: Expected<'a> },
    Jwks { jwks: &'a PathBuf, expected: Expected<'a> },
    Nobody,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let trusted = args.trusted()?;
    let found = args.source.read()?;
    let keys = match (&trusted, &args.keys) {
        (Trusted::Jwks { jwks, .. }, _) => source::file(jwks)?,
        (Trusted::Root { .. } | Trusted::Nobody, Some(file)) => {
            source::without_line_end(source::file(file)?).0
        }
        (Trusted::Root { .. } | Trusted::Nobody, None) => found.key_set()?,
    };
    let belief = match trusted {
        Trusted::Root { root, expected } => Belief::Root { root, key_set: &keys, expected },
        Trusted::Jwks { expected, .. } => Belief::Jwks { jwks: &keys, expected },
        Trusted::Nobody => Belief::Nothing {
            key_set: &keys,
            issuer: args.issuer.as_ref().map(Issuer::as_str),
            product: args.product.as_ref().map(Product::as_str),
        },
    };
    let now = unix(args.at.unwrap_or_else(|| Machine.now()));
    let verdict = judge(&found.document, belief, now);
    let source = args.source.to_string();
    match args.output {
        Output::Json => print_json(&report::for_programs(&verdict, &source)?)?,
        Output::Human => {
            let report = report::for_people(&verdict, &source, now);
            print(&report.out)?;
            eprint(&report.err)?;
        }
    }
    if found.line_end {
        eprint(
            "note: the line's end after the document was passed over here; programs refuse a document with one\n",
        )?;
    }
    Ok(verdict.exit().into())
}

impl Args {
    fn trusted(&self) -> Result<Trusted<'_>, Failure> {
        match (&self.trust, &self.jwks) {
            (Some(root), _) => Ok(Trusted::Root { root, expected: self.expected("--trust")? }),
            (None, Some(jwks)) => Ok(Trusted::Jwks { jwks, expected: self.expected("--jwks")? }),
            (None, None) => Ok(Trusted::Nobody),
        }
    }

    /// Keys show who signed. That a document is meant for this program only its issuer and its product show.
    fn expected(&self, option: &str) -> Result<Expected<'_>, Failure> {
        let missing = match (&self.issuer, &self.product) {
            (Some(issuer), Some(product)) => {
                return Ok(Expected { issuer: issuer.as_str(), product: product.as_str() });
            }
            (Some(_), None) => "--product NAME",
            (None, Some(_)) => "--issuer URL",
            (None, None) => "--issuer URL and --product NAME",
        };
        Err(format!(
            "{option} shows who signed, not that the document is meant for your program: add {missing}, \
             the very ones that your program expects"
        )
        .into())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    const ROOT: &str = "-DDReOZl1ipXAfp9wYsm13sDBMK5og--QWdBjzuf6o4";

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(["verify"].into_iter().chain(line.split_whitespace())).map(|line| line.args)
    }

    fn complaint(line: &str) -> Option<String> {
        parse(line).unwrap().trusted().err().map(|error| error.to_string())
    }

    #[test]
    fn trust_needs_an_issuer_and_a_product_and_says_why() {
        let said = complaint(&format!("license.jws --trust {ROOT}")).unwrap();
        assert!(
            said.starts_with("--trust shows who signed, not that the document is meant for your program: "),
            "{said}"
        );
        assert!(said.contains("add --issuer URL and --product NAME"), "{said}");
        let said = complaint("license.jws --jwks jwks.json --issuer https://a.example").unwrap();
        assert!(said.starts_with("--jwks shows") && said.contains("add --product NAME,"), "{said}");
        assert_eq!(
            complaint(&format!("license.jws --trust {ROOT} --issuer https://a.example --product cad")),
            None
        );
        assert_eq!(complaint("license.jws"), None);
    }

    #[test]
    fn two_kinds_of_trust_at_once_are_refused() {
        assert!(parse(&format!("- --trust {ROOT} --jwks jwks.json")).is_err());
        assert!(parse("- --keys keys.jws --jwks jwks.json").is_err());
    }

    #[test]
    fn what_is_not_a_thumbprint_an_issuer_or_a_time_is_refused_at_once() {
        for line in
            ["- --trust abc", "- --issuer http://a.example", "- --product CAD", "- --at tomorrow", "- -n A/b"]
        {
            assert!(parse(line).is_err(), "{line}");
        }
        assert_eq!(parse("- --at 2027-01-15T08:00:00Z").unwrap().at.map(unix), Some(1_800_000_000));
    }
}
