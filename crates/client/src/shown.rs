//! By what an installation begins, and whether that still holds.

use crate::{
    credential::{Credential, token},
    error::Error,
    installation::Installation,
    login::another,
};

impl Installation {
    /// What activates, and of somebody who is signed in who it is. `refused` is an access token of theirs that the server does not take.
    pub(crate) async fn shown(&mut self, refused: Option<&str>) -> Result<(String, Option<String>), Error> {
        match &self.credential {
            Credential::Key(key) => Ok((key.clone(), None)),
            Credential::TokenFile(path) => Ok((token(path)?, None)),
            Credential::Login(login) => {
                let access = login.access(&self.server, refused).await?;
                self.key = access.key;
                Ok((access.token, Some(access.person)))
            }
        }
    }

    /// Asks whether whoever has activated is still signed in on this machine, if they have done so by that: the server is asked when the access token is
    /// not good any more, and asks their provider. Of any other credential nothing is asked.
    ///
    /// # Errors
    /// [`Error::Refused`] if they are not ([`crate::Problem::is_of_login`]), or as [`Error`] says.
    pub async fn revalidate(&mut self) -> Result<(), Error> {
        let (_, person) = match &self.credential {
            Credential::Login(_) => self.shown(None).await?,
            Credential::Key(_) | Credential::TokenFile(_) => return Ok(()),
        };
        let whose = self.activation().and_then(|activation| activation.person.clone());
        let is_theirs = whose.is_none_or(|whose| person == Some(whose));
        if is_theirs { Ok(()) } else { Err(another()) }
    }
}
