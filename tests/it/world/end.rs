//! The end of a world: the network is well, and nothing may be stuck.

use usher::domain::refusal::Code;

use super::{
    client::{Character, Client, Disk},
    ledger::Row,
    message::{Answer, Ask, Request, Said},
    plan::{LIFETIME, WINDOW},
    server::later,
    world::World,
};

/// Requests that a client needs at most to be served: the pending one, one to rebuild, one to begin anew, one more.
const TRIES: usize = 4;

/// Checks that nothing is stuck.
pub fn settle(world: &mut World<'_>) -> Result<(), String> {
    world.right_clock();
    let alone: Vec<usize> =
        (0..world.clients.len()).filter(|at| !world.copied.contains(&world.clients[*at].device)).collect();
    for client in alone {
        is_served(world, client)?;
    }
    let ledger = world.ledger.clone();
    lost_states_recover(world)?;
    tokens_end(world)?;
    world.ledger = ledger;
    silence_frees(world)
}

/// Whoever is the only one of its kind is served, or told which limit is in the way.
fn is_served(world: &mut World<'_>, client: usize) -> Result<(), String> {
    let mut last = None;
    for _ in 0..TRIES {
        let request = world.clients[client].act(&mut world.random);
        let said = world.serve(Some(client), &request)?;
        world.answer(client, &Answer { to: request.clone(), said: said.clone() })?;
        match said {
            Said::Given { .. } => return Ok(()),
            Said::Refused(code) if is_limit(code) => return Ok(()),
            other => last = Some(other),
        }
    }
    Err(format!("client {client} is stuck: {last:?}"))
}

fn is_limit(code: Code) -> bool {
    matches!(
        code,
        Code::SeatsExhausted | Code::DevicesExhausted | Code::TransfersExhausted | Code::RecoveriesExhausted
    )
}

/// Whoever has lost the state of an activation that holds a place goes on in that place, unless it happened too often.
fn lost_states_recover(world: &mut World<'_>) -> Result<(), String> {
    for device in 0..world.plan.devices {
        let holds = |row: &&Row| row.device == device && !row.of_copy && row.chain.holds_place();
        if world.ledger.rows.values().find(holds).is_none_or(|row| row.chain.expires_at < world.now) {
            continue;
        }
        let mut client = Client::new(device, Disk::default(), Character::Recovers, world.rules);
        let request = client.act(&mut world.random);
        let said = world.serve(None, &request)?;
        if !matches!(said, Said::Given { .. } | Said::Refused(Code::RecoveriesExhausted)) {
            return Err(format!("device {device} has a place and is not given it again: {said:?}"));
        }
    }
    Ok(())
}

/// Whoever holds a token can end its activation, and its place is free.
fn tokens_end(world: &mut World<'_>) -> Result<(), String> {
    let held: Vec<(u64, u64)> = world.ledger.rows.iter().map(|(id, row)| (*id, row.token)).collect();
    for (id, token) in held {
        let request = Request { key: world.random.next(), caller: token, ask: Ask::Deactivate { id } };
        let said = world.serve(None, &request)?;
        if said != Said::Over || world.ledger.rows[&id].chain.holds_place() {
            return Err(format!("{id} cannot be ended: {said:?}"));
        }
    }
    Ok(())
}

/// When all are silent until the last document has ended, there is room for whoever comes, those devices first that were there.
fn silence_frees(world: &mut World<'_>) -> Result<(), String> {
    world.now = later(world.now, WINDOW + LIFETIME);
    let mut placed = vec![0; world.plan.limits.seats as usize];
    for device in 0..world.plan.devices + world.plan.all_places() * world.plan.limits.seats {
        let seat = world.plan.seat(device) as usize;
        let mut client = Client::new(device, Disk::default(), Character::Recovers, world.rules);
        let request = client.act(&mut world.random);
        let said = world.serve(None, &request)?;
        let fits = placed[seat] < world.plan.places();
        if matches!(said, Said::Given { .. }) != fits {
            return Err(format!("device {device} with {placed:?} places taken: {said:?}"));
        }
        placed[seat] += u32::from(fits);
    }
    Ok(())
}
