//! What every engine must do for Authorities and their keys.

use super::{Shared, at, change, document, key, run, uid};
use crate::{
    domain::{
        rotation::{Key, State},
        text::{Issuer, KeyId},
    },
    ledger::{AuthorityFacts, CommitError, Document, KeepError, Ledger, Reissuing},
};

pub(super) async fn check<L: Ledger, Guard>(open: &impl AsyncFn() -> (L, Guard)) {
    run(open, an_authority_is_read_back_as_it_was_kept).await;
    run(open, an_issuer_and_a_root_belong_to_the_first_authority).await;
    run(open, a_key_belongs_to_the_first_authority_for_good).await;
    run(open, of_two_changes_of_an_authority_exactly_one_wins).await;
    run(open, an_authority_that_comes_back_has_the_keys_that_it_had).await;
    run(open, a_document_is_under_a_key_that_signs_and_its_end_is_kept).await;
    run(open, a_key_does_not_stop_signing_beside_a_document_that_was_just_issued).await;
    run(open, documents_under_a_revoked_key_are_counted_until_the_last_is_made_anew).await;
    run(open, what_becomes_of_keys_is_in_the_audit).await;
}

fn kid(character: char) -> KeyId {
    character.to_string().repeat(43).parse().unwrap()
}

fn issuer(name: &str) -> Issuer {
    format!("https://usher.acme.example/a/{name}").parse().unwrap()
}

fn signing_key(character: char) -> Key {
    let mut key = Key::new(1, kid(character), kid(character).to_string().parse().unwrap());
    key.state = State::Signing { since: at(1) };
    (key.wanted, key.vouched) = (Some(7), Some(7));
    key
}

/// The Authority `name` with the root `R` or another letter, and one key that signs.
fn authority(name: &str, root: char, signing: char) -> AuthorityFacts {
    AuthorityFacts {
        uid: uid(name),
        name: name.into(),
        issuer: issuer(name),
        root: kid(root),
        version: 1,
        serial: 1,
        keys_jws: Some("a.b.c".into()),
        rotated_for: None,
        keys: vec![signing_key(signing)],
    }
}

/// A document for `subject` under `key`, good until `exp`.
fn under(key: char, subject: &str, serial: &str, exp: i64) -> Document {
    Document { key_id: kid(key).to_string(), expires_at: at(exp), ..document(subject, serial) }
}

async fn read<L: Ledger>(ledger: &L, name: &str) -> AuthorityFacts {
    ledger.authority(&uid(name)).await.unwrap().unwrap()
}

async fn an_authority_is_read_back_as_it_was_kept<L: Ledger>(ledger: Shared<L>) {
    let first = authority("a", 'A', 'E');
    ledger.keep_authority(None, &first, at(1)).await.unwrap();
    assert_eq!(read(&*ledger, "a").await, first);
    let mut second = first.clone();
    let states = [
        State::Made,
        State::Announced { shown: None },
        State::Announced { shown: Some(at(4)) },
        State::Withdrawn,
    ];
    for (ordinal, (state, character)) in (2..).zip(states.into_iter().zip(['I', 'M', 'Q', 'U'])) {
        second.keys.push(Key { ordinal, state, ..signing_key(character) });
    }
    second.keys[0].state = State::Retired { since: at(5) };
    second.keys.push(Key {
        ordinal: 6,
        state: State::Revoked { at: at(6) },
        wanted: None,
        ..signing_key('Y')
    });
    (second.serial, second.keys_jws, second.rotated_for) = (9, None, Some("x".into()));
    ledger.keep_authority(Some(&first), &second, at(2)).await.unwrap();
    assert_eq!(read(&*ledger, "a").await, AuthorityFacts { version: 2, ..second });
}

async fn an_issuer_and_a_root_belong_to_the_first_authority<L: Ledger>(ledger: Shared<L>) {
    let first = authority("a", 'A', 'E');
    ledger.keep_authority(None, &first, at(1)).await.unwrap();
    let again = ledger.keep_authority(None, &first, at(1)).await;
    assert!(matches!(again, Err(KeepError::Conflict)), "{again:?}");
    let namesake = AuthorityFacts { issuer: issuer("a"), ..authority("b", 'I', 'M') };
    assert!(matches!(ledger.keep_authority(None, &namesake, at(1)).await, Err(KeepError::IssuerTaken)));
    let of_one_root = authority("b", 'A', 'M');
    let refused = ledger.keep_authority(None, &of_one_root, at(1)).await;
    assert!(matches!(refused, Err(KeepError::KeyTaken(root)) if root == kid('A')));
    assert_eq!(ledger.authority(&uid("b")).await.unwrap(), None);
    assert_eq!(read(&*ledger, "a").await, first, "the first is untouched");
    ledger.retain_authorities(&[uid("b")], at(2)).await.unwrap();
    ledger.keep_authority(None, &namesake, at(3)).await.unwrap();
}

