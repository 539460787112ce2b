//! A small world without Kubernetes: the real decisions on a real ledger, shown to maps in memory, with a crash after
//! any effect. Thousands of crashes, where [`super::crash`] tries some sixty; and the ledger lost at any moment.

mod happens;
mod model;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use proptest::prelude::*;
use usher::domain::license::Uid;

use happens::{Happens, happens};
use model::World;

/// Lets all of it happen; with `crashes`, looks crash.
async fn live(story: &[Happens], at_most: usize, crashes: bool) -> (BTreeSet<String>, BTreeMap<String, Uid>) {
    // In memory if it can be: nothing here is about disks.
    let shm = Path::new("/dev/shm");
    let directory = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap();
    let mut world = World::new(directory.path(), at_most).await;
    for (entropy, what) in (0..200).zip(story) {
        world.happens(what);
        if matches!(what, Happens::Lose) {
            world.lose().await;
        }
        if let Happens::Look(crash) = what {
            let mut left = crash.filter(|_| crashes);
            let _ = world.look(&mut left, entropy).await;
        }
    }
    world.rests().await;
    world.end().await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_crash_after_any_effect_changes_nothing_in_the_end(
        story in prop::collection::vec(happens(), 1..40), at_most in 1usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (crashed, quiet) = runtime.block_on(async {
            (live(&story, at_most, true).await, live(&story, at_most, false).await)
        });
        prop_assert_eq!(crashed, quiet);
    }

    #[test]
    fn a_ledger_that_is_lost_at_any_moment_sells_nothing_twice_and_comes_to_rest(
        story in prop::collection::vec(prop_oneof![6 => happens(), 1 => Just(Happens::Lose)], 1..40),
        at_most in 1usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(&story, at_most, true));
    }

    #[test]
    fn a_ledger_that_is_lost_at_rest_changes_nothing(
        story in prop::collection::vec(happens(), 1..40), at_most in 1usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let mut world = World::new(directory.path(), at_most).await;
            story.iter().for_each(|what| world.happens(what));
            world.rests().await;
            world.happens(&Happens::Collect);
            let before = (world.end().await, world.secrets.clone());
            world.lose().await;
            world.rests().await;
            prop_assert_eq!((world.end().await, world.secrets.clone()), before);
            Ok::<(), TestCaseError>(())
        })?;
    }
}
