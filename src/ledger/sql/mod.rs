//! The statements, written once. Each engine compiles this room with its own database (`super::engine`), so that one
//! text holds for all of them and each is as typed as if it were the only one.

mod activations;
mod audit;
mod authorities;
mod claims;
mod commit;
mod keys;
mod lead;
mod people;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use sqlx::{Database, Row as _};

use super::engine::{self, BEGIN, Db, ERASED, Guard, NOBODY, READ_ONLY, SNAPSHOT};
use crate::{
    domain::{
        allocation::Binding,
        features::Carries,
        license::{Key, Uid},
        witness::{Head, Loss, Witness},
    },
    ledger::{
        Change, Claim, CommitError, CopyClaim, Document, Facts, Freed, Ledger, SecretClaim, Terms,
        Unavailable,
    },
};

use activations::Group;
use lead::Epoch;

type Connection = <Db as Database>::Connection;
type Row = <Db as Database>::Row;
type Pool = sqlx::Pool<Db>;
type Transaction = sqlx::Transaction<'static, Db>;

/// A handle on the ledger.
#[derive(Debug)]
pub struct Handle {
    write: Pool,
    read: Pool,
    /// To read what programs ask for: they wait for no look at a large License.
    ask: Pool,
    group: Arc<Group>,
    /// What the engine keeps for as long as there is a handle.
    pub(super) guard: Guard,
    /// The epoch in which this handle leads: see [`lead`].
    epoch: Epoch,
    /// A commit was refused because another handle leads.
    deposed: AtomicBool,
}

impl Handle {
    /// `steps` writes what programs ask for: it waits for no look that writes.
    pub(super) fn over(write: Pool, steps: Pool, read: Pool, ask: Pool, guard: Guard) -> Self {
        let group = Arc::new(Group::start(steps));
        Self { write, read, ask, group, guard, epoch: Epoch::default(), deposed: false.into() }
    }
}

