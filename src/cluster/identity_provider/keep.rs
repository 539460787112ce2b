//! Keeping the providers of today, on every replica, whoever leads.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, warn};
use zeroize::Zeroizing;

use super::{
    CLIENT_SECRET,
    outcomes::{Outcome, Version},
    read,
};
use crate::{
    cluster::{
        Context,
        api::{IdentityProvider, paused},
        queue::Task,
    },
    domain::{
        belonging::settled,
        license::{Key, Uid},
        reason::Because,
    },
    identity::{LOOK, PAUSE, Standing},
    ledger::Ledger,
    service::providers::Provider,
};

/// How long until a Secret that could not be read is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Who is asked how it stands, by name.
type Tended = HashMap<String, (Arc<Provider>, AbortHandle)>;

/// Keeps until it is dropped.
pub(in crate::cluster) async fn keep<L: Ledger>(context: Arc<Context<L>>) {
    let (mut tended, mut tasks): (Tended, _) = (HashMap::new(), JoinSet::new());
    loop {
        // Before all are known, nobody knows whose anything is.
        let again = context.index.providers_are_listed() && turn(&context).await;
        tend_to_those_at_work(&context, &mut tended, &mut tasks);
        tokio::select! {
            () = context.identities.wait_for_news() => {}
            () = context.edge.wait(AGAIN), if again => {}
        }
    }
}

/// One turn: makes of what is declared what is at work. Returns whether something could not be read.
async fn turn<L>(context: &Context<L>) -> bool {
    let found = context.index.identity_providers();
    let living: Vec<&IdentityProvider> = found
        .iter()
        .filter_map(|guard| guard.0.as_ref().ok())
        .filter(|provider| provider.metadata.deletion_timestamp.is_none())
        .collect();
    let claims: Vec<_> = living.iter().filter_map(|provider| read::claim(provider)).collect();
    let (owned, former) = (settled(&claims), context.identities.so_far());
    let (mut outcomes, mut again) = (BTreeMap::new(), false);
    for provider in living {
        let (name, of) = (provider.name_any(), version(context, provider));
        let kept = former.get(&name).filter(|kept| kept.of.uid == of.uid);
        let outcome = match owned.get(&Uid(of.uid.clone())) {
            Some(Err(because)) => {
                Ok(Outcome { of, provider: Err(because.clone()), standing: None, can_be_asked: false })
            }
            _ => made_or_kept(context, provider, of, kept).await,
        };
        match outcome {
            Ok(outcome) => drop(outcomes.insert(name, outcome)),
            Err(error) => {
                warn!(%error, "a client secret cannot be read, and is tried again");
                again = true;
                outcomes.extend(kept.map(|kept| (name, kept.clone())));
            }
        }
    }
    let at_work = outcomes.values().filter_map(|outcome| outcome.provider.clone().ok());
    context.providers.replace(at_work, found.iter().map(|guard| guard.name_any()));
    let is_news =
        |name: &String, outcome: &Outcome| former.get(name).is_none_or(|former| !outcome.is_like(former));
    let news = outcomes.iter().filter(|(name, outcome)| is_news(name, outcome));
    let unreadable = found.iter().filter(|guard| guard.0.is_err()).map(|guard| guard.name_any());
    let unreadable: Vec<Task> = unreadable.map(Task::IdentityProvider).collect();
    let news: Vec<Task> = news.map(|(name, _)| Task::IdentityProvider(name.clone())).collect();
    // Their people may count now, or no more.
    let gone = former.keys().any(|name| !outcomes.contains_key(name));
    let admitting = (gone || !news.is_empty()).then(|| context.index.licenses_that_admit());
    context.identities.replace(outcomes);
    // Even if there is none: the operator waits for the first turn.
    context
        .push(news.into_iter().chain(unreadable).chain(admitting.into_iter().flatten().map(Task::License)));
    again
}

fn version<L>(context: &Context<L>, provider: &IdentityProvider) -> Version {
    // By SAML there is none: nobody keeps anything secret.
    let secret = provider.spec.oidc.as_ref().and_then(|oidc| {
        let key = Key::new(&context.namespace, oidc.client_secret_ref.name.as_str());
        context.index.client_secret(&key)
    });
    Version {
        uid: provider.uid().unwrap_or_default(),
        generation: provider.metadata.generation.unwrap_or(0),
        secret: secret.map(|seen| seen.version),
    }
}

