//! `usher keygen`: a root key that is kept outside of the cluster.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use zeroize::Zeroizing;

use crate::{
    cmd::{Exit, Failure, describe::columns, edge::Machine, eprint, print},
    keys::KeyPair,
    service::edge::Edge as _,
};

/// Only its owner may read it.
const MODE: u32 = 0o600;

/// Makes an Ed25519 root key and prints its thumbprint, which programs pin.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write the private key, as a JWK (RFC 8037). A file that exists is never overwritten.
    #[arg(long, value_name = "FILE", default_value = "root.private.jwk")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let key = KeyPair::from_seed(&Zeroizing::new(Machine.entropy()));
    write(&args.out, key.to_jwk()?.as_bytes())?;
    let public = serde_json::to_string(&key.public())?;
    print(&columns(&[
        ("thumbprint", key.thumbprint().to_string()),
        ("public key", public),
        ("private key", args.out.display().to_string()),
    ]))?;
    eprint(
        "next: keep the private key off this machine, and a copy: it cannot be made again; \
         an Authority names the thumbprint in spec.root, and `usher sign-keys` signs what it asks for\n",
    )?;
    Ok(Exit::Done.into())
}

/// Writes the whole file, or leaves none.
fn write(path: &Path, jwk: &[u8]) -> Result<(), Failure> {
    let shown = path.display();
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(MODE).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{shown} exists and is not overwritten, it may be a key that is in use: give another --out")
            }
            io::ErrorKind::NotFound => {
                format!("there is no folder for {shown}: make it, or give another --out")
            }
            io::ErrorKind::PermissionDenied => format!("you may not write {shown}: give another --out"),
            _ => format!("cannot write {shown}: {error}"),
        })?;
    let written = file.write_all(jwk).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    written.map_err(|error| {
        let left = fs::remove_file(path).err().map_or("", |_| "; remove what is left of it");
        format!("cannot write {shown}: {error}{left}").into()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_written_for_its_owner_alone_and_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.private.jwk");
        let key = KeyPair::from_seed(&[7; 32]);
        write(&path, key.to_jwk().unwrap().as_bytes()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(KeyPair::from_jwk(&fs::read(&path).unwrap()).unwrap().thumbprint(), key.thumbprint());
    }

    #[test]
    fn a_file_that_exists_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.private.jwk");
        fs::write(&path, "mine").unwrap();
        let said = write(&path, b"{}").unwrap_err().to_string();
        assert!(said.ends_with("give another --out"), "{said}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_folder_that_does_not_exist_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let said = write(&folder.path().join("a/b"), b"{}").unwrap_err().to_string();
        assert!(said.starts_with("there is no folder for "), "{said}");
    }
}
