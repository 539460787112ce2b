//! Activations: reading them, and the steps that they take.

mod asking;
mod group;
mod holdings;
mod license;
pub(super) mod places;
mod record;
mod sessions;
mod state;
mod workplace;

use jiff::Timestamp;
use sqlx::Row as _;

use super::{
    BEGIN, Connection, Handle, Pool, Row, SNAPSHOT, authorities,
    commit::{chain, conflict_or_failed, failed, person},
    count, damaged, engine, instant,
    lead::{self, begin_steps},
    people, while_doing,
};
use crate::{
    domain::{
        chain::Chain,
        contract::Contract,
        features::Carries,
        license::{Key, Uid},
        refused::Told,
        standing::Person,
    },
    ledger::{
        CommitError, Unavailable,
        activations::{
            Activated, Activation, Activations, Holding, Keep, Living, Question, Recorded, Seen, Shown, Step,
            Taken, User, Workplace, asking::Asking,
        },
        audit::of_refusals,
        holdings::Holdings,
        sessions::OpenSessions,
    },
};

pub(super) use group::Group;
pub(super) use license::{forget, forked, withdrawn};

const READING: &str = "reading activations";

fn seen(row: &Row) -> Result<Seen, sqlx::Error> {
    let chain: Chain = serde_json::from_str(row.try_get("chain")?).map_err(damaged)?;
    Ok(Seen {
        activation: Activation {
            id: row.try_get("id")?,
            license: Uid(row.try_get("license")?),
            holder: row.try_get("holder")?,
            device: row.try_get("device")?,
            fingerprint: row.try_get("fingerprint")?,
            token: row.try_get("token")?,
            chain: Chain { state: state::of(row)?, ..chain },
            answer: row.try_get("answer")?,
            since: instant(row.try_get("since")?)?,
            workload: workplace::slotted(row)?,
            jkt: row.try_get("jkt")?,
        },
        version: row.try_get("version")?,
        heard_at: instant(row.try_get("heard_at")?)?,
    })
}

/// What activations of a holder carry, by their binding, or nothing of one.
pub(super) fn carries(row: &Row) -> Result<Carries, sqlx::Error> {
    let features = row.try_get::<Option<&str>, _>("features")?.map(serde_json::from_str).transpose();
    Ok(Carries {
        features: features.map_err(damaged)?,
        suspended: row.try_get::<Option<bool>, _>("suspended")?.unwrap_or(false),
    })
}

fn key(row: &Row) -> Result<Key, sqlx::Error> {
    Ok(Key { namespace: row.try_get("namespace")?, name: row.try_get("license_name")? })
}

/// What a License says, if we can read it: else its next look tells it anew.
pub(super) fn contract(row: &Row) -> Result<Option<Contract>, sqlx::Error> {
    Ok(row.try_get::<Option<&str>, _>("contract")?.and_then(|json| serde_json::from_str(json).ok()))
}

/// The thumbprint of the key of nonces, if one is known.
async fn nonce_key(pool: &Pool) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT nonce_key FROM ledger_meta").fetch_one(pool).await
}

impl Activations for Handle {
    async fn activation_key(&self, hash: &str) -> Result<Option<Shown>, Unavailable> {
        let shown = sqlx::query(
            "SELECT licenses.uid, namespace, licenses.name AS license_name, contract, turn,
                    activation_keys.name AS name, used, (SELECT incarnation FROM ledger_meta) AS incarnation
             FROM activation_keys JOIN licenses ON licenses.uid = activation_keys.license WHERE hash = $1",
        )
        .bind(hash)
        .try_map(|row: Row| {
            Ok(Shown {
                license: Uid(row.try_get("uid")?),
                key: key(&row)?,
                name: row.try_get("name")?,
                used: count(row.try_get("used")?)?,
                contract: contract(&row)?,
                turn: row.try_get("turn")?,
                incarnation: count(row.try_get("incarnation")?)?,
            })
        })
        .fetch_optional(&self.ask)
        .await;
        shown.map_err(while_doing("reading an activation key"))
    }

    async fn activation(&self, id: &str) -> Result<Option<Living>, Unavailable> {
        const QUERY: &str = "SELECT activations.*, namespace, licenses.name AS license_name, contract,
             bindings.features AS features, bindings.suspended AS suspended,
             (SELECT incarnation FROM ledger_meta) AS incarnation
             FROM activations JOIN licenses ON licenses.uid = activations.license
             LEFT JOIN bindings ON bindings.license = activations.license AND bindings.holder = activations.holder
             WHERE activations.id = $1";
        sqlx::query(QUERY)
            .bind(id)
            .try_map(|row: Row| {
                Ok(Living {
                    seen: seen(&row)?,
                    key: key(&row)?,
                    contract: contract(&row)?,
                    carries: carries(&row)?,
                    incarnation: count(row.try_get("incarnation")?)?,
                })
            })
            .fetch_optional(&self.ask)
            .await
            .map_err(while_doing(READING))
    }

    async fn begun_by(&self, license: &Uid, key: &str) -> Result<Option<Seen>, Unavailable> {
        sqlx::query("SELECT * FROM activations WHERE license = $1 AND begun_by = $2")
            .bind(&license.0)
            .bind(key)
            .try_map(|row: Row| seen(&row))
            .fetch_optional(&self.ask)
            .await
            .map_err(while_doing(READING))
    }

