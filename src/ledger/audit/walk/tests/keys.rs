//! A chain whose key changed is whole if it says so itself; each key proves what it sealed, and nothing after that.

use super::*;

fn thumbprint(seed: u8) -> Thumbprint {
    key(seed).thumbprint()
}

/// Ten links: sealed by key 1 at 2 and 4; entry 6 says that key 2 takes its place, which seals 7 and 10.
fn rekeyed() -> Chain {
    let mut chain = Chain::new(10, &[2, 4]);
    chain.links[5].entries = entry(1, 2);
    chain.rewrite(5);
    chain.seal(7, &key(2));
    chain.seal(10, &key(2));
    chain
}

fn entry(from: u8, to: u8) -> String {
    format!(r#"[{{"kind":"rekey","from":"{}","to":"{}"}}]"#, thumbprint(from), thumbprint(to))
}

#[test]
fn a_chain_is_followed_over_a_change_of_its_key_and_says_where_it_was() {
    let chain = rekeyed();
    let report = chain.report(&chain.checkpoints);
    assert!(report.is_whole(), "{report:?}");
    let turn = Turn { sequence: 6, from: thumbprint(1), to: thumbprint(2) };
    assert_eq!((report.turns, report.key), (vec![turn], Some(thumbprint(2))));
    assert_eq!((report.checkpoints, report.outside, report.sealed, report.vouched), (4, 4, 10, 10));
}

#[test]
fn each_key_proves_what_it_sealed_last_and_nothing_after_that() {
    let chain = rekeyed();
    for (trusted, vouched) in [(1, 4), (2, 10)] {
        let report = chain.report_to(Some(thumbprint(trusted)), &[], 64);
        assert!(report.is_whole(), "{report:?}");
        assert_eq!((report.sealed, report.vouched), (10, vouched), "by key {trusted}");
    }
    // What was kept outside is by the former key only: it says nothing of the new one.
    assert_eq!(chain.report(&chain.checkpoints[..2]).vouched, 4);
    let alien = chain.report_to(Some(thumbprint(3)), &[], 64);
    let untrusted = Finding::Untrusted { trusted: thumbprint(3), key: Some(thumbprint(2)) };
    assert_eq!(alien.findings, [untrusted]);
}

#[test]
fn a_key_that_took_the_place_of_another_and_no_entry_says_so_is_found() {
    let mut swapped = Chain::new(10, &[2, 4]);
    swapped.seal(7, &key(2));
    swapped.seal(10, &key(2));
    let changed =
        |sequence, from, to| Finding::KeyChanged { sequence, from: thumbprint(from), to: thumbprint(to) };
    assert_eq!(swapped.findings(), [changed(7, 1, 2)], "once");
    // Whoever has the new key only cannot pass for who has the former: not even by an entry that says so.
    assert_eq!(swapped.report_to(Some(thumbprint(2)), &[], 64).findings[0], changed(7, 1, 2));
    let mut announced = rekeyed();
    announced.checkpoints.truncate(2);
    announced.seal(7, &key(3));
    assert_eq!(announced.findings(), [changed(7, 2, 3)]);
    announced.checkpoints.truncate(2);
    announced.seal(7, &key(1));
    assert_eq!(announced.findings(), [changed(7, 2, 1)], "the former one seals no more");
    let mut wrong = rekeyed();
    wrong.links[5].entries = entry(3, 2);
    wrong.rewrite(5);
    wrong.checkpoints.truncate(2);
    wrong.seal(7, &key(2));
    assert_eq!(wrong.findings(), [changed(6, 1, 3)], "it names a key whose turn it was not");
}

#[test]
fn a_checkpoint_from_outside_by_a_key_whose_turn_it_was_not_or_that_nobody_knows_is_forged() {
    let chain = rekeyed();
    for (sequence, seed) in [(3, 2), (8, 1), (8, 3)] {
        let mut alien = chain.clone();
        alien.checkpoints.clear();
        alien.seal(sequence, &key(seed));
        let report = chain.report_to(Some(thumbprint(2)), &alien.checkpoints, 64);
        assert!(matches!(report.findings[..], [Finding::ForgedOutside { .. }]), "{sequence}: {report:?}");
        assert_eq!(report.outside, 0);
    }
    let mut ahead = chain.clone();
    ahead.links.truncate(8);
    ahead.checkpoints.truncate(3);
    let mut alien = chain.clone();
    alien.checkpoints.clear();
    alien.seal(10, &key(3));
    let report = ahead.report_to(Some(thumbprint(2)), &alien.checkpoints, 64);
    assert_eq!(report.findings, [Finding::by_nobody(&thumbprint(3))], "nothing is missing because of it");
}

#[test]
fn after_the_entry_was_pruned_the_chain_is_that_of_the_key_that_seals() {
    let mut chain = rekeyed();
    chain.links[8].entries = r#"[{"kind":"prune","through":7}]"#.into();
    chain.rewrite(8);
    chain.checkpoints.pop();
    chain.seal(10, &key(2));
    chain.prune(2);
    let report = chain.report_to(Some(thumbprint(2)), &[], 64);
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.vouched, report.turns), (10, Vec::new()));
    let former = chain.report_to(Some(thumbprint(1)), &[], 64);
    assert!(matches!(former.findings[..], [Finding::Untrusted { .. }]), "{former:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_done_to_either_side_of_a_change_of_the_key_is_found(
        (what, anew) in tampering(),
        keep_checkpoints in any::<bool>(),
        page in 1usize..12,
    ) {
        let mut chain = rekeyed();
        let outside = chain.checkpoints.clone();
        if tamper(&mut chain, &what, anew) {
            if !keep_checkpoints {
                chain.checkpoints.clear();
            }
            let report = chain.report_to(Some(thumbprint(2)), &outside, page);
            prop_assert!(!report.is_whole(), "{:?} {:?}", what, report);
        }
    }
}
