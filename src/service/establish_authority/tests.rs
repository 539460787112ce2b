//! Looks at Authorities with keys in memory, on a real ledger.

mod outside;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU8, Ordering},
    },
};

use usher_license::{KeySet, Thumbprint};
use zeroize::Zeroizing;

use super::*;
use crate::{
    domain::{license::tests::at, reason::Reason},
    keys::KeyPair,
    ledger::sqlite::Sqlite,
};

const DAY: i64 = 86_400;

/// Keys in memory.
#[derive(Default)]
struct Memory {
    keys: Mutex<BTreeMap<(String, Role), Vec<u8>>>,
    key_set: Mutex<Option<Vec<u8>>>,
    published: Mutex<Option<Vec<u8>>>,
}

impl KeyStore for Memory {
    type Error = Infallible;

    async fn find(&self, authority: &Declared, role: Role) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        let keys = self.keys.lock().unwrap();
        Ok(keys.get(&(authority.name.clone(), role)).cloned().map(Zeroizing::new))
    }

    async fn keep_new(&self, authority: &Declared, role: Role, jwk: &str) -> Result<(), Infallible> {
        let mut keys = self.keys.lock().unwrap();
        keys.entry((authority.name.clone(), role)).or_insert_with(|| jwk.as_bytes().to_vec());
        Ok(())
    }

    async fn published_key_set(&self, _: &Declared) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.published.lock().unwrap().clone())
    }

    async fn signed_key_set(&self, _: &Declared) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.key_set.lock().unwrap().clone())
    }
}

struct World {
    ledger: Sqlite,
    store: Memory,
    drawn: AtomicU8,
    now: i64,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        // In memory if it can be: nothing here is about disks.
        let shm = Path::new("/dev/shm");
        let directory = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
        let ledger = Sqlite::open(&directory.path().join("ledger.db")).await.unwrap();
        Self { ledger, store: Memory::default(), drawn: AtomicU8::new(0), now: 1, _directory: directory }
    }

    async fn try_look(&self, declared: &Declared) -> Result<Established, EstablishError<Infallible>> {
        let entropy = || [self.drawn.fetch_add(1, Ordering::Relaxed) + 1; 32];
        establish_authority(&self.ledger, &self.store, declared, None, at(self.now), entropy).await
    }

    /// A look, and a second one that finds nothing to do.
    async fn look(&self, declared: &Declared) -> Established {
        let first = self.try_look(declared).await.unwrap();
        let second = self.try_look(declared).await.unwrap();
        assert_eq!(first.facts, second.facts, "a second look changes nothing");
        assert!(second.news.is_empty());
        first
    }

    async fn stalled(&self, declared: &Declared) -> Because {
        match self.try_look(declared).await {
            Err(EstablishError::Stalled(because)) => because,
            other => panic!("{other:?}"),
        }
    }

    async fn show(&self, established: &Established) {
        assert!(shown(&self.ledger, &established.facts, at(self.now)).await.unwrap());
    }

    fn take(&self, name: &str, role: Role) -> Vec<u8> {
        self.store.keys.lock().unwrap().remove(&(name.to_owned(), role)).unwrap()
    }

    fn put(&self, name: &str, role: Role, jwk: Vec<u8>) {
        self.store.keys.lock().unwrap().insert((name.to_owned(), role), jwk);
    }
}

fn declared(name: &str) -> Declared {
    Declared {
        uid: Uid(name.into()),
        name: name.into(),
        issuer: format!("https://usher.acme.example/a/{name}").parse().unwrap(),
        root: None,
        every: Some(SignedDuration::from_secs(90 * DAY)),
        overlap: SignedDuration::from_secs(7 * DAY),
        wish: None,
        revoke: Vec::new(),
        paused: false,
    }
}

/// The key that signs, and the keys that the set vouches for.
fn kids(established: &Established) -> (String, Vec<String>) {
    let signs = established.signer.as_ref().unwrap().key_id().to_string();
    let root: Thumbprint = established.facts.root.as_str().parse().unwrap();
    let set = established.facts.keys_jws.as_ref().unwrap();
    let set = KeySet::verify(set.as_bytes(), &root, established.facts.issuer.as_str()).unwrap();
    assert_eq!(set.serial(), established.facts.serial);
    (signs, set.keys().thumbprints().map(ToString::to_string).collect())
}

