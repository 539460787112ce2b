//! `kill -9`, again and again, of the real program.

use std::{sync::Arc, time::Duration};

use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use usher::{
    ledger::sqlite::Sqlite,
    service::{edge::Edge as _, verify_audit::verify_audit},
};

use crate::{
    faults::{
        place::{Disk, Place, authority_is_ready},
        wire::{self, Act},
    },
    ground::{
        self, Ground, Machine, Operator,
        process::{Usher, kubeconfig_beside},
    },
};

/// How often.
const KILLS: usize = 200;
/// The longest that a process is let live, most often counted from when it is at work.
const LIFE: Duration = Duration::from_millis(200);
/// How much people do at most while one process lives.
const EDITS: usize = 6;

/// Random numbers (xorshift64*), so that a failure can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }
}

/// One random thing that somebody does. The License has two seats whenever there is one.
async fn something(place: &Place<'_>, random: &mut Random) {
    let names = ["ann", "bob", "cy", "dan", "eve"];
    let name = names[usize::try_from(random.below(5)).unwrap()];
    let secret = if random.below(2) == 0 { "cad-license".to_owned() } else { format!("{name}-seat") };
    let delete = DeleteParams::default();
    match random.below(10) {
        0..=2 => drop(place.seats().delete(name, &delete).await),
        3..=5 => drop(ground::apply(&place.client, &place.namespace, &ground::seat(name)).await),
        6 => drop(place.secrets().delete(&secret, &delete).await),
        7 => {
            let edit = json!({"data": {"license.jws": "Zm9yZ2Vk"}});
            drop(place.secrets().patch(&secret, &PatchParams::default(), &Patch::Merge(edit)).await);
        }
        8 => {
            let mut license = ground::license(2);
            license["spec"]["suspended"] = json!(random.below(4) == 0);
            place.apply(&license).await;
        }
        _ => {
            drop(place.licenses().delete("cad", &delete).await);
            place.license(2).await;
        }
    }
}

#[tokio::test]
async fn killed_at_two_hundred_random_moments_it_comes_to_the_same_end() {
    let seed = u64::from_le_bytes(Machine.entropy()[..8].try_into().unwrap()) | 1;
    // Shown when the test fails.
    println!("seed {seed}");
    let mut random = Random(seed);
    let ground = Ground::own();
    let disk = Disk::new();
    let kubeconfig = kubeconfig_beside(&disk.ledger(), &ground);
    let start =
        || Usher::start(&kubeconfig, &disk.ledger(), &["--secrets-cluster-wide", "--listen", "127.0.0.1:0"]);
    let place = Place::new(&ground).await;
    {
        // Once all the way, so that what follows finds something to break.
        let _usher = start();
        authority_is_ready(&place.client).await;
        place.license(2).await;
        place.seat(&["ann", "bob", "cy"]).await;
        place.are_bound(&["ann", "bob"]).await;
    }
    for round in 0..KILLS {
        let mut usher = start();
        // When it dies is the fault that is tried here; nothing is waited for.
        let life = Duration::from_micros(random.below(u64::try_from(LIFE.as_micros()).unwrap()));
        let people = async {
            for _ in 0..EDITS {
                something(&place, &mut random).await;
            }
            std::future::pending::<()>().await;
        };
        let death = async {
            // Each fifth one may die while it starts.
            if round % 5 != 0 {
                usher.is_at_work().await;
            }
            tokio::time::sleep(life).await;
        };
        tokio::select! {
            () = people => {}
            () = death => {}
        }
        drop(usher);
    }
    place.never_over(2);
    let requests = ground.writes().len();
    assert!(requests > KILLS, "{requests} writes: it was killed before it did anything");

    let ledger = Sqlite::open(&disk.ledger()).await.unwrap();
    let audit = verify_audit(&ledger, &[], None).await.unwrap();
    assert!(audit.is_whole() && audit.entries > 100, "{audit:?}");
    drop(ledger);

    // The same end: two hold, three wait, each in its place, and nothing is left over.
    place.license(2).await;
    place.seat(&["ann", "bob", "cy", "dan", "eve"]).await;
    let operator = Operator::start(
        wire::client(&ground.usher_config().await, |_| Act::Pass).0,
        &disk.ledger(),
        Arc::new(Machine),
    )
    .await;
    // Until it has looked, the cluster may show what the last one that was killed had not taken back yet.
    ground::until("two hold and three wait, each in its place", async || {
        let wanted = ends(&place).await;
        (place.state().await == wanted).then_some(())
    })
    .await;
    place.never_over(2);
    place.is_silent(&operator).await;
    operator.stop().await;
}

/// What it must come to, given who holds: that depends on who came when.
async fn ends(place: &Place<'_>) -> Vec<String> {
    let holds = |lines: &[String]| {
        let bound = lines.iter().filter_map(|line| line.strip_prefix("Seat ")?.split_once(": Bound"));
        bound.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    let bound = ground::until("two are bound", async || {
        let bound = holds(&place.state().await);
        (bound.len() == 2).then_some(bound)
    })
    .await;
    let mut waiting = place.seats().list(&ListParams::default()).await.unwrap().items;
    waiting.retain(|seat| !bound.contains(seat.metadata.name.as_ref().unwrap()));
    waiting.sort_by_key(|seat| {
        (seat.metadata.creation_timestamp.clone().unwrap().0, seat.metadata.name.clone())
    });
    let mut wanted = vec![
        "License cad: 2 of 2 bound, 3 waits, in cad-license, True Issued".to_owned(),
        "Secret cad-license of License cad: license".to_owned(),
    ];
    for name in &bound {
        wanted.push(format!("Seat {name}: Bound, in {name}-seat, True Bound"));
        wanted.push(format!("Secret {name}-seat of Seat {name}: {name}@acme.example"));
    }
    for (position, seat) in (1..).zip(&waiting) {
        let name = seat.metadata.name.clone().unwrap();
        wanted.push(format!("Seat {name}: Waiting {position}, True NoFreeSeat"));
    }
    wanted.sort();
    wanted
}
