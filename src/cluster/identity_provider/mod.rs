//! `IdentityProvider`: where people sign in.
//!
//! ```text
//!   every replica   watches ──► keep: whose is what (domain) → client secret → read ──► Registry, for whoever signs people in
//!                                                │ for each that is at work
//!                                                ▼
//!                               tend: asks the provider every 5 minutes, sooner while it is away
//!                                                │ when something is other than before
//!   the leader                                   ▼
//!                               queue ──► reconcile: gather → status → event
//! ```
//!
//! Every replica signs people in, so every replica keeps the providers by itself, and asks them: keys are there before somebody needs them. A
//! look never waits for a provider.

mod keep;
mod outcomes;
mod read;
mod status;

use kube::{Api, Resource as _};
use tracing::error;

pub(super) use keep::keep;
pub(super) use outcomes::Outcomes;

use crate::{
    cluster::{
        Context,
        api::{IdentityProvider, Type, paused},
        queue::Done,
        status::write,
        unreadable,
    },
    domain::license::Key,
};

/// The type of the Secrets in which client secrets are. It is what lets Usher send one to a provider: whoever may write IdentityProviders
/// may not thereby have Usher send its keys, or the password of its database, to wherever they like.
pub const CLIENT_SECRET: &str = "usher.dev/client-secret";

/// Looks at the IdentityProvider `name`, whether there is one or not.
pub(super) async fn reconcile<L>(context: &Context<L>, name: &str) -> Done {
    match look(context, name).await {
        Ok(()) => Done::Rest,
        Err(kube::Error::Api(status)) if status.code == 409 => Done::At(context.edge.now()),
        Err(failure) => {
            let error = &failure as &dyn std::error::Error;
            error!(error, "writing the status of an IdentityProvider failed, and is tried again");
            Done::Failed
        }
    }
}

async fn look<L>(context: &Context<L>, name: &str) -> Result<(), kube::Error> {
    let Some(found) = context.index.identity_provider(name) else { return Ok(()) };
    let Ok(provider) = &found.0 else {
        return unreadable::say::<IdentityProvider, _>(context, &Key::new("", name), None).await;
    };
    if provider.meta().deletion_timestamp.is_some() || paused(&provider.metadata) {
        return Ok(());
    }
    // What is not known yet brings us back once it is.
    let Some(outcome) = context.identities.outcome_of(name, &provider.metadata) else { return Ok(()) };
    let Some(status) = status::of(provider, &outcome, context.edge.now()) else { return Ok(()) };
    if provider.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let api: Api<IdentityProvider> = Api::all(context.client.clone());
    if let Some(written) = write(&api, provider, &status).await? {
        context.index.note_identity_provider(written);
        let former = provider.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        context.events.of_change(provider, Type::Ready, former, &status.conditions).await;
    }
    Ok(())
}
