//! Who resolves the copies of somebody's activation, on a real ledger.

use crate::{
    domain::{
        chain::{Chain, Position, State},
        license::{Key, Uid},
        namespaces::Namespaces,
        principal::Principal,
        refusal::Code,
    },
    ledger::{
        Trail as _,
        activations::{Activations as _, Advance, Step},
        audit::Entry,
    },
    service::{
        activations::{Failure, Proof},
        edge::Edge as _,
        providers::{Provider, tests::provider},
        sign_in::tests::Scene,
    },
};

const ANN: &str = "email:ann@acme.example";
const BOB: &str = "email:bob@acme.example";

fn id(number: u8) -> String {
    format!("{number:032x}")
}

impl Scene {
    /// A copy of this activation was seen, and it is in quarantine.
    async fn is_quarantined(&self, license: &str, number: u8) {
        let seen = self.ledger().activation(&id(number)).await.unwrap().unwrap().seen;
        let chain = Chain { state: State::Quarantined, ..seen.activation.chain };
        let step = Step {
            advance: Some(Advance::new(id(number), seen.version, chain)),
            fork: Some((id(number), Position { incarnation: 1, sequence: 0 })),
            ..Step::new(Uid(license.into()), Key::new("design", license), self.hand.now(), [3; 32])
        };
        self.ledger().record(step).await.unwrap();
    }

    async fn resolves(&self, token: &str, activation: &str) -> Result<(), Code> {
        match self.runtime().resolve(activation, &Proof { token, ..Proof::default() }).await {
            Ok(()) => Ok(()),
            Err(Failure::Refused(refusal)) => Err(refusal.code),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Bob, who has proven who he is as Ann has.
fn bob(ann: &Principal) -> Principal {
    Principal { subject: "2".parse().unwrap(), email: Ok("bob@acme.example".parse().unwrap()), ..ann.clone() }
}

#[tokio::test]
async fn whoever_holds_the_seat_and_has_signed_in_resolves_and_nobody_else() {
    let scene = Scene::new().await;
    scene.license("cad", &[ANN, BOB], |_| {}).await;
    scene.active("cad", ANN, 1, "Lab 3", "1").await;
    scene.active("cad", BOB, 2, "Bob's own", "2").await;
    for number in [1, 2] {
        scene.is_quarantined("cad", number).await;
    }
    let ann = scene.ann().await;
    let (hers, his) = (scene.access_token(&ann).await, scene.access_token(&bob(&ann)).await);
    // Whoever has her address after her.
    let second = Principal { subject: "3".parse().unwrap(), ..ann.clone() };
    let after = scene.access_token(&second).await;
    for (token, activation) in [(&his, id(1)), (&after, id(1)), (&hers, id(2)), (&hers, id(9))] {
        assert_eq!(scene.resolves(token, &activation).await, Err(Code::Forbidden), "{activation}");
    }
    for nobodys in
        ["", "x", &hers.replace("usher_acc_", "usher_act_"), &hers.replace("usher_acc_", "usher_dev_")]
    {
        assert_eq!(scene.resolves(nobodys, &id(1)).await, Err(Code::Unauthorized), "{nobodys}");
    }
    assert_eq!((scene.state(1).await, scene.state(2).await), (State::Quarantined, State::Quarantined));

    assert_eq!(scene.resolves(&hers, &id(1)).await, Ok(()));
    assert_eq!((scene.state(1).await, scene.state(2).await), (State::Active, State::Quarantined));
    assert_eq!(scene.resolves(&hers, &id(1)).await, Ok(()), "and once more");
    let links = scene.ledger().audit(0, 100).await.unwrap();
    let entries = links.iter().flat_map(|link| serde_json::from_str::<Vec<Entry>>(&link.entries).unwrap());
    let mut resolved = entries.filter(|entry| matches!(entry, Entry::Resolve { .. }));
    let Some(Entry::Resolve { activation, by, .. }) = resolved.next() else { panic!("{links:?}") };
    assert!(activation == id(1) && !by.contains("ann"), "{by}");
}

#[tokio::test]
async fn whoever_is_signed_out_or_counts_no_more_in_the_namespace_resolves_nothing() {
    let scene = Scene::new().await;
    scene.license("cad", &[ANN], |_| {}).await;
    scene.active("cad", ANN, 1, "Lab 3", "1").await;
    scene.is_quarantined("cad", 1).await;
    let ann = scene.ann().await;
    let token = scene.access_token(&ann).await;
    let acme = || std::sync::Arc::into_inner(provider("acme", "acme.example")).unwrap();
    scene.providers.replace([Provider { allowed_namespaces: Namespaces::None, ..acme() }.into()], []);
    assert_eq!(scene.resolves(&token, &id(1)).await, Err(Code::Forbidden));
    scene.providers.replace([acme().into()], []);
    scene.sign_in.revoke(&token).await.unwrap();
    assert_eq!(scene.resolves(&token, &id(1)).await, Err(Code::Unauthorized));
    assert_eq!(scene.state(1).await, State::Quarantined);
    assert_eq!(scene.resolves(&scene.access_token(&ann).await, &id(1)).await, Ok(()));
}
