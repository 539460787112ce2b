//! What an Authority says of itself.

use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt as _};

use super::{Error, missing};
use crate::{
    cluster::{
        Context,
        api::{
            Authority, AuthorityStatus, Condition, Conditions, KeyState, KeyStatus, ReissuingStatus, Type,
            schedule, seconds,
        },
        labels, status,
    },
    domain::{
        reason::{Because, Reason},
        rotation::{self, Key, State},
    },
    ledger::Reissuing,
    service::establish_authority::Established,
};

/// So many revoked keys are told, the last ones.
const TOLD_REVOKED: usize = 16;

/// Nothing is known of it: it says so, and what was told stays.
pub(super) async fn stalled<L>(
    context: &Context<L>,
    authority: &Authority,
    because: &Because,
) -> Result<(), Error> {
    let former = authority.status.clone().unwrap_or_default();
    let generation = authority.metadata.generation.unwrap_or(0);
    let conditions = Conditions::after(&former.conditions, generation, context.edge.now());
    let conditions = with_ledger(conditions.ready(because, Some(because)), missing::rebuilt(context)).list();
    put(context, authority, AuthorityStatus { observed_generation: generation, conditions, ..former }).await
}

/// How it stands.
pub(super) async fn write<L>(
    context: &Context<L>,
    authority: &Authority,
    established: &Established,
) -> Result<(), Error> {
    let place = format!("{}/{}", context.namespace, labels::published_of(&authority.name_any()));
    let rebuilt = missing::rebuilt(context);
    put(context, authority, of(authority, established, &place, rebuilt, context.edge.now())).await
}

async fn put<L>(context: &Context<L>, authority: &Authority, status: AuthorityStatus) -> Result<(), Error> {
    if authority.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let api: Api<Authority> = Api::all(context.client.clone());
    let written = status::write(&api, authority, &status).await;
    let written =
        written.map_err(|source| Error::Cluster { doing: "writing the status of an Authority", source })?;
    if let Some(written) = written {
        context.index.note_authority(written);
        let former = authority.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        for aspect in [Type::Ready, Type::LedgerMissing] {
            context.events.of_change(authority, aspect, former, &status.conditions).await;
        }
    }
    Ok(())
}

/// Pure.
fn of(
    authority: &Authority,
    established: &Established,
    place: &str,
    rebuilt: Option<Because>,
    now: Timestamp,
) -> AuthorityStatus {
    let Established { facts, signer, trouble, reissuing, rotates_at, .. } = established;
    let generation = authority.metadata.generation.unwrap_or(0);
    let former: &[Condition] = authority.status.as_ref().map_or(&[], |status| status.conditions.as_slice());
    let (_, overlap) = schedule(authority.spec.rotation.as_ref(), authority.spec.root.is_some());
    AuthorityStatus {
        observed_generation: generation,
        root: Some(facts.root.to_string()),
        signing_key: facts.keys.iter().find(|key| key.signs()).map(|key| key.kid.to_string()),
        rotates_at: rotates_at.map(seconds),
        keys: keys(&facts.keys, overlap),
        reissuing: progress(*reissuing),
        key_set: Some(i64::try_from(facts.serial).unwrap_or(i64::MAX)),
        conditions: conditions(
            with_ledger(Conditions::after(former, generation, now), rebuilt),
            &ready(&facts.keys, place),
            signer.as_ref().err(),
            trouble.as_ref(),
            authority.spec.root.is_some(),
            *reissuing,
        ),
    }
}

fn ready(keys: &[Key], place: &str) -> Because {
    let waits = if rotation::is_full(keys) {
        "; the next rotation waits until documents under former keys have ended"
    } else {
        ""
    };
    Because::new(Reason::Published, format!("signs documents; its keys are in ConfigMap {place}{waits}"))
}

/// Says that the ledger was rebuilt, if it was.
fn with_ledger(conditions: Conditions<'_>, rebuilt: Option<Because>) -> Conditions<'_> {
    match rebuilt {
        Some(rebuilt) => conditions.with(Type::LedgerMissing, false, &rebuilt),
        None => conditions,
    }
}

fn conditions(
    conditions: Conditions<'_>,
    ready: &Because,
    stalled: Option<&Because>,
    trouble: Option<&Because>,
    root_is_outside: bool,
    reissuing: Reissuing,
) -> Vec<Condition> {
    // A root that has not signed yet keeps nothing from working while another key signs.
    let about_the_root =
        |because: &&Because| [Reason::RootNeeded, Reason::KeySetRefused].contains(&because.reason);
    let unsigned = stalled.into_iter().chain(trouble).find(about_the_root);
    let mut conditions = conditions.ready(ready, stalled.or_else(|| trouble.filter(|t| !about_the_root(t))));
    if root_is_outside {
        let signed = Because::new(Reason::Published, "the root has signed the key set that is published");
        conditions = conditions.with(Type::KeySetSigned, unsigned.is_none(), unsigned.unwrap_or(&signed));
    }
    if reissuing.left > 0 {
        let message = format!(
            "{} of {} documents under revoked keys are still to be made anew; those of paused and stalled Licenses wait for them",
            reissuing.left, reissuing.total
        );
        conditions = conditions.with(Type::Reissuing, true, &Because::new(Reason::KeyRevoked, message));
    }
    conditions.list()
}

fn progress(reissuing: Reissuing) -> Option<ReissuingStatus> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let Reissuing { total, left } = reissuing;
    (left > 0).then(|| ReissuingStatus { done: number(total.saturating_sub(left)), total: number(total) })
}

/// Those that matter to anybody, oldest first.
fn keys(keys: &[Key], overlap: SignedDuration) -> Vec<KeyStatus> {
    let revoked = keys.iter().filter(|key| key.is_revoked()).count();
    let (mut skipped, mut told) = (revoked.saturating_sub(TOLD_REVOKED), Vec::new());
    for key in keys {
        let (mut signs_from, mut until) = (None, None);
        let state = match key.state {
            State::Made => KeyState::Made,
            State::Announced { shown } => {
                signs_from = shown.and_then(|shown| shown.checked_add(overlap).ok()).map(seconds);
                KeyState::Announced
            }
            State::Signing { .. } => KeyState::Signing,
            State::Retired { .. } => {
                until = key.last_exp.map(seconds);
                KeyState::Retired
            }
            State::Withdrawn => continue,
            State::Revoked { .. } if skipped > 0 => {
                skipped -= 1;
                continue;
            }
            State::Revoked { .. } => KeyState::Revoked,
        };
        told.push(KeyStatus { kid: key.kid.to_string(), state: Some(state), signs_from, until });
    }
    told
}
