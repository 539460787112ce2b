//! A session is closed by its activation, whatever its License says.

use crate::{
    ledger::sessions::{Use, Used},
    service::activations::{Activations, Failure, Happened, Runtime},
};

impl<L: Activations> Runtime<L> {
    /// Closes the session `id`. One that has ended stays so.
    ///
    /// # Errors
    /// When the token is not its activation's, or Usher cannot answer now.
    pub async fn close_session(&self, id: &str, token: &str) -> Result<(), Failure> {
        let living = self.of_session(id, token).await?;
        if self.use_session(&living, Use::Close { id: id.to_owned() }).await? == Some(Used::Closed) {
            self.news.tell(&living.key, Happened::SessionClosed);
        }
        Ok(())
    }
}
