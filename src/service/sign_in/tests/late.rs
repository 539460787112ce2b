//! Device tokens that come late, and those that somebody has copied.

use super::*;
use crate::domain::login::HELD_UP;

async fn begun() -> (Scene, Tokens) {
    let scene = Scene::new().await;
    let first = scene.exchange(&scene.code().await).await.unwrap();
    (scene, first)
}

#[tokio::test]
async fn a_lost_reply_signs_nobody_out_and_a_former_token_everybody() {
    let scene = Scene::new().await;
    let first = scene.exchange(&scene.code().await).await.unwrap();
    let lost = scene.refresh(&first).await.unwrap();
    let second = scene.refresh(&first).await.unwrap();
    assert!(scene.is_good(&second).await && !scene.is_good(&lost).await, "one access token at a time");
    let third = scene.refresh(&second).await.unwrap();
    assert!(scene.is_good(&third).await);
    // The one that was lost comes up after all: somebody has it who should not.
    assert!(why(scene.refresh(&lost).await).starts_with("the device token is unknown"));
    assert!(!scene.is_good(&third).await);
    assert!(why(scene.refresh(&third).await).starts_with("the device token is unknown"));

    let first = scene.exchange(&scene.code().await).await.unwrap();
    let second = scene.refresh(&first).await.unwrap();
    let third = scene.refresh(&second).await.unwrap();
    let fourth = scene.refresh(&third).await.unwrap();
    assert!(why(scene.refresh(&first).await).starts_with("the device token is unknown"), "used long ago");
    assert!(!scene.is_good(&fourth).await);
}

#[tokio::test]
async fn a_repetition_that_comes_after_its_successor_was_used_signs_nobody_out_and_gives_nothing() {
    let (scene, first) = begun().await;
    let second = scene.refresh(&first).await.unwrap();
    let third = scene.refresh(&second).await.unwrap();
    // The network delivers the first request once more.
    for _ in 0..2 {
        assert!(matches!(scene.refresh(&first).await, Err(Denied::Late)));
        assert!(scene.is_good(&third).await);
    }
    scene.hand.turn(HELD_UP);
    assert!(matches!(scene.refresh(&first).await, Err(Denied::Late)), "its last instant");
    let fourth = scene.refresh(&third).await.unwrap();
    assert!(scene.is_good(&fourth).await);
}

#[tokio::test]
async fn a_repetition_that_comes_after_its_successor_was_given_takes_that_from_nobody() {
    let (scene, first) = begun().await;
    let second = scene.refresh(&first).await.unwrap();
    // The first request once more, and nobody waits for its answer any more.
    let nobodys = scene.refresh(&first).await.unwrap();
    scene.hand.turn(ACCESS);
    let third = scene.refresh(&second).await.unwrap();
    assert!(scene.is_good(&third).await);
    let fourth = scene.refresh(&third).await.unwrap();
    // Of the two that were given exactly one goes on.
    assert!(why(scene.refresh(&nobodys).await).starts_with("the device token is unknown"));
    assert!(!scene.is_good(&fourth).await, "two have them");
}

#[tokio::test]
async fn whoever_uses_a_copied_token_first_is_found_out_when_its_owner_comes_again() {
    // The thief goes on and on, and the owner comes with the token that was copied.
    for uses in [1, 2, 5] {
        let (scene, owners) = begun().await;
        let mut thiefs = scene.refresh(&owners).await.unwrap();
        for _ in 0..uses {
            thiefs = scene.refresh(&thiefs).await.unwrap();
        }
        // At worst they are told to come again, and do.
        while matches!(scene.refresh(&owners).await, Err(Denied::Late)) {
            scene.hand.turn(HELD_UP / 4);
            thiefs = scene.refresh(&thiefs).await.unwrap_or(thiefs);
        }
        assert!(!scene.is_good(&thiefs).await, "after {uses}");
        assert!(why(scene.refresh(&thiefs).await).starts_with("the device token is unknown"));
    }
    // The owner was there in between: the one of the two that comes second ends it.
    let (scene, first) = begun().await;
    let thiefs = scene.refresh(&first).await.unwrap();
    let owners = scene.refresh(&first).await.unwrap();
    let thiefs = scene.refresh(&thiefs).await.unwrap();
    assert!(why(scene.refresh(&owners).await).starts_with("the device token is unknown"));
    assert!(!scene.is_good(&thiefs).await);
}
