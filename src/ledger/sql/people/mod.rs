//! People: passes, logins, and what is theirs.

mod again;
mod devices;
mod erase;
mod logins;
mod members;
mod passes;
mod seats;

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::Row as _;

use super::{
    Connection, Handle, Pool, Row, activations,
    commit::{failed, person},
    count, damaged, instant, while_doing,
};
use crate::{
    domain::{
        device::NotYet,
        license::{Key, Uid},
        principal::Principal,
        standing::Person,
        text::ProviderIssuer,
    },
    ledger::{
        CommitError, Unavailable,
        people::{
            Arrival, Begun, GroupAt, Login, Members, Met, Pass, People, REMEMBERED, SWEPT, SignedIn, Waiting,
        },
    },
};

pub(super) use erase::erase;
pub(super) use seats::{contested, pinned};

const READING: &str = "reading who is signed in";

/// Who somebody is, from a row of `principals`.
fn principal(row: &Row) -> Result<Principal, sqlx::Error> {
    let email: Option<String> = row.try_get("email")?;
    let email = match email {
        Some(email) => Ok(email.parse().map_err(damaged)?),
        None => Err(serde_json::from_str(row.try_get("no_email")?).map_err(damaged)?),
    };
    Ok(Principal {
        provider: row.try_get::<String, _>("provider")?.parse().map_err(damaged)?,
        issuer: row.try_get::<String, _>("issuer")?.parse().map_err(damaged)?,
        subject: row.try_get::<String, _>("subject")?.parse().map_err(damaged)?,
        email,
        groups: serde_json::from_str(row.try_get("member_of")?).map_err(damaged)?,
        name: row.try_get("name")?,
    })
}

/// When somebody's provider last said who they are; long ago if it has said since that they are not let in any more.
fn proven_at(row: &Row) -> Result<Timestamp, sqlx::Error> {
    if row.try_get("denied")? { Ok(Timestamp::UNIX_EPOCH) } else { instant(row.try_get("proven_at")?) }
}

fn json(value: &impl serde::Serialize) -> Result<String, CommitError> {
    serde_json::to_string(value).map_err(|error| failed(sqlx::Error::Encode(Box::new(error))))
}

