//! One step, in a transaction that others share.

use sqlx::Acquire as _;

use super::{
    Connection, conflict_or_failed, engine, failed, lead, people, person, places, sessions, state::word,
};
use crate::{
    domain::chain::{State, Why},
    ledger::{
        CommitError,
        activations::{Activation, Advance, Advancing, Recorded, Step},
        audit::{Entry, Said},
        sessions::{Use, Used},
    },
};

/// Does what `step` says, or nothing. What it tells the audit is added to `entries`.
pub(super) async fn record(
    connection: &mut Connection,
    step: &Step,
    entries: &mut Vec<Entry>,
) -> Result<Recorded, CommitError> {
    if let (Some(session), None) = (&step.session, &step.by) {
        let session = Some(sessions::used(connection, step, session).await?);
        return Ok(Recorded { session, ..Recorded::default() });
    }
    if let Some(id) = &step.heard {
        heard(connection, step, id).await?;
        return Ok(Recorded::default());
    }
    let mut own = connection.begin().await.map_err(failed)?;
    let (recorded, said) = several(&mut own, step).await?;
    own.commit().await.map_err(failed)?;
    entries.extend(said);
    Ok(recorded)
}

/// What `step` says, if that is no more than that one activation goes on, as the many do.
pub(super) fn goes_on(step: &Step) -> Option<&Advance> {
    let Step {
        turn: None,
        begin: None,
        fork: None,
        by: None,
        incarnation: None,
        session: None,
        heard: None,
        advance: Some(one),
        ..
    } = step
    else {
        return None;
    };
    step.also.is_empty().then_some(one)
}

/// Does what these steps say, of which each goes on and no more, or nothing. What they tell the audit is added to `entries`.
pub(super) async fn go_on(
    connection: &mut Connection,
    steps: &[(&Step, &Advance)],
    entries: &mut Vec<Entry>,
) -> Result<Vec<Result<Recorded, CommitError>>, CommitError> {
    let done = advances(connection, steps).await?;
    let told = steps.iter().zip(&done).filter(|(_, done)| **done);
    entries.extend(told.filter_map(|((step, one), _)| ended(step, one, None)));
    let outcome = |done| if done { Ok(Recorded::default()) } else { Err(CommitError::Conflict) };
    Ok(done.into_iter().map(outcome).collect())
}

