//! One user is assigned: from the request that makes a UserAssignment to the Secret that a watch brings.
//!
//! One after another, on Licenses of ten seats that fill, while thousands of others are idle beside them. After each, a Seat
//! that is made by hand, and the floor: a Secret of the same size that the measuring client creates itself, until the same watch
//! brings it.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use crate::{
    Failure,
    clock::Since,
    ground::Ground,
    people::{self, NAMESPACE},
    plan::Plan,
    report::{Line, tell},
    stats::Sorted,
    usher::Usher,
    watching::{Arrivals, Ready},
};

const IDLE: usize = 5_000;
const SAMPLES: usize = 1_000;
const SEATS: usize = 10;
/// What a Secret of ours holds, about.
const BYTES: usize = 2_000;
const GOAL: f64 = 300.0;

/// Measures the row `latency`.
pub async fn measure(plan: &Plan) -> Result<Line, Failure> {
    let (idle, samples) = (plan.scaled(IDLE), plan.scaled(SAMPLES));
    let ground = Ground::start()?;
    let admin = ground.admin().await?;
    people::settle(&admin).await?;
    people::many(&admin, idle, 1, 0).await?;
    // Each sample takes two seats.
    let teams = (2 * samples).div_ceil(SEATS);
    for team in 0..teams {
        people::license(&admin, &format!("team-{team}"), SEATS).await?;
    }
    let mut ready = Ready::watch(&admin);
    let usher = Usher::start(&ground.kubeconfig_of_usher()?, ground.path("ledger.db"))?;
    ready.are(2 * idle + teams).await?;
    tell(&format!("{idle} Licenses are idle; {samples} users follow"));

    let mut arrivals = Arrivals::watch(&admin).await?;
    let mut took = Took::default();
    for sample in 0..samples {
        let team = format!("team-{}", sample % teams);
        let begun = Since::now();
        people::assign(&admin, &team, &format!("person-{sample}")).await?;
        arrivals.next().await?;
        took.assigned.push(begun.elapsed());
        let begun = Since::now();
        people::seat(&admin, &team, &format!("seat-{sample}")).await?;
        arrivals.next().await?;
        took.seated.push(begun.elapsed());
        took.bare.push(bare(&admin, &mut arrivals, sample).await?);
    }
    drop(usher);
    Ok(line(idle, samples, &took))
}

#[derive(Default)]
struct Took {
    assigned: Vec<Duration>,
    seated: Vec<Duration>,
    bare: Vec<Duration>,
}

async fn bare(client: &Client, arrivals: &mut Arrivals, sample: usize) -> Result<Duration, Failure> {
    let secret = Secret {
        metadata: ObjectMeta { name: Some(format!("floor-{sample}")), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([("floor".into(), ByteString(vec![b'x'; BYTES]))])),
        ..Secret::default()
    };
    let begun = Since::now();
    Api::<Secret>::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &secret).await?;
    arrivals.next().await?;
    Ok(begun.elapsed())
}

fn line(idle: usize, samples: usize, took: &Took) -> Line {
    let all = [&took.assigned, &took.seated, &took.bare].map(|took| Sorted::millis(took));
    let [ours, seated, bare] = all.map(|took| (took.median(), took.quantile(0.99), took.spread().1));
    Line {
        what: format!(
            "one user assigned → the Secret seen by a watch, {samples} times, {idle} Licenses idle beside it"
        ),
        goal: Some((format!("p99 ≤ {GOAL} ms"), ours.1 <= GOAL)),
        figure: format!("p99 {:.0} ms", ours.1),
        detail: format!(
            "p50 {:.0} ms, most {:.0} ms; a Seat by hand: p50 {:.0} ms, p99 {:.0} ms; a bare Secret: p50 {:.0} ms, p99 {:.0} ms",
            ours.0, ours.2, seated.0, seated.1, bare.0, bare.1
        ),
    }
}