/// What was made of it already if it is as it was, or paused; else what it makes now.
async fn made_or_kept<L>(
    context: &Context<L>,
    provider: &IdentityProvider,
    of: Version,
    kept: Option<&Outcome>,
) -> Result<Outcome, kube::Error> {
    if let Some(kept) =
        kept.filter(|kept| kept.provider.is_ok() && (kept.of == of || paused(&provider.metadata)))
    {
        return Ok(Outcome { of, ..kept.clone() });
    }
    let provider = made(context, provider, of.secret.is_some()).await?.map(Arc::new);
    Ok(Outcome { of, provider, standing: None, can_be_asked: false })
}

async fn made<L>(
    context: &Context<L>,
    provider: &IdentityProvider,
    is_seen: bool,
) -> Result<Result<Provider, Because>, kube::Error> {
    let oidc = match (&provider.spec.oidc, &provider.spec.saml) {
        (Some(oidc), None) => oidc,
        (None, Some(saml)) => return Ok(read::by_saml(provider, saml, context.saml.clone())),
        _ => return Ok(Err(read::neither())),
    };
    let reference = &oidc.client_secret_ref;
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &context.namespace);
    let secret = if is_seen { secrets.get_opt(reference.name.as_str()).await? } else { None };
    let entry = secret
        .filter(|secret| secret.type_.as_deref() == Some(CLIENT_SECRET))
        .and_then(|secret| secret.data?.remove(reference.key.as_str()))
        .map(|bytes| Zeroizing::new(bytes.0));
    let entry = entry.as_ref().map(|entry| entry.as_slice());
    Ok(read::client_secret(entry, reference, &context.namespace)
        .and_then(|secret| read::by_oidc(provider, oidc, secret)))
}

/// Whoever is at work is asked how it stands, and nobody else.
fn tend_to_those_at_work<L: Ledger>(context: &Arc<Context<L>>, tended: &mut Tended, tasks: &mut JoinSet<()>) {
    // Those that have ended are forgotten.
    while tasks.try_join_next().is_some() {}
    let mut at_work: HashMap<String, Arc<Provider>> = context
        .identities
        .so_far()
        .into_iter()
        .filter_map(|(name, outcome)| Some((name, outcome.provider.ok()?)))
        .collect();
    tended.retain(|name, (provider, task)| {
        let stays = at_work.get(name).is_some_and(|at_work| Arc::ptr_eq(at_work, provider));
        if stays {
            at_work.remove(name);
        } else {
            task.abort();
        }
        stays
    });
    for (name, provider) in at_work {
        let task = tasks.spawn(tend(context.clone(), name.clone(), provider.clone()));
        tended.insert(name, (provider, task));
    }
}

/// Asks one provider how it stands, again and again.
async fn tend<L: Ledger>(context: Arc<Context<L>>, name: String, provider: Arc<Provider>) {
    loop {
        let now = context.edge.now();
        let standing = provider.relying_party.standing(now).await;
        let next = next(&standing, now);
        let issuer = provider.relying_party.issuer();
        let can_be_asked = match context.ledger.can_be_asked(issuer, now).await {
            Ok(can_be_asked) => Some(can_be_asked == Some(true)),
            Err(error) => {
                debug!(%error, "whether a provider can be asked about its people is seen later");
                None
            }
        };
        if context.identities.note(&name, &provider, standing, can_be_asked) {
            context.push([Task::IdentityProvider(name.clone())]);
        }
        context.edge.wait_until(now.checked_add(next).unwrap_or(Timestamp::MAX)).await;
    }
}

/// While a provider is away the pauses double, as the time does that it has been away.
fn next(standing: &Standing, now: Timestamp) -> SignedDuration {
    match &standing.trouble {
        Some((_, since)) => now.duration_since(*since).clamp(PAUSE, LOOK),
        None => LOOK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_is_away_is_asked_after_longer_and_longer_pauses() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let trouble = Some(("away".to_owned(), at(0)));
        let away = Standing { known: None, trouble };
        let (mut now, mut pauses) = (0, Vec::new());
        for _ in 0..7 {
            let pause = next(&away, at(now)).as_secs();
            pauses.push(pause);
            now += pause;
        }
        assert_eq!(pauses, [30, 30, 60, 120, 240, 300, 300]);
        assert_eq!(next(&Standing { known: None, trouble: None }, at(0)), LOOK);
    }
}
