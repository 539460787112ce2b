//! Roots that are kept outside.

use super::*;

/// The root that is kept outside.
fn holder() -> KeyPair {
    KeyPair::from_seed(&[200; 32])
}

fn outside() -> Declared {
    Declared { root: Some(holder().kid().unwrap()), ..declared("a") }
}

/// What its holder signs.
fn sign(world: &World, established: &Established) {
    let AuthorityFacts { issuer, serial, keys, .. } = &established.facts;
    let set = Request::of(issuer, *serial, keys).sign(&holder(), 1).unwrap();
    *world.store.key_set.lock().unwrap() = Some(set.into_bytes());
}

#[tokio::test]
async fn a_root_outside_is_asked_and_waited_for() {
    let mut world = World::new().await;
    let first = world.look(&outside()).await;
    assert!(world.store.keys.lock().unwrap().keys().all(|(_, role)| *role != Role::Root), "no root is made");
    let because = first.signer.as_ref().unwrap_err();
    assert_eq!(because.reason, Reason::RootNeeded);
    assert!(because.message.contains("has to sign key set 1: take request.json"), "{because:?}");
    assert!(because.message.len() <= 300);
    sign(&world, &first);
    let second = world.look(&outside()).await;
    let (signs, set) = kids(&second);
    assert_eq!(set, std::slice::from_ref(&signs));

    world.now += 90 * DAY;
    let waiting = world.look(&outside()).await;
    assert_eq!(waiting.signer.as_ref().unwrap().key_id().as_str(), signs, "the former signs on");
    assert_eq!(waiting.trouble.as_ref().unwrap().reason, Reason::RootNeeded);
    sign(&world, &waiting);
    let vouched = world.look(&outside()).await;
    assert_eq!((kids(&vouched).1.len(), vouched.trouble), (2, None));
    let vouched = world.try_look(&outside()).await.unwrap();
    world.show(&vouched).await;
    world.now += 7 * DAY;
    let rotated = world.look(&outside()).await;
    assert_ne!(kids(&rotated).0, signs);
}

#[tokio::test]
async fn a_key_set_that_was_not_asked_for_is_refused() {
    let world = World::new().await;
    let first = world.look(&outside()).await;
    let AuthorityFacts { issuer, serial, keys, .. } = &first.facts;
    let asked = Request::of(issuer, *serial, keys);
    let refused = async |set: String| {
        *world.store.key_set.lock().unwrap() = Some(set.into_bytes());
        let because = world.look(&outside()).await.signer.unwrap_err();
        assert_eq!(because.reason, Reason::KeySetRefused, "{because:?}");
        assert!(because.message.len() <= 400, "{}", because.message);
        because.message
    };
    refused(asked.sign(&KeyPair::from_seed(&[9; 32]), 1).unwrap()).await;
    refused(Request { iss: declared("b").issuer, ..asked.clone() }.sign(&holder(), 1).unwrap()).await;
    refused(Request { keys: Vec::new(), ..asked.clone() }.sign(&holder(), 1).unwrap()).await;
    refused("nonsense".into()).await;
    let said = refused(Request { serial: 0, ..asked.clone() }.sign(&holder(), 1).unwrap()).await;
    assert!(said.contains("it has the number 0, and number 1 is to be signed"), "{said}");
    sign(&world, &first);
    assert!(world.look(&outside()).await.signer.is_ok());
}

#[tokio::test]
async fn a_key_under_an_outside_root_is_revoked_before_the_root_is_back() {
    let world = World::new().await;
    sign(&world, &world.look(&outside()).await);
    let first = world.look(&outside()).await;
    let revoking = Declared { revoke: vec![kids(&first).0], ..outside() };
    let looked = world.look(&revoking).await;
    assert_eq!(reason(looked.signer), Reason::RootNeeded, "nobody may sign until the root has");
    assert!(!rotation::may_be_shown(&looked.facts.keys), "the signed set still vouches for it");
    let looked = world.try_look(&revoking).await.unwrap();
    sign(&world, &looked);
    let (signs, set) = kids(&world.look(&revoking).await);
    assert_eq!(set, [signs]);
}

#[tokio::test]
async fn a_root_moves_outside_only_as_the_root_that_it_is() {
    let world = World::new().await;
    let first = world.look(&declared("a")).await;
    assert_eq!(reason(world.look(&outside()).await.signer), Reason::RootChanged);
    let moved = Declared { root: Some(first.facts.root.clone()), ..declared("a") };
    world.take("a", Role::Root);
    assert_eq!(kids(&world.look(&moved).await), kids(&first));
}
