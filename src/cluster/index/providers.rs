//! IdentityProviders and their client secrets.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{core::DeserializeGuard, runtime::watcher::Event};

use super::{
    Index,
    slim::{Seen, Slim},
};
use crate::{cluster::api::IdentityProvider, domain::license::Key};

impl Index {
    /// Whether IdentityProviders and client secrets were listed once: before that nobody knows whose anything is.
    pub fn providers_are_listed(&self) -> bool {
        self.read(|s| s.identity_providers.complete && s.client_secrets.complete)
    }

    /// An IdentityProvider came, changed or went.
    pub fn identity_provider_event(&self, event: Event<DeserializeGuard<IdentityProvider>>) {
        self.write(|s| s.identity_providers.event(event, |_| {}));
    }

    /// A client secret came, changed or went.
    pub fn client_secret_event(&self, event: Event<Slim<Secret>>) {
        self.write(|s| s.client_secrets.event(event, |_| {}));
    }

    /// We wrote the status of this IdentityProvider.
    pub fn note_identity_provider(&self, provider: IdentityProvider) {
        self.write(|s| s.identity_providers.note(DeserializeGuard(Ok(provider))));
    }

    /// An IdentityProvider.
    pub fn identity_provider(&self, name: &str) -> Option<Arc<DeserializeGuard<IdentityProvider>>> {
        self.read(|s| s.identity_providers.items.get(&Key::new("", name)).cloned())
    }

    /// All IdentityProviders.
    pub fn identity_providers(&self) -> Vec<Arc<DeserializeGuard<IdentityProvider>>> {
        self.read(|s| s.identity_providers.items.values().cloned().collect())
    }

    /// A client secret.
    pub fn client_secret(&self, key: &Key) -> Option<Seen> {
        self.read(|s| s.client_secrets.items.get(key).map(|secret| secret.seen()))
    }
}
