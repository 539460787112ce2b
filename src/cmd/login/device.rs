//! Signing in on a machine without a browser: a code is shown, and the server asked until somebody has typed it elsewhere.

use std::time::Duration;

use usher_client::{
    Error, Server,
    login::{Codes, Endpoints, Fetched, Key, Tokens},
};

use super::now;
use crate::{
    cmd::{Failure, describe::printable, edge::Machine, eprint, print},
    service::edge::Edge as _,
};

/// So much longer is the pause in seconds when the server says that it is asked too often (RFC 8628, section 3.5).
const SLOWER: u64 = 5;

pub(super) async fn sign_in(
    server: &Server,
    endpoints: &Endpoints,
    device: Option<&str>,
    key: Option<&Key>,
) -> Result<Tokens, Failure> {
    let codes = server.begin_on_device(endpoints, device).await?;
    let (end, minutes) = (now().saturating_add(codes.expires_in), codes.expires_in / 60);
    eprint("Open this address in a browser, on any machine:\n")?;
    print(&format!("{}\n", printable(&codes.verification_uri)))?;
    eprint(&format!("Type this code there, within {minutes} minutes, and give it to nobody:\n"))?;
    print(&format!("{}\n", printable(&codes.user_code)))?;
    fetch(server, endpoints, &codes, key, end).await
}

async fn fetch(
    server: &Server,
    endpoints: &Endpoints,
    codes: &Codes,
    key: Option<&Key>,
    end: u64,
) -> Result<Tokens, Failure> {
    let mut pause = codes.interval;
    while now() <= end {
        Machine.wait(Duration::from_secs(pause)).await;
        match server.fetch(endpoints, codes, key, now()).await {
            Ok(Fetched::Tokens(tokens)) => return Ok(tokens),
            Ok(Fetched::Pending) => {}
            Ok(Fetched::SlowDown) => pause = pause.saturating_add(SLOWER),
            // It may be back in time; until then it is asked less and less often.
            Err(Error::Unreachable { .. }) => pause = pause.saturating_mul(2),
            Err(Error::Refused(problem)) => {
                return Err(format!("nobody is signed in: {}", problem.detail).into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err("nobody has signed in for this machine in time: usher login --device".into())
}
