//! What one person has, under all Licenses.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Connection, Row, contract, instant, key};
use crate::{
    domain::{
        license::Uid,
        standing::{Candidate, Person},
    },
    ledger::holdings::{ActiveOn, Holdings, MaybeSeat, OnSeat, OpenOn},
};

/// What is asked of seats that may be somebody's: held by their address `$1`, by themselves `$2`, or pinned to them, `$3` and `$4`; so many, `$5`.
macro_rules! of_person {
    ($what:literal, $joined:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM bindings JOIN licenses ON licenses.uid = bindings.license ",
            $joined,
            " WHERE (bindings.holder = $1 OR bindings.holder = $2 OR (bindings.issuer = $3 AND bindings.subject = $4)) ",
            $rest,
            " LIMIT $5"
        )
    };
}

const SEATS: &str = of_person!(
    "uid, namespace, licenses.name AS license_name, contract, bindings.holder AS holder, bindings.issuer AS issuer,
     bindings.subject AS subject",
    "",
    "ORDER BY namespace, licenses.name, uid, bindings.ordinal"
);
/// At the second `$6`.
const DEVICES: &str = of_person!(
    "uid, activations.holder AS holder, id, device, activations.since AS since, heard_at",
    "JOIN activations ON activations.license = bindings.license AND activations.holder = bindings.holder",
    "AND state IN ('active', 'quarantined') AND activations.expires_at >= $6
     ORDER BY namespace, licenses.name, uid, activations.since, id"
);
/// At the second `$6`. What is open is as wherever sessions are counted.
const SESSIONS: &str = of_person!(
    "uid, activations.holder AS holder, device, sessions.since AS since",
    "JOIN activations ON activations.license = bindings.license AND activations.holder = bindings.holder
     JOIN sessions ON sessions.activation = activations.id",
    "AND state IN ('active', 'quarantined') AND sessions.expires_at >= $6 AND sessions.expires_at >= sessions_clock
     AND NOT closed AND sessions.turn >= sessions_from ORDER BY namespace, licenses.name, uid, sessions.since, sessions.id"
);
const ELSEWHERE: &str = "SELECT EXISTS (SELECT 1 FROM bindings WHERE holder = $1 AND issuer IS NOT NULL
     AND NOT (issuer = $2 AND subject = $3))";

fn seat(row: &Row) -> Result<OnSeat, sqlx::Error> {
    Ok(OnSeat { license: Uid(row.try_get("uid")?), holder: row.try_get("holder")? })
}

fn maybe_seat(row: &Row) -> Result<MaybeSeat, sqlx::Error> {
    let pinned: (Option<String>, Option<String>) = (row.try_get("issuer")?, row.try_get("subject")?);
    let candidate = Candidate { holder: row.try_get("holder")?, pinned: pinned.0.zip(pinned.1) };
    Ok(MaybeSeat { license: Uid(row.try_get("uid")?), key: key(row)?, contract: contract(row)?, candidate })
}

fn active_on(row: &Row) -> Result<ActiveOn, sqlx::Error> {
    Ok(ActiveOn {
        seat: seat(row)?,
        id: row.try_get("id")?,
        device: row.try_get("device")?,
        since: instant(row.try_get("since")?)?,
        heard_at: instant(row.try_get("heard_at")?)?,
    })
}

fn open_on(row: &Row) -> Result<OpenOn, sqlx::Error> {
    Ok(OpenOn { seat: seat(row)?, device: row.try_get("device")?, since: instant(row.try_get("since")?)? })
}

/// As of one moment.
pub(super) async fn of(
    connection: &mut Connection,
    who: &Person,
    now: Timestamp,
    at_most: u32,
) -> Result<Holdings, sqlx::Error> {
    let (address, identity) = (who.by_email().unwrap_or_default(), who.identity());
    let of_person = |query: &'static str| {
        let asked = sqlx::query(query).bind(address.clone()).bind(identity.clone());
        asked.bind(who.issuer.as_str()).bind(who.subject.as_str()).bind(i64::from(at_most))
    };
    let seats = of_person(SEATS).try_map(|row: Row| maybe_seat(&row)).fetch_all(&mut *connection).await?;
    let devices = of_person(DEVICES).bind(now.as_second());
    let devices = devices.try_map(|row: Row| active_on(&row)).fetch_all(&mut *connection).await?;
    let sessions = of_person(SESSIONS).bind(now.as_second());
    let sessions = sessions.try_map(|row: Row| open_on(&row)).fetch_all(&mut *connection).await?;
    let elsewhere = sqlx::query_scalar(ELSEWHERE).bind(address.clone());
    let elsewhere = elsewhere.bind(who.issuer.as_str()).bind(who.subject.as_str());
    Ok(Holdings { seats, devices, sessions, elsewhere: elsewhere.fetch_one(connection).await? })
}