fn while_doing(doing: &'static str) -> impl Fn(sqlx::Error) -> Unavailable {
    move |source| Unavailable { doing, source }
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

fn instant(seconds: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_second(seconds).map_err(damaged)
}

fn document(row: &Row) -> Result<Document, sqlx::Error> {
    Ok(Document {
        subject: Uid(row.try_get("subject")?),
        serial: row.try_get("serial")?,
        digest: row.try_get("digest")?,
        key_id: row.try_get("key_id")?,
        jws: row.try_get("jws")?,
        keys_jws: row.try_get("keys_jws")?,
        issued_at: instant(row.try_get("issued_at")?)?,
        expires_at: instant(row.try_get("expires_at")?)?,
        renew_at: row.try_get::<Option<i64>, _>("renew_at")?.map(instant).transpose()?,
    })
}

fn count(number: i64) -> Result<u32, sqlx::Error> {
    u32::try_from(number).map_err(damaged)
}

fn terms(row: &Row) -> Result<Terms, sqlx::Error> {
    Ok(Terms {
        product: row.try_get("product")?,
        provisioning: row.try_get::<String, _>("provisioning")?.parse().map_err(damaged)?,
        max_per_user: row.try_get::<Option<i64>, _>("max_per_user")?.map(count).transpose()?,
        contract: activations::contract(row)?,
    })
}

impl Handle {
    /// The Secrets of one License: those in its `own` namespace, and copies in others.
    async fn claims_of(
        connection: &mut Connection,
        license: &str,
        own: &str,
    ) -> Result<(Vec<SecretClaim>, Vec<CopyClaim>), sqlx::Error> {
        // Asked with its namespace, SQLite walks over all of the namespace's.
        let claims = sqlx::query(
            "SELECT namespace, name, subject, removing FROM secrets WHERE license = $1 ORDER BY namespace, name",
        );
        let (mut secrets, mut copies) = (Vec::new(), Vec::new());
        for row in claims.bind(license).fetch_all(connection).await? {
            let secret = Key { namespace: row.try_get("namespace")?, name: row.try_get("name")? };
            let removing = row.try_get("removing")?;
            if secret.namespace == own {
                let subject = Uid(row.try_get("subject")?);
                secrets.push(SecretClaim { name: secret.name, subject, removing });
            } else {
                copies.push(CopyClaim { secret, removing });
            }
        }
        Ok((secrets, copies))
    }

    /// All that is known of one License, as of one moment.
    async fn facts_of(connection: &mut Connection, row: &Row) -> Result<Facts, sqlx::Error> {
        let license: String = row.try_get("uid")?;
        let bound = sqlx::query(
            "SELECT seat, holder, ordinal, features, suspended FROM bindings WHERE license = $1 ORDER BY ordinal",
        )
        .bind(&license)
        .try_map(|row: Row| {
            let binding =
                Binding { seat: Uid(row.try_get(0)?), holder: row.try_get(1)?, ordinal: row.try_get(2)? };
            Ok((binding, activations::carries(&row)?))
        })
        .fetch_all(&mut *connection)
        .await?;
        let told = bound.iter().filter(|(_, carries)| *carries != Carries::default());
        let carries = told.map(|(binding, carries)| (binding.holder.clone(), carries.clone())).collect();
        let bindings = bound.into_iter().map(|(binding, _)| binding).collect();
        let cooling = sqlx::query(
            "SELECT holder, freed_at, expires_at, places FROM cooling WHERE license = $1 ORDER BY freed_at, holder",
        )
        .bind(&license)
        .try_map(|row: Row| {
            Ok(Freed {
                holder: row.try_get(0)?,
                freed_at: instant(row.try_get(1)?)?,
                expires_at: instant(row.try_get(2)?)?,
                places: count(row.try_get(3)?)?,
            })
        })
        .fetch_all(&mut *connection)
        .await?;
        let documents = sqlx::query("SELECT * FROM documents WHERE license = $1 ORDER BY subject")
            .bind(&license)
            .try_map(|row: Row| document(&row))
            .fetch_all(&mut *connection)
            .await?;
        let (secrets, copies) = Self::claims_of(connection, &license, row.try_get("namespace")?).await?;
        let keys = sqlx::query_as("SELECT name, hash FROM activation_keys WHERE license = $1")
            .bind(&license)
            .fetch_all(&mut *connection)
            .await?;
        let contested = people::contested(connection, &license).await?;
        let forked = activations::forked(connection, &license).await?;
        Ok(Facts {
            license: Uid(license),
            version: row.try_get("version")?,
            incarnation: row.try_get("incarnation")?,
            seats: count(row.try_get("seats")?)?,
            terms: terms(row)?,
            bindings,
            carries,
            cooling,
            documents,
            secrets,
            keys: keys.into_iter().collect(),
            copies,
            forked,
            contested,
        })
    }
}

impl Ledger for Handle {
    async fn lead(&self, claim: &Claim) -> Result<i64, CommitError> {
        self.take_lead(claim).await
    }

    fn deposed(&self) -> bool {
        self.deposed.load(Ordering::SeqCst)
    }

    async fn head(&self) -> Result<Head, Unavailable> {
        self.read_head().await
    }

    async fn takes_writes(&self) -> Result<(), Unavailable> {
        self.begin_to_write().await
    }

    async fn condemn(&self, loss: Loss, incarnation: i64) -> Result<(), Unavailable> {
        self.note_lost(loss, incarnation).await
    }

    fn serve(&self, cluster: &Uid) {
        self.group.serve(cluster);
    }

    async fn recover(&self, loss: Loss, witness: Option<&Witness>, at: Timestamp) -> Result<(), CommitError> {
        self.begin_incarnation(loss, witness, at).await
    }

    async fn rebuilt(&self, incarnation: i64) -> Result<bool, CommitError> {
        self.end_rebuild(incarnation).await
    }

    async fn licenses(&self) -> Result<Vec<Key>, Unavailable> {
        sqlx::query("SELECT DISTINCT namespace, name FROM licenses ORDER BY namespace, name")
            .try_map(|row: Row| Ok(Key { namespace: row.try_get("namespace")?, name: row.try_get("name")? }))
            .fetch_all(&self.read)
            .await
            .map_err(while_doing("listing the licenses"))
    }

    async fn facts(&self, key: &Key) -> Result<Vec<Facts>, Unavailable> {
        let failed = while_doing("reading what is known of a license");
        // One read transaction: bindings and documents are of one moment.
        let mut snapshot = self.read.begin_with(SNAPSHOT).await.map_err(&failed)?;
        let licenses = sqlx::query("SELECT * FROM licenses WHERE namespace = $1 AND name = $2 ORDER BY uid")
            .bind(&key.namespace)
            .bind(&key.name)
            .fetch_all(&mut *snapshot)
            .await
            .map_err(&failed)?;
        let mut all = Vec::with_capacity(licenses.len());
        for license in licenses {
            all.push(Self::facts_of(&mut snapshot, &license).await.map_err(&failed)?);
        }
        Ok(all)
    }

    async fn held_elsewhere(
        &self,
        namespace: &str,
        product: &str,
        except: &Uid,
    ) -> Result<BTreeMap<String, u32>, Unavailable> {
        let counts = sqlx::query(
            "SELECT holder, COUNT(*) FROM bindings JOIN licenses ON licenses.uid = bindings.license
             WHERE namespace = $1 AND product = $2 AND uid <> $3 GROUP BY holder",
        )
        .bind(namespace)
        .bind(product)
        .bind(&except.0)
        .try_map(|row: Row| Ok((row.try_get::<String, _>(0)?, count(row.try_get(1)?)?)))
        .fetch_all(&self.read)
        .await;
        Ok(counts.map_err(while_doing("counting the seats of a product"))?.into_iter().collect())
    }

    async fn commit(&self, change: &Change) -> Result<Vec<String>, CommitError> {
        commit::license(self, change).await
    }
}