fn names(established: &Established) -> Vec<String> {
    established.facts.keys.iter().map(|key| key.kid.to_string()).collect()
}

fn reason<T>(found: Result<T, Because>) -> Reason {
    found.err().unwrap().reason
}

#[tokio::test]
async fn keys_are_made_once_and_the_first_signs_at_once() {
    let world = World::new().await;
    let first = world.look(&declared("a")).await;
    let (signs, set) = kids(&first);
    assert_eq!((set, names(&first)), (vec![signs.clone()], vec![signs]));
    assert_eq!(first.next_look, Some(at(1 + 83 * DAY)));
    assert_eq!(first.rotates_at, Some(at(1 + 90 * DAY)));
    assert_eq!(world.store.keys.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_that_was_made_before_a_crash_is_taken() {
    let world = World::new().await;
    let jwk = KeyPair::from_seed(&[77; 32]).to_jwk().unwrap().as_bytes().to_vec();
    world.put("a", Role::Signing(1), jwk);
    let first = world.look(&declared("a")).await;
    assert_eq!(kids(&first).0, KeyPair::from_seed(&[77; 32]).thumbprint().as_str());
}

#[tokio::test]
async fn who_had_keys_before_the_ledger_was_lost_is_not_given_others() {
    let before = World::new().await;
    let first = before.look(&declared("a")).await;
    let root = before.take("a", Role::Root);
    let lost = World { store: before.store, ..World::new().await };
    *lost.store.published.lock().unwrap() = first.facts.keys_jws.clone().map(String::into_bytes);
    assert_eq!(lost.stalled(&declared("a")).await.reason, Reason::KeyMissing);
    let stranger = KeyPair::from_seed(&[99; 32]).to_jwk().unwrap().as_bytes().to_vec();
    lost.put("a", Role::Root, stranger);
    assert_eq!(lost.stalled(&declared("a")).await.reason, Reason::KeyChanged);
    lost.put("a", Role::Root, root);
    assert_eq!(kids(&lost.look(&declared("a")).await), kids(&first));
}

#[tokio::test]
async fn a_successor_comes_by_itself_and_the_root_vouches_for_both() {
    let mut world = World::new().await;
    let first = world.look(&declared("a")).await;
    world.now += 83 * DAY;
    let second = world.look(&declared("a")).await;
    assert_eq!(second.news[0].reason, Reason::KeyAnnounced);
    assert_eq!((kids(&second).0, kids(&second).1.len()), (kids(&first).0, 2));
    world.show(&second).await;
    world.now += 7 * DAY;
    let third = world.look(&declared("a")).await;
    assert_eq!(third.news[0].reason, Reason::KeyRotated);
    assert_eq!(kids(&third).0, names(&third)[1]);
    assert!(third.facts.serial > second.facts.serial);
}

#[tokio::test]
async fn each_new_wish_for_a_successor_is_fulfilled_once() {
    let mut world = World::new().await;
    let wishing = |wish: &str| Declared { wish: Some(wish.into()), every: None, ..declared("a") };
    assert_eq!(world.look(&wishing("first")).await.facts.keys.len(), 1, "the first key fulfills it");
    for (count, wish) in [(2, "second"), (2, "third"), (2, "third")] {
        assert_eq!(world.look(&wishing(wish)).await.facts.keys.len(), count, "{wish}");
    }
    let coming = world.look(&Declared { wish: None, ..wishing("") }).await;
    world.show(&coming).await;
    world.now += 7 * DAY;
    world.look(&wishing("third")).await;
    assert_eq!(world.look(&wishing("fourth")).await.facts.keys.len(), 3);
}

#[tokio::test]
async fn a_revoked_key_is_out_of_the_set_at_once_and_never_comes_back() {
    let world = World::new().await;
    let first = world.look(&declared("a")).await;
    let burnt = kids(&first).0;
    let second = world.look(&Declared { revoke: vec![burnt.clone()], ..declared("a") }).await;
    let (signs, set) = kids(&second);
    assert_eq!(set, std::slice::from_ref(&signs));
    assert_ne!(signs, burnt);
    let told: Vec<Reason> = second.news.iter().map(|because| because.reason).collect();
    assert_eq!(told, [Reason::KeyRevoked, Reason::KeyRotated]);
    let third = world.look(&declared("a")).await;
    assert_eq!(kids(&third), (signs.clone(), vec![signs]), "taking the annotation away changes nothing");

    world.ledger.retain_authorities(&[], at(2)).await.unwrap();
    let again = Declared { uid: Uid("again".into()), ..declared("a") };
    let back = world.look(&again).await;
    assert_eq!(names(&back), names(&third), "made again it has the keys that it had");
    assert!(back.facts.keys[0].is_revoked());
    world.ledger.retain_authorities(&[], at(3)).await.unwrap();
    let other = Declared { issuer: "https://usher.acme.example/other".parse().unwrap(), ..declared("a") };
    let other = world.look(&Declared { uid: Uid("other".into()), ..other }).await;
    assert!(
        names(&other).iter().all(|kid| !names(&back).contains(kid)),
        "under another issuer it has others"
    );
}

#[tokio::test]
async fn what_is_paused_goes_on_with_the_keys_that_it_has() {
    let mut world = World::new().await;
    let first = world.look(&declared("a")).await;
    world.now += 1_000 * DAY;
    let paused = Declared { paused: true, revoke: vec![kids(&first).0], ..declared("a") };
    let looked = world.look(&paused).await;
    assert_eq!((kids(&looked), looked.facts), (kids(&first), first.facts));
}

#[tokio::test]
async fn who_names_a_key_that_never_was_is_told() {
    let world = World::new().await;
    world.look(&declared("a")).await;
    for kid in ["nonsense", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"] {
        let looked = world.look(&Declared { revoke: vec![kid.into()], ..declared("a") }).await;
        assert!(looked.signer.is_ok());
        let trouble = looked.trouble.unwrap();
        assert!(trouble.reason == Reason::KeyUnknown && trouble.message.contains(kid), "{trouble:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_missing_or_another_is_never_replaced() {
    let world = World::new().await;
    world.look(&declared("a")).await;
    let other = KeyPair::from_seed(&[99; 32]).to_jwk().unwrap().as_bytes().to_vec();
    for role in [Role::Root, Role::Signing(1)] {
        let backup = world.take("a", role);
        assert_eq!(reason(world.look(&declared("a")).await.signer), Reason::KeyMissing);
        for wrong in [other.clone(), b"{}".to_vec()] {
            world.put("a", role, wrong);
            assert_eq!(reason(world.look(&declared("a")).await.signer), Reason::KeyChanged);
        }
        world.put("a", role, backup);
        assert!(world.look(&declared("a")).await.signer.is_ok());
    }
}

#[tokio::test]
async fn a_signing_key_that_is_lost_for_good_is_revoked() {
    let world = World::new().await;
    let first = world.look(&declared("a")).await;
    let lost = kids(&first).0;
    world.take("a", Role::Signing(1));
    let message = world.look(&declared("a")).await.signer.err().unwrap().message;
    assert!(message.ends_with(&format!("if it is lost for good: usher revoke-key a {lost}")), "{message}");
    let second = world.look(&Declared { revoke: vec![lost.clone()], ..declared("a") }).await;
    assert_ne!(kids(&second).0, lost);
}

#[tokio::test]
async fn a_successor_that_goes_missing_is_told_and_the_former_signs_on() {
    let mut world = World::new().await;
    let first = world.look(&declared("a")).await;
    world.now += 83 * DAY;
    world.look(&declared("a")).await;
    world.take("a", Role::Signing(2));
    let looked = world.look(&declared("a")).await;
    assert_eq!(kids(&looked).0, kids(&first).0);
    assert_eq!(looked.trouble.unwrap().reason, Reason::KeyMissing);
}

#[tokio::test]
async fn a_key_is_revoked_even_while_the_root_is_missing() {
    let world = World::new().await;
    let first = world.look(&declared("a")).await;
    let backup = world.take("a", Role::Root);
    let revoking = Declared { revoke: vec![kids(&first).0], ..declared("a") };
    let looked = world.look(&revoking).await;
    assert!(looked.facts.keys[0].is_revoked() && !rotation::may_be_shown(&looked.facts.keys));
    assert_eq!(reason(looked.signer), Reason::KeyMissing);
    world.put("a", Role::Root, backup);
    let (signs, set) = kids(&world.look(&revoking).await);
    assert_eq!(set, [signs]);
}

#[tokio::test]
async fn of_two_authorities_with_one_issuer_or_one_key_the_second_is_stalled() {
    let world = World::new().await;
    let first = world.look(&declared("a")).await;
    let twin = Declared { issuer: declared("a").issuer, ..declared("b") };
    assert_eq!(world.stalled(&twin).await.reason, Reason::IssuerTaken);
    for role in [Role::Root, Role::Signing(1)] {
        let copy = world.take("a", role);
        world.put("a", role, copy.clone());
        world.put("c", role, copy);
        let because = world.stalled(&declared("c")).await;
        assert_eq!(because.reason, Reason::KeyTaken);
        assert!(because.message.contains("usher-root-c") && because.message.len() <= 300, "{because:?}");
        world.take("c", role);
    }
    assert_eq!(world.look(&declared("a")).await.facts, first.facts, "the first is untouched");
    assert!(world.look(&declared("c")).await.signer.is_ok());
}

#[tokio::test]
async fn with_a_new_ledger_keys_are_what_the_published_set_says_and_numbers_go_on() {
    let mut world = World::new().await;
    let first = world.look(&declared("a")).await;
    let burnt = kids(&first).0;
    let revoking = Declared { revoke: vec![burnt], ..declared("a") };
    let second = world.look(&revoking).await;
    world.now += 83 * DAY;
    let third = world.look(&revoking).await;
    assert_eq!(kids(&third).1.len(), 2);
    *world.store.published.lock().unwrap() = third.facts.keys_jws.clone().map(String::into_bytes);

    let lost = World { now: world.now, drawn: AtomicU8::new(100), store: world.store, ..World::new().await };
    let found = lost.look(&declared("a")).await;
    assert_eq!(kids(&found), (kids(&second).0, kids(&third).1), "no other key signs, and none was made");
    assert_eq!((found.facts.serial, &found.facts.keys_jws), (third.facts.serial, &third.facts.keys_jws));
    assert!(found.facts.keys[0].is_revoked(), "what the set does not vouch for is never used again");
    *lost.store.published.lock().unwrap() = None;
    let unknown = World { now: lost.now, drawn: AtomicU8::new(200), store: lost.store, ..World::new().await };
    let fresh = kids(&unknown.look(&declared("a")).await).0;
    assert!(!names(&third).contains(&fresh), "nobody knows which of them was burnt");
}

#[tokio::test]
async fn a_ledger_that_was_restored_catches_up_with_the_published_set() {
    let mut world = World::new().await;
    let first = world.look(&declared("a")).await;
    let backup = first.facts.clone();
    let revoking = Declared { revoke: vec![kids(&first).0], ..declared("a") };
    world.look(&revoking).await;
    world.now += 83 * DAY;
    let last = world.look(&revoking).await;
    *world.store.published.lock().unwrap() = last.facts.keys_jws.clone().map(String::into_bytes);

    let restored =
        World { now: world.now, drawn: AtomicU8::new(100), store: world.store, ..World::new().await };
    restored.ledger.keep_authority(None, &backup, at(1)).await.unwrap();
    let found = restored.look(&declared("a")).await;
    assert_eq!(kids(&found), kids(&last));
    assert_eq!((found.facts.serial, names(&found)), (last.facts.serial, names(&last)));
    assert!(found.facts.keys[0].is_revoked(), "though nobody names it any more");
}