async fn a_key_belongs_to_the_first_authority_for_good<L: Ledger>(ledger: Shared<L>) {
    ledger.keep_authority(None, &authority("a", 'A', 'E'), at(1)).await.unwrap();
    let other = authority("b", 'I', 'E');
    let refused = |refused| matches!(refused, Err(KeepError::KeyTaken(key)) if key == kid('E'));
    assert!(refused(ledger.keep_authority(None, &other, at(1)).await));
    assert_eq!(
        ledger.owner(&kid('E')).await.unwrap().map(|owner| (owner.uid, owner.gone)),
        Some((uid("a"), false))
    );
    assert_eq!(ledger.owner(&kid('M')).await.unwrap(), None);
    ledger.retain_authorities(&[], at(2)).await.unwrap();
    assert!(ledger.owner(&kid('E')).await.unwrap().unwrap().gone);
    assert!(refused(ledger.keep_authority(None, &other, at(3)).await), "not even of one that is gone");
    assert_eq!(ledger.authority(&uid("b")).await.unwrap(), None);
}

async fn of_two_changes_of_an_authority_exactly_one_wins<L: Ledger>(ledger: Shared<L>) {
    let first = authority("a", 'A', 'E');
    ledger.keep_authority(None, &first, at(1)).await.unwrap();
    let racers = (0..8).map(|n| {
        let (ledger, before) = (ledger.clone(), first.clone());
        let after = AuthorityFacts { serial: 2 + n, ..first.clone() };
        tokio::spawn(async move { ledger.keep_authority(Some(&before), &after, at(2)).await })
    });
    let mut won = 0;
    for racer in racers.collect::<Vec<_>>() {
        match racer.await.unwrap() {
            Ok(()) => won += 1,
            Err(error) => assert!(matches!(error, KeepError::Conflict), "{error}"),
        }
    }
    assert_eq!((won, read(&*ledger, "a").await.version), (1, 2));
}

async fn an_authority_that_comes_back_has_the_keys_that_it_had<L: Ledger>(ledger: Shared<L>) {
    let first = authority("a", 'A', 'E');
    ledger.keep_authority(None, &first, at(1)).await.unwrap();
    assert!(!ledger.take_back(&uid("c"), "a", &issuer("a"), at(2)).await.unwrap(), "it is not gone");
    ledger.retain_authorities(&[], at(2)).await.unwrap();
    assert_eq!(ledger.authority(&uid("a")).await.unwrap(), None);
    assert!(!ledger.take_back(&uid("c"), "a", &issuer("c"), at(3)).await.unwrap(), "another issuer");
    assert!(!ledger.take_back(&uid("c"), "c", &issuer("a"), at(3)).await.unwrap(), "another name");
    assert!(ledger.take_back(&uid("c"), "a", &issuer("a"), at(3)).await.unwrap());
    let back = read(&*ledger, "c").await;
    assert_eq!(back, AuthorityFacts { uid: uid("c"), version: back.version, ..first });
}

async fn a_document_is_under_a_key_that_signs_and_its_end_is_kept<L: Ledger>(ledger: Shared<L>) {
    let first = authority("a", 'A', 'E');
    ledger.keep_authority(None, &first, at(1)).await.unwrap();
    let mut issue = change(None);
    issue.issue = vec![under('E', "l", "1", 900), under('E', "s", "2", 700)];
    ledger.commit(&issue).await.unwrap();
    let mut shorter = change(Some(1));
    shorter.issue = vec![under('E', "l", "3", 300)];
    shorter.withdraw = vec![uid("s")];
    ledger.commit(&shorter).await.unwrap();
    let kept = read(&*ledger, "a").await;
    assert_eq!(kept.keys[0].last_exp, Some(at(900)), "documents that were replaced are out there, too");

    let mut retired = kept.clone();
    retired.keys[0].state = State::Retired { since: at(5) };
    ledger.keep_authority(Some(&kept), &retired, at(5)).await.unwrap();
    let mut late = change(Some(2));
    late.issue = vec![under('E', "l", "4", 1_000)];
    assert!(matches!(ledger.commit(&late).await, Err(CommitError::Conflict)), "it signs no more");
    assert_eq!(read(&*ledger, "a").await.keys[0].last_exp, Some(at(900)));
    assert_eq!(ledger.facts(&key()).await.unwrap()[0].documents[0].serial, "3", "and nothing is left of it");
}

