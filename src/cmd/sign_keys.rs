//! `usher sign-keys`: the holder of a root key vouches for the keys of an Authority, without a cluster or a network.

use std::{path::PathBuf, process::ExitCode};

use jiff::Timestamp;
use usher_license::{KeySet, Thumbprint};

use crate::{
    cmd::{
        Exit, Failure,
        describe::{Row, columns},
        edge::Machine,
        eprint, print, source, unix,
    },
    domain::rotation::WITHOUT_END,
    keys::{
        KeyPair,
        key_set::{Request, RequestedKey, keys_in},
    },
    service::edge::Edge as _,
};

/// Signs the key set that an Authority asks for, with a root key that is kept outside of the cluster, and prints it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What is asked for: the entry request.json of the ConfigMap usher-authority-NAME.
    request: PathBuf,
    /// The private root key, as `usher keygen` wrote it.
    #[arg(long, value_name = "FILE", default_value = "root.private.jwk")]
    root: PathBuf,
    /// The key set that you signed last: shows what changes, and refuses a number that does not rise.
    #[arg(long, value_name = "FILE")]
    after: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let root = KeyPair::from_jwk(&source::file(&args.root)?)
        .map_err(|error| format!("{} is no root key: {error}", args.root.display()))?;
    let request = Request::read(&source::file(&args.request)?)
        .map_err(|error| format!("{} is not signed: {error}", args.request.display()))?;
    let former = match &args.after {
        None => None,
        Some(path) => Some(former(&request, &root.thumbprint(), &source::file(path)?)?),
    };
    eprint(&format!("signing\n{}", columns(&rows(&request, former.as_deref()))))?;
    print(&format!("{}\n", request.sign(&root, unix(Machine.now()))?))?;
    eprint(&format!(
        "next: keep it, and bring it to the cluster as keys.jws in the ConfigMap usher-key-set-NAME of Usher's namespace; \
         sign number {} or a later one only if it is asked for\n",
        request.serial.saturating_add(1)
    ))?;
    Ok(Exit::Done.into())
}

/// The keys of the set that was signed last.
fn former(request: &Request, root: &Thumbprint, keys_jws: &[u8]) -> Result<Vec<RequestedKey>, Failure> {
    let (keys_jws, _) = source::without_line_end(keys_jws.to_vec());
    let set = KeySet::verify(&keys_jws, root, request.iss.as_str())
        .map_err(|error| format!("the set that you signed last is another one: {error}"))?;
    if request.serial <= set.serial() {
        return Err(format!(
            "number {} is asked for, and you have signed {} already: somebody may be replaying an old request",
            request.serial,
            set.serial()
        )
        .into());
    }
    Ok(keys_in(&String::from_utf8_lossy(&keys_jws)))
}

fn rows(request: &Request, former: Option<&[RequestedKey]>) -> Vec<Row> {
    let mut rows = vec![("issuer", request.iss.to_string()), ("number", request.serial.to_string())];
    for key in &request.keys {
        let is_new = former.is_some_and(|former| former.iter().all(|f| f.kid != key.kid));
        let label = if is_new { "new key" } else { "key" };
        rows.push((label, format!("{}, {}", key.kid, until(key.exp))));
    }
    let gone = former.into_iter().flatten().filter(|f| request.keys.iter().all(|key| key.kid != f.kid));
    rows.extend(gone.map(|key| ("no more", key.kid.to_string())));
    rows
}

fn until(exp: u64) -> String {
    let at = i64::try_from(exp).ok().and_then(|exp| Timestamp::from_second(exp).ok());
    match at {
        Some(at) if exp != WITHOUT_END => format!("until {at:.0}"),
        _ => "without end".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> KeyPair {
        KeyPair::from_seed(&[1; 32])
    }

    fn request(serial: u64, ordinals: &[u8]) -> Request {
        let keys = ordinals.iter().map(|ordinal| {
            let key = KeyPair::from_seed(&[ordinal + 1; 32]).known_as(u32::from(*ordinal)).unwrap();
            RequestedKey {
                kid: key.kid,
                x: key.public,
                exp: if *ordinal == 1 { 1_800_000_000 } else { WITHOUT_END },
            }
        });
        Request { iss: "https://usher.acme.example/a/default".parse().unwrap(), serial, keys: keys.collect() }
    }

    #[test]
    fn the_holder_sees_which_keys_come_and_which_go() {
        let former = request(1, &[1, 3]).keys;
        let asked = request(2, &[1, 2]);
        let told = rows(&asked, Some(&former));
        let labels: Vec<&str> = told.iter().map(|(label, _)| *label).collect();
        assert_eq!(labels, ["issuer", "number", "key", "new key", "no more"]);
        assert!(told[2].1.ends_with("until 2027-01-15T08:00:00Z") && told[3].1.ends_with("without end"));
    }

    #[test]
    fn a_number_that_does_not_rise_is_not_signed() {
        let last = request(2, &[1]).sign(&root(), 1).unwrap() + "\n";
        assert!(former(&request(3, &[1]), &root().thumbprint(), last.as_bytes()).is_ok());
        for serial in [1, 2] {
            let said = former(&request(serial, &[1]), &root().thumbprint(), last.as_bytes()).unwrap_err();
            assert!(said.to_string().ends_with("somebody may be replaying an old request"), "{said}");
        }
        let stranger = KeyPair::from_seed(&[9; 32]).thumbprint();
        assert!(former(&request(3, &[1]), &stranger, last.as_bytes()).is_err());
    }
}
