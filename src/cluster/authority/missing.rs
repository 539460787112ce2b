//! What Authorities say when the ledger was lost: they are the objects that it is about, for it holds what they signed.

use kube::{Api, core::DeserializeGuard};

use crate::{
    cluster::{
        Context,
        api::{Authority, Conditions, Type, seconds},
        status::write,
    },
    domain::reason::{Because, Reason},
};

/// Every Authority that can be read says that the ledger is missing, and that nothing is signed meanwhile.
pub(in crate::cluster) async fn say_missing<L>(
    context: &Context<L>,
    because: &Because,
) -> Result<(), kube::Error> {
    let api: Api<Authority> = Api::all(context.client.clone());
    for guard in context.index.authorities() {
        let DeserializeGuard(Ok(authority)) = &*guard else { continue };
        let former = authority.status.clone().unwrap_or_default();
        let generation = authority.metadata.generation.unwrap_or(0);
        let mut status = former.clone();
        status.conditions = Conditions::after(&former.conditions, generation, context.edge.now())
            .ready(because, Some(because))
            .with(Type::LedgerMissing, true, because)
            .list();
        if status == former {
            continue;
        }
        if let Some(written) = write(&api, authority, &status).await? {
            context.index.note_authority(written);
            context.events.of_change(authority, Type::Ready, &former.conditions, &status.conditions).await;
        }
    }
    Ok(())
}

/// That the ledger was rebuilt, if it ever was: that stays to be seen.
pub(super) fn rebuilt<L>(context: &Context<L>) -> Option<Because> {
    let (incarnation, since) = context.incarnation();
    let message = format!(
        "the ledger was lost or restored, and was rebuilt at {} from what is declared and from the documents in Secrets (incarnation {incarnation})",
        seconds(since)
    );
    (incarnation > 1).then(|| Because::new(Reason::LedgerRebuilt, message))
}
