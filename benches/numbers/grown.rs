//! A ledger as it is when many have activated: put there as rows, for asking for a million activations takes hours.

use std::ops::Range;

use jiff::{Timestamp, ToSpan as _};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::json;
use usher::{
    domain::chain::{Call, Chain, Digest, LastCall, Operation, Position, State},
    keys::{
        nonce::{NonceKey, NonceKeys},
        token::{self, Purpose},
    },
    service::activations::{Answer, LeaseAnswer},
};

use crate::{
    Failure,
    clock::unix,
    engine::{Connection, Engine, Ledger},
    installation::Own,
};

/// Where a chain begins.
const START: Position = Position { incarnation: 1, sequence: 0 };
/// How large documents and key sets are, in bytes.
const DOCUMENT: usize = 1_100;
const KEY_SET: usize = 700;
/// How many rows one statement puts there.
const AT_ONCE: usize = 100;

/// The key of nonces that Usher has made.
pub async fn nonce_keys(client: &Client) -> Result<NonceKeys, Failure> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "usher-system");
    let data = secrets.get("usher-nonce-key").await?.data.and_then(|mut data| data.remove("private.jwk"));
    let jwk = data.ok_or("no key of nonces")?;
    Ok(NonceKeys::new(NonceKey::from_jwk(&jwk.0)?, Vec::new()))
}

/// Gives each of the Licenses (by UID) activations numbered `numbers`, while Usher is down. They come back in no order.
pub async fn grow(
    ledger: &Ledger,
    keys: &NonceKeys,
    licenses: &[String],
    numbers: Range<usize>,
) -> Result<Vec<Own>, Failure> {
    let mut connection = Connection::to(ledger).await?;
    let expires = Timestamp::from_second(i64::try_from(unix()?)?)? + 72.hours();
    let row = Row { chain: serde_json::to_string(&chain(expires))?, answer: answer(expires)?, expires };
    let mut grown = Vec::with_capacity(numbers.len() * licenses.len());
    for number in numbers {
        let mut rows = Vec::with_capacity(licenses.len());
        for (place, license) in licenses.iter().enumerate() {
            let id = format!("{place:016x}{number:016x}");
            let token = keys.marked(Purpose::Activation.token(&keys.token_seed(&id), &id)).to_string();
            rows.push(row.values(license, &id, &token));
            grown.push(Own { nonce: keys.nonce(&id, START), token, id, asked: 0, session: String::new() });
        }
        for some in rows.chunks(AT_ONCE) {
            connection.execute(format!("{INSERT} {}", some.join(", "))).await?;
        }
    }
    if ledger.engine == Engine::Postgres {
        // What it does by itself sooner or later.
        connection.execute("ANALYZE".into()).await?;
    }
    // Tokens are random, so this is a shuffle.
    grown.sort_unstable_by(|one, other| one.token.cmp(&other.token));
    Ok(grown)
}

const INSERT: &str = "INSERT INTO activations
     (id, license, holder, device, token, begun_by, state, version, chain, answer, since, expires_at, ordinal, recovery)
     VALUES";

/// What is the same in all rows.
struct Row {
    chain: String,
    answer: String,
    expires: Timestamp,
}

fn chain(expires_at: Timestamp) -> Chain {
    let nothing = Digest([0; 32]);
    let made_by = Call { operation: Operation::Activate, key: nothing, request: nothing, caller: nothing };
    Chain {
        state: State::Active,
        head: START,
        floors: Vec::new(),
        made_by,
        last: LastCall { used: None, call: made_by },
        earlier: Vec::new(),
        resolved_at: None,
        expires_at,
    }
}

/// As large as a real one.
fn answer(expires: Timestamp) -> Result<String, Failure> {
    let at = expires.to_string();
    Ok(serde_json::to_string(&Answer {
        id: "x".repeat(32),
        state: "active".into(),
        license: "bench/cad".into(),
        product: "cad".into(),
        document: Some("x".repeat(DOCUMENT)),
        keys: Some("x".repeat(KEY_SET)),
        lease: LeaseAnswer { renew_at: at.clone(), until: at.clone(), expires_at: at },
    })?)
}

impl Row {
    /// The row of one activation. Nothing in it has a quotation mark.
    fn values(&self, license: &str, id: &str, token: &str) -> String {
        let (device, token) = (json!({"id": id}), token::hash(token));
        let Self { chain, answer, expires } = self;
        format!(
            "('{id}', '{license}', 'device:{id}', '{device}', '{token}', '{id}', 'active', 1, '{chain}', '{answer}', 0, {}, 0, FALSE)",
            expires.as_second()
        )
    }
}
