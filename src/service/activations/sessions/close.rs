//! A session is closed by its activation, or by an administrator, whatever its License says.

use crate::{
    ledger::sessions::{Use, Used},
    service::{
        activations::{Activations, Failure, Happened, Proof, Runtime},
        callers::{self, Act},
    },
};

use super::activation_of;

impl<L: Activations> Runtime<L> {
    /// Closes the session `id`. One that has ended stays so.
    ///
    /// # Errors
    /// When the token is not its activation's, or Usher cannot answer now.
    pub async fn close_session(&self, id: &str, proof: &Proof<'_>) -> Result<(), Failure> {
        let (living, administrator) = self.acted_on(activation_of(id)?, proof, Act::End).await?;
        let by = administrator.map(|known| callers::identity(&known.name));
        if self.use_session(&living, Use::Close { id: id.to_owned() }, by).await? == Some(Used::Closed) {
            self.news.tell(&living.key, Happened::SessionClosed);
        }
        Ok(())
    }
}