async fn a_key_does_not_stop_signing_beside_a_document_that_was_just_issued<L: Ledger>(ledger: Shared<L>) {
    let first = authority("a", 'A', 'E');
    ledger.keep_authority(None, &first, at(1)).await.unwrap();
    let mut issue = change(None);
    issue.issue = vec![under('E', "l", "1", 900)];
    ledger.commit(&issue).await.unwrap();
    let mut retired = first.clone();
    retired.keys[0].state = State::Retired { since: at(5) };
    let stale = ledger.keep_authority(Some(&first), &retired, at(5)).await;
    assert!(matches!(stale, Err(KeepError::Conflict)), "its not-after was decided without that document");
    assert_eq!(read(&*ledger, "a").await.version, 1, "nothing is left of it");
    let mut revoked = first.clone();
    revoked.keys[0].state = State::Revoked { at: at(5) };
    ledger.keep_authority(Some(&first), &revoked, at(5)).await.unwrap();
}

async fn documents_under_a_revoked_key_are_counted_until_the_last_is_made_anew<L: Ledger>(ledger: Shared<L>) {
    let first = authority("a", 'A', 'E');
    ledger.keep_authority(None, &first, at(1)).await.unwrap();
    let mut issue = change(None);
    issue.issue = vec![under('E', "l", "1", 900), under('E', "s", "2", 900)];
    ledger.commit(&issue).await.unwrap();
    assert_eq!(ledger.reissuing(&uid("a")).await.unwrap(), Reissuing::default());
    let before = read(&*ledger, "a").await;
    let mut after = before.clone();
    after.keys[0].state = State::Revoked { at: at(5) };
    after.keys.push(Key { ordinal: 2, ..signing_key('I') });
    ledger.keep_authority(Some(&before), &after, at(5)).await.unwrap();
    assert_eq!(ledger.reissuing(&uid("a")).await.unwrap(), Reissuing { total: 2, left: 2 });
    let mut anew = change(Some(1));
    anew.issue = vec![under('I', "l", "3", 950)];
    ledger.commit(&anew).await.unwrap();
    assert_eq!(ledger.reissuing(&uid("a")).await.unwrap(), Reissuing { total: 2, left: 1 });
    let mut last = change(Some(2));
    last.withdraw = vec![uid("s")];
    ledger.commit(&last).await.unwrap();
    assert_eq!(ledger.reissuing(&uid("a")).await.unwrap(), Reissuing::default());
}

async fn what_becomes_of_keys_is_in_the_audit<L: Ledger>(ledger: Shared<L>) {
    let first = authority("a", 'A', 'E');
    ledger.keep_authority(None, &first, at(1)).await.unwrap();
    let mut second = first.clone();
    second.keys[0].state = State::Revoked { at: at(5) };
    second.keys.push(Key { ordinal: 2, ..signing_key('I') });
    (second.serial, second.keys_jws) = (2, Some("d.e.f".into()));
    ledger.keep_authority(Some(&first), &second, at(5)).await.unwrap();
    ledger.retain_authorities(&[], at(6)).await.unwrap();
    let told: Vec<String> = ledger.audit(0, 10).await.unwrap().into_iter().map(|link| link.entries).collect();
    let e = kid('E');
    assert!(told[0].contains(r#""kind":"establish""#) && told[0].contains(r#""serial":1"#), "{told:?}");
    assert!(told[1].contains(&format!(r#""key":"{e}","state":"revoked""#)), "{told:?}");
    assert!(told[1].contains(r#""state":"signing""#) && told[1].contains(r#""serial":2"#), "{told:?}");
    assert!(told[2].contains(r#""kind":"retire""#), "{told:?}");
}