    async fn workplace(&self, license: &Key, owner: &str) -> Result<Option<Workplace>, Unavailable> {
        let failed = while_doing(READING);
        let mut snapshot = self.ask.begin_with(SNAPSHOT).await.map_err(&failed)?;
        workplace::workplace(&mut snapshot, license, owner).await.map_err(failed)
    }

    async fn taken(&self, question: &Question<'_>) -> Result<Taken, Unavailable> {
        let failed = while_doing("counting places");
        // One read transaction: the turn and what is counted in it are of one moment.
        let mut snapshot = self.ask.begin_with(SNAPSHOT).await.map_err(&failed)?;
        places::taken(&mut snapshot, question).await.map_err(failed)
    }

    async fn holding(&self, license: &Uid, among: &[String], now: Timestamp) -> Result<Holding, Unavailable> {
        let failed = while_doing("counting places");
        let mut reader = self.read.acquire().await.map_err(&failed)?;
        license::holding(&mut reader, license, among, now).await.map_err(failed)
    }

    async fn last_activated(
        &self,
        license: &Uid,
        at_most: usize,
        now: Timestamp,
    ) -> Result<Vec<Activated>, Unavailable> {
        let failed = while_doing(READING);
        let mut reader = self.read.acquire().await.map_err(&failed)?;
        license::last_activated(&mut reader, license, at_most, now).await.map_err(failed)
    }

    async fn open_sessions(&self, license: &Uid, now: Timestamp) -> Result<OpenSessions, Unavailable> {
        let failed = while_doing("counting sessions");
        let mut reader = self.ask.acquire().await.map_err(&failed)?;
        sessions::of_license(&mut reader, license, now).await.map_err(failed)
    }

    async fn in_use(&self, now: Timestamp) -> Result<Vec<Key>, Unavailable> {
        sqlx::query(
            "SELECT namespace, name FROM licenses
             WHERE uid IN (SELECT license FROM sessions WHERE expires_at >= $1 AND NOT closed) ORDER BY namespace, name",
        )
        .bind(now.as_second())
        .try_map(|row: Row| Ok(Key { namespace: row.try_get("namespace")?, name: row.try_get("name")? }))
        .fetch_all(&self.ask)
        .await
        .map_err(while_doing("listing the licenses in use"))
    }

    async fn users(&self, license: &Uid, after: i64, at_most: u32) -> Result<Vec<User>, Unavailable> {
        license::users(&self.ask, license, after, at_most).await.map_err(while_doing("listing users"))
    }

    async fn holdings(&self, who: &Person, now: Timestamp, at_most: u32) -> Result<Holdings, Unavailable> {
        let failed = while_doing("reading what is somebody's");
        let mut snapshot = self.ask.begin_with(SNAPSHOT).await.map_err(&failed)?;
        holdings::of(&mut snapshot, who, now, at_most).await.map_err(failed)
    }

    async fn needs_nonces(&self) -> Result<bool, Unavailable> {
        let any = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM activations) OR EXISTS (SELECT 1 FROM logins WHERE again IS NOT NULL)",
        );
        let any = any.fetch_one(&self.ask).await;
        any.map_err(while_doing(READING))
    }

    async fn takes_steps(&self) -> Result<(), Unavailable> {
        self.group.takes_steps().await
    }

    async fn nonces_are_by(&self, thumbprint: &str) -> Result<bool, Unavailable> {
        let failed = while_doing("comparing the key of nonces");
        // A database that takes no writes is not asked to take one that changes nothing.
        if nonce_key(&self.write).await.map_err(&failed)?.as_deref() == Some(thumbprint) {
            return Ok(true);
        }
        sqlx::query(
            "UPDATE ledger_meta SET nonce_key = $1 WHERE nonce_key IS NULL
             OR (nonce_key <> $1 AND NOT EXISTS (SELECT 1 FROM activations)
                 AND NOT EXISTS (SELECT 1 FROM logins WHERE again IS NOT NULL))",
        )
        .bind(thumbprint)
        .execute(&self.write)
        .await
        .map_err(&failed)?;
        Ok(nonce_key(&self.write).await.map_err(&failed)?.as_deref() == Some(thumbprint))
    }

    async fn forget_ended(&self, license: &Uid, keep: Keep, at_most: u32) -> Result<usize, CommitError> {
        let mut transaction = self.begin().await?;
        let forgotten =
            license::forget_ended(&mut transaction, license, keep, at_most).await.map_err(failed)?;
        if forgotten > 0 {
            transaction.commit().await.map_err(failed)?;
        }
        Ok(forgotten)
    }

    async fn tell_of_refusals(&self, refused: &[Told], at: Timestamp) -> Result<(), CommitError> {
        self.group.tell(&of_refusals(refused), at).await
    }

    async fn note_asking(&self, asking: &[Asking]) -> Result<(), CommitError> {
        self.group.note_asking(asking).await
    }

    async fn asking(&self, license: &Uid, since: Timestamp) -> Result<Vec<Asking>, Unavailable> {
        asking::since(&self.read, license, since).await.map_err(while_doing("reading which devices asked"))
    }

    async fn record(&self, step: Step) -> Result<Recorded, CommitError> {
        self.group.record(step).await
    }
}
