//! By what an installation is activated.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{error::Error, login::Login};

/// The most that is read of a token, in bytes.
const MAX_TOKEN: u64 = 16 << 10;

/// By what an installation is activated.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// An activation key of the License, or the access token of somebody who has signed in.
    Key(String),
    /// Of a pod: the file of a projected volume with its service account's token, whose audience is the issuer of the License's Authority. It is read anew for
    /// each call, for the kubelet replaces it, and goes along with all of them.
    TokenFile(PathBuf),
    /// Whoever is signed in on this machine. It is asked before each new document whether they still are.
    Login(Login),
}

/// Without what would let a reader of a log act as this installation.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(_) => f.debug_tuple("Key").finish_non_exhaustive(),
            Self::TokenFile(path) => f.debug_tuple("TokenFile").field(path).finish(),
            Self::Login(login) => f.debug_tuple("Login").field(login).finish(),
        }
    }
}

impl Credential {
    /// What goes along with all calls but the one that activates.
    pub(crate) fn beside(&self) -> Result<Option<String>, Error> {
        match self {
            Self::Key(_) | Self::Login(_) => Ok(None),
            Self::TokenFile(path) => token(path).map(Some),
        }
    }
}

/// A token that is there in a moment, for its file is being replaced or its volume is not mounted yet, is asked for again: so it is as if the server was away.
pub(crate) fn token(path: &Path) -> Result<String, Error> {
    let unreachable = |why: &dyn std::fmt::Display| Error::Unreachable {
        why: format!("the service account's token in {} cannot be read: {why}", path.display()),
        retry_after: None,
    };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_TOKEN).read_to_string(&mut text));
    read.map_err(|error| unreachable(&error))?;
    let token = text.trim();
    let is_one = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_one { Ok(token.to_owned()) } else { Err(unreachable(&io::Error::other("it holds no token"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_pod_is_read_anew_each_time_and_a_key_goes_nowhere_but_to_the_first_call() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let pod = Credential::TokenFile(path.clone());
        assert!(matches!(pod.beside(), Err(Error::Unreachable { .. })));
        for token in ["a.b.c", "d.e.f"] {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            assert_eq!(pod.beside().unwrap(), Some(token.into()));
        }
        for none in ["", " \n", "a\nb"] {
            std::fs::write(&path, none).unwrap();
            assert!(matches!(pod.beside(), Err(Error::Unreachable { .. })), "{none:?}");
        }
        let key = Credential::Key("usher_key_secret".into());
        assert_eq!(key.beside().unwrap(), None);
        assert!(!format!("{key:?}").contains("secret"));
    }
}
