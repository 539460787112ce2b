//! Who belongs to which group at their provider, and who has asked for which License.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Connection, Pool, Row, damaged, instant, principal, proven_at};
use crate::{
    domain::{
        license::{Key, Uid},
        membership::Member,
        principal::Principal,
        standing::Person,
        text::ProviderGroup,
    },
    ledger::people::{ASKED, Arrival, GroupAt, MEMBERS, Members, News},
};

/// `who` is in the groups of today, and in no others.
pub(super) async fn are(connection: &mut Connection, who: &Principal) -> Result<(), sqlx::Error> {
    let former = sqlx::query("DELETE FROM memberships WHERE issuer = $1 AND subject = $2");
    former.bind(who.issuer.as_str()).bind(who.subject.as_str()).execute(&mut *connection).await?;
    for group in &who.groups {
        sqlx::query("INSERT INTO memberships (member_of, provider, issuer, subject) VALUES ($1, $2, $3, $4)")
            .bind(group.as_str())
            .bind(who.provider.as_str())
            .bind(who.issuer.as_str())
            .bind(who.subject.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// People, with what is theirs under the License `$1`.
macro_rules! people {
    ($which:literal) => {
        concat!(
            "SELECT p.*, (SELECT MIN(b.holder) FROM bindings b
                     WHERE b.license = $1 AND (b.holder = 'identity:' || p.issuer || ' ' || p.subject
                           OR b.issuer = p.issuer AND b.subject = p.subject)) AS holds,
                 EXISTS (SELECT 1 FROM bindings o WHERE o.holder = 'email:' || p.email AND o.issuer IS NOT NULL
                     AND NOT (o.issuer = p.issuer AND o.subject = p.subject)) AS anothers,
                 EXISTS (SELECT 1 FROM admissions a
                     WHERE a.license = $1 AND a.issuer = p.issuer AND a.subject = p.subject) AS asked FROM ",
            $which,
            " ORDER BY p.met_at, p.issuer, p.subject LIMIT $2"
        )
    };
}

const IN_A_GROUP: &str = people!(
    "memberships m JOIN principals p ON p.issuer = m.issuer AND p.subject = m.subject
     WHERE m.member_of = $3 AND ($4 = '' OR m.provider = $4)"
);
const WHO_ASKED: &str = people!(
    "admissions who JOIN principals p ON p.issuer = who.issuer AND p.subject = who.subject
     WHERE who.license = $1"
);

pub(super) async fn of(pool: &Pool, license: &Uid, of: &[GroupAt]) -> Result<Members, sqlx::Error> {
    let mut rows = sqlx::query(WHO_ASKED).bind(&license.0).bind(i64::from(ASKED)).fetch_all(pool).await?;
    for group in of {
        rows.extend(
            sqlx::query(IN_A_GROUP)
                .bind(&license.0)
                .bind(i64::from(MEMBERS))
                .bind(group.name.as_str())
                .bind(group.provider.as_ref().map_or("", |provider| provider.as_str()))
                .fetch_all(pool)
                .await?,
        );
    }
    let mut people = rows.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    people.sort_by_key(|(met_at, _)| *met_at);
    let mut seen = HashSet::new();
    people.retain(|(_, member)| seen.insert((member.person.issuer.clone(), member.person.subject.clone())));
    let known_since: Option<i64> = sqlx::query_scalar("SELECT since FROM ledger_meta WHERE incarnation > 1")
        .fetch_optional(pool)
        .await?;
    Ok(Members {
        people: people.into_iter().map(|(_, member)| member).collect(),
        known_since: known_since.map(instant).transpose()?,
    })
}

/// Somebody, with when they came first.
fn member(row: &Row) -> Result<(i64, Member), sqlx::Error> {
    let Principal { provider, issuer, subject, email, groups, .. } = principal(row)?;
    let member = Member {
        person: Person { issuer, subject, email: email.ok() },
        provider,
        groups,
        proven_at: proven_at(row)?,
        holds: row.try_get("holds")?,
        anothers: row.try_get("anothers")?,
        asked: row.try_get("asked")?,
    };
    Ok((row.try_get("met_at")?, member))
}

pub(super) async fn ask(
    connection: &mut Connection,
    license: &Uid,
    who: &Person,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query(
        "INSERT INTO admissions (license, issuer, subject, since) SELECT $1, issuer, subject, $4 FROM principals
         WHERE issuer = $2 AND subject = $3 AND (SELECT COUNT(*) FROM admissions WHERE license = $1) < $5
         ON CONFLICT (license, issuer, subject) DO UPDATE SET since = excluded.since",
    );
    let asked = asked
        .bind(&license.0)
        .bind(who.issuer.as_str())
        .bind(who.subject.as_str())
        .bind(now.as_second())
        .bind(i64::from(ASKED));
    Ok(asked.execute(connection).await?.rows_affected() == 1)
}

pub(super) async fn arrivals(pool: &Pool, since: Timestamp) -> Result<BTreeSet<Arrival>, sqlx::Error> {
    let since = since.as_second();
    let proven = sqlx::query("SELECT * FROM principals WHERE proven_at >= $1 ORDER BY proven_at LIMIT $2")
        .bind(since)
        .bind(i64::from(MEMBERS))
        .try_map(|row: Row| {
            let Principal { provider, issuer, subject, groups, .. } = principal(&row)?;
            let at = instant(row.try_get("proven_at")?)?;
            let was_in: BTreeSet<ProviderGroup> =
                serde_json::from_str(row.try_get("was_in")?).map_err(damaged)?;
            let concerned = groups.into_iter().chain(was_in).collect();
            Ok(Arrival { issuer, subject, at, news: News::Proven(provider, concerned) })
        })
        .fetch_all(pool)
        .await?;
    let asked = sqlx::query(
        "SELECT a.issuer AS issuer, a.subject AS subject, a.since AS at, namespace, name FROM admissions a
         JOIN licenses ON uid = a.license WHERE a.since >= $1 ORDER BY a.since LIMIT $2",
    );
    let asked = asked.bind(since).bind(i64::from(ASKED));
    let asked = asked.try_map(|row: Row| about(&row, News::Asked)).fetch_all(pool).await?;
    let contest = sqlx::query(
        "SELECT p.issuer AS issuer, p.subject AS subject, p.proven_at AS at, l.namespace AS namespace, l.name AS name FROM principals p
         JOIN bindings b ON b.holder = 'email:' || p.email JOIN licenses l ON l.uid = b.license
         WHERE p.proven_at >= $1 AND b.issuer IS NOT NULL AND NOT (b.issuer = p.issuer AND b.subject = p.subject) ORDER BY p.proven_at LIMIT $2",
    );
    let contest = contest.bind(since).bind(i64::from(MEMBERS));
    let contest = contest.try_map(|row: Row| about(&row, News::Contests)).fetch_all(pool).await?;
    Ok(proven.into_iter().chain(asked).chain(contest).collect())
}

/// What is about somebody and a License.
fn about(row: &Row, news: impl FnOnce(Key) -> News) -> Result<Arrival, sqlx::Error> {
    Ok(Arrival {
        issuer: row.try_get::<String, _>("issuer")?.parse().map_err(damaged)?,
        subject: row.try_get::<String, _>("subject")?.parse().map_err(damaged)?,
        at: instant(row.try_get("at")?)?,
        news: news(Key::new(row.try_get::<String, _>("namespace")?, row.try_get::<String, _>("name")?)),
    })
}