async fn several(connection: &mut Connection, step: &Step) -> Result<(Recorded, Vec<Entry>), CommitError> {
    let (mut recorded, mut entries) = (Recorded::default(), Vec::new());
    let by = match &step.by {
        Some(administrator) => Some(person(connection, administrator, &step.entropy).await?),
        None => None,
    };
    if let Some(session) = &step.session {
        let used = sessions::used(connection, step, session).await?;
        let closed = by.clone().filter(|_| used == Used::Closed);
        entries.extend(closed.map(|by| closed_by(step, session, by)));
        recorded.session = Some(used);
    }
    if let Some(turn) = step.turn {
        next_turn(connection, step, turn).await?;
    }
    if let Some(one) = &step.advance {
        advance(connection, step, one).await?;
        entries.extend(ended(step, one, by.clone()));
    }
    for one in &step.also {
        advance(connection, step, one).await?;
        entries.extend(ended(step, one, None));
    }
    if let (Some(activation), Some(by)) = (&step.resolve, by) {
        let forks = sqlx::query("DELETE FROM forks WHERE activation = $1").bind(activation);
        forks.execute(&mut *connection).await.map_err(failed)?;
        let (license, activation) = (step.key.to_string(), activation.clone());
        entries.push(Entry::Resolve { license, activation, by });
    }
    if step.turn.is_some() {
        places::lapse(connection, &step.license, step.at).await.map_err(failed)?;
    }
    if let Some(incarnation) = step.incarnation {
        let entry = lead::proven(connection, incarnation.into(), step.at).await?;
        recorded.new_incarnation = entry.is_some();
        entries.extend(entry);
    }
    if let Some(pin) = &step.pin {
        entries.push(people::pinned(connection, step, pin).await?);
    }
    if let Some(activation) = &step.begin {
        entries.push(begin(connection, step, activation).await?);
    }
    if let Some((activation, at)) = &step.fork {
        let new = sqlx::query(
            "INSERT INTO forks (activation, incarnation, sequence, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(activation)
        .bind(i64::from(at.incarnation))
        .bind(i64::try_from(at.sequence).unwrap_or(i64::MAX))
        .bind(step.at.as_second())
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
        recorded.new_fork = new.rows_affected() == 1;
        let entry = Entry::Fork {
            license: step.key.to_string(),
            activation: activation.clone(),
            position: at.to_string(),
        };
        entries.extend(recorded.new_fork.then_some(entry));
    }
    Ok((recorded, entries))
}

/// Of two steps that counted places in one turn, one wins here.
async fn next_turn(connection: &mut Connection, step: &Step, turn: i64) -> Result<(), CommitError> {
    let turned = sqlx::query("UPDATE licenses SET turn = turn + 1 WHERE uid = $1 AND turn = $2")
        .bind(&step.license.0)
        .bind(turn)
        .execute(connection)
        .await
        .map_err(failed)?;
    if turned.rows_affected() == 1 { Ok(()) } else { Err(CommitError::Conflict) }
}

async fn advance(connection: &mut Connection, step: &Step, one: &Advance) -> Result<(), CommitError> {
    let advanced = advances(connection, &[(step, one)]).await?;
    if advanced == [true] { Ok(()) } else { Err(CommitError::Conflict) }
}

/// Which of these have been done: each, unless its activation has another version.
async fn advances(connection: &mut Connection, all: &[(&Step, &Advance)]) -> Result<Vec<bool>, CommitError> {
    let rows = all.iter().map(|(step, one)| Advancing::of(step, one, word));
    let rows: Vec<Advancing<'_>> =
        rows.collect::<Result<_, _>>().map_err(|error| failed(sqlx::Error::Encode(Box::new(error))))?;
    engine::advance(connection, &rows).await.map_err(failed)
}

async fn heard(connection: &mut Connection, step: &Step, id: &str) -> Result<(), CommitError> {
    let heard = sqlx::query("UPDATE activations SET heard_at = $2 WHERE id = $1").bind(id);
    heard.bind(step.at.as_second()).execute(connection).await.map_err(failed)?;
    Ok(())
}

fn closed_by(step: &Step, session: &Use, by: String) -> Entry {
    let (Use::Open { id, .. } | Use::Keep { id, .. } | Use::Close { id }) = session;
    Entry::CloseSession { license: step.key.to_string(), session: id.clone(), by }
}

fn ended(step: &Step, one: &Advance, by: Option<String>) -> Option<Entry> {
    let State::Ended(why) = one.chain.state else { return None };
    Some(Entry::Deactivate {
        license: step.key.to_string(),
        activation: one.id.clone(),
        why: match why {
            Why::Deactivated => Said::Deactivated,
            Why::Superseded => Said::Superseded,
            Why::Withdrawn => Said::Withdrawn,
        },
        by,
    })
}

async fn begin(
    connection: &mut Connection,
    step: &Step,
    activation: &Activation,
) -> Result<Entry, CommitError> {
    let chain = &activation.chain;
    let json = serde_json::to_string(chain).map_err(|error| failed(sqlx::Error::Encode(Box::new(error))))?;
    sqlx::query(
        "INSERT INTO activations
         (id, license, holder, device, token, begun_by, state, version, chain, answer, since, expires_at, ordinal, recovery, fingerprint,
          owner, slot, pod, jkt, heard_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $11, $12, FALSE, $13, $14, $15, $16, $17, $10)",
    )
    .bind(&activation.id)
    .bind(&activation.license.0)
    .bind(&activation.holder)
    .bind(&activation.device)
    .bind(&activation.token)
    .bind(String::from(chain.made_by.key))
    .bind(word(chain.state))
    .bind(json)
    .bind(&activation.answer)
    .bind(activation.since.as_second())
    .bind(chain.expires_at.as_second())
    .bind(step.turn.unwrap_or(0))
    .bind(&activation.fingerprint)
    .bind(activation.workload.as_ref().map(|workload| workload.owner.as_str()))
    .bind(activation.workload.as_ref().map(|workload| workload.slot.to_string()))
    .bind(activation.workload.as_ref().map(|workload| workload.pod.0.as_str()))
    .bind(&activation.jkt)
    .execute(&mut *connection)
    .await
    .map_err(conflict_or_failed)?;
    if let Some(name) = &step.by_key {
        sqlx::query("UPDATE activation_keys SET used = used + 1 WHERE license = $1 AND name = $2")
            .bind(&step.license.0)
            .bind(name)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    Ok(Entry::Activate {
        license: step.key.to_string(),
        activation: activation.id.clone(),
        holder: person(connection, &activation.holder, &step.entropy).await?,
        serial: step.given.as_ref().map(|given| given.serial.clone()).unwrap_or_default(),
    })
}