async fn meet(connection: &mut Connection, who: &Principal, now: Timestamp) -> Result<(), CommitError> {
    sqlx::query(
        "INSERT INTO principals (issuer, subject, provider, name, email, no_email, member_of, proven_at, met_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         ON CONFLICT (issuer, subject) DO UPDATE SET provider = excluded.provider, name = excluded.name, email = excluded.email,
         no_email = excluded.no_email, member_of = excluded.member_of, proven_at = excluded.proven_at, denied = FALSE, was_in =
         CASE WHEN principals.member_of = excluded.member_of THEN principals.was_in ELSE principals.member_of END",
    )
    .bind(who.issuer.as_str())
    .bind(who.subject.as_str())
    .bind(who.provider.as_str())
    .bind(&who.name)
    .bind(who.email.as_ref().ok().map(ToString::to_string))
    .bind(who.email.as_ref().err().map(json).transpose()?)
    .bind(json(&who.groups)?)
    .bind(now.as_second())
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    members::are(connection, who).await.map_err(failed)?;
    // Whoever is signed in somewhere has proven themselves since.
    sqlx::query(
        "DELETE FROM principals WHERE (issuer, subject) IN
         (SELECT issuer, subject FROM principals WHERE proven_at < $1 ORDER BY proven_at LIMIT $2)",
    )
    .bind(now.as_second().saturating_sub(REMEMBERED))
    .bind(i64::from(SWEPT))
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

impl People for Handle {
    async fn keep_pass(
        &self,
        pass: &Pass,
        at_most: Option<u32>,
        now: Timestamp,
    ) -> Result<bool, CommitError> {
        let mut transaction = self.begin_answering().await?;
        let kept = passes::keep(&mut transaction, pass, at_most, now).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(kept)
    }

    async fn pass(&self, hash: &str, now: Timestamp) -> Result<Option<String>, Unavailable> {
        passes::read(&self.ask, hash, now).await.map_err(while_doing("reading a pass"))
    }

    async fn take_pass(&self, hash: &str, now: Timestamp) -> Result<Option<String>, CommitError> {
        let mut transaction = self.begin_answering().await?;
        let taken = passes::take(&mut transaction, hash, now).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(taken)
    }

    async fn use_assertion(&self, hash: &str, until: Timestamp, now: Timestamp) -> Result<bool, CommitError> {
        let mut transaction = self.begin_answering().await?;
        let used = passes::use_assertion(&mut transaction, hash, until, now).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(used)
    }

    async fn await_person(&self, waiting: &Waiting, now: Timestamp) -> Result<bool, CommitError> {
        let mut transaction = self.begin_answering().await?;
        let waits = devices::wait(&mut transaction, waiting, now).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(waits)
    }

    async fn waiting(&self, user_code: &str, now: Timestamp) -> Result<Option<Waiting>, Unavailable> {
        devices::waiting(&self.ask, user_code, now).await.map_err(while_doing("reading which device waits"))
    }

    async fn answer_device(
        &self,
        hash: &str,
        yes: Option<&Pass>,
        now: Timestamp,
    ) -> Result<bool, CommitError> {
        let mut transaction = self.begin_answering().await?;
        let answered = devices::answer(&mut transaction, hash, yes, now).await.map_err(failed)?;
        // What was not answered has changed nothing.
        if answered {
            transaction.commit().await.map_err(failed)?;
        }
        Ok(answered)
    }

    async fn ask_answer(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<Result<(), NotYet>>, CommitError> {
        let mut transaction = self.begin_answering().await?;
        let told = devices::ask(&mut transaction, hash, now).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(told)
    }

    async fn meet(&self, who: &Principal, now: Timestamp) -> Result<(), CommitError> {
        let mut transaction = self.begin_answering().await?;
        meet(&mut transaction, who, now).await?;
        transaction.commit().await.map_err(failed)
    }

    async fn begin_login(&self, code: &str, login: &Login) -> Result<Begun, CommitError> {
        let mut transaction = self.begin_answering().await?;
        let begun = logins::begin(&mut transaction, code, login).await.map_err(failed)?;
        if begun == Begun::Now {
            transaction.commit().await.map_err(failed)?;
        }
        Ok(begun)
    }

    async fn begun_login(&self, code: &str) -> Result<Option<String>, Unavailable> {
        passes::spent_by(&self.ask, code).await.map_err(while_doing("reading a pass"))
    }

    async fn login(&self, family: &str, now: Timestamp) -> Result<Option<SignedIn>, Unavailable> {
        logins::by_family(&self.ask, family, now).await.map_err(while_doing(READING))
    }

    async fn go_on(&self, login: &Login) -> Result<(), CommitError> {
        let mut transaction = self.begin_answering().await?;
        if !logins::go_on(&mut transaction, login).await.map_err(failed)? {
            return Err(CommitError::Conflict);
        }
        transaction.commit().await.map_err(failed)
    }

    async fn ask_provider(&self, login: &Login, now: Timestamp) -> Result<bool, CommitError> {
        let mut transaction = self.begin_answering().await?;
        let asks = again::ask(&mut transaction, login, now).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(asks)
    }

    async fn told(&self, login: &Login, who: Option<&Principal>, now: Timestamp) -> Result<(), CommitError> {
        let mut transaction = self.begin_answering().await?;
        if again::told(&mut transaction, login).await.map_err(failed)?
            && let Some(who) = who
        {
            meet(&mut transaction, who, now).await?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn unasked(&self, login: &Login, before: Timestamp) -> Result<(), CommitError> {
        let mut transaction = self.begin_answering().await?;
        again::unasked(&mut transaction, login, before).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn elsewhere(
        &self,
        login: &Login,
        now: Timestamp,
        at_most: u32,
    ) -> Result<Vec<SignedIn>, Unavailable> {
        logins::elsewhere(&self.ask, login, now, at_most).await.map_err(while_doing(READING))
    }

    async fn deny(&self, login: &Login, now: Timestamp) -> Result<(), CommitError> {
        let mut transaction = self.begin_answering().await?;
        again::deny(&mut transaction, login, now).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn can_be_asked(
        &self,
        issuer: &ProviderIssuer,
        now: Timestamp,
    ) -> Result<Option<bool>, Unavailable> {
        again::can_be_asked(&self.read, issuer, now).await.map_err(while_doing(READING))
    }

    async fn end_login(&self, id: &str) -> Result<bool, CommitError> {
        let mut transaction = self.begin_answering().await?;
        let ended = sqlx::query("DELETE FROM logins WHERE id = $1").bind(id);
        let ended = ended.execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(ended.rows_affected() == 1)
    }

    async fn signed_in(&self, access: &str, now: Timestamp) -> Result<Option<SignedIn>, Unavailable> {
        logins::by_access(&self.ask, access, now).await.map_err(while_doing(READING))
    }

    async fn members(&self, license: &Uid, of: &[GroupAt]) -> Result<Members, Unavailable> {
        members::of(&self.read, license, of).await.map_err(while_doing("reading who belongs to a group"))
    }

    async fn ask_for(&self, license: &Uid, person: &Person, now: Timestamp) -> Result<bool, CommitError> {
        let mut transaction = self.begin_answering().await?;
        let asked = members::ask(&mut transaction, license, person, now).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(asked)
    }

    async fn arrivals(&self, since: Timestamp) -> Result<BTreeSet<Arrival>, Unavailable> {
        members::arrivals(&self.read, since).await.map_err(while_doing("reading who came"))
    }

    async fn met(&self, license: &Key, person: &Person) -> Result<Option<Met>, Unavailable> {
        seats::met(&self.ask, license, person).await.map_err(while_doing("reading what is somebody's"))
    }
}
