//! A provider says no about one sign-in of somebody who is signed in elsewhere, too.

use serde_json::{Value, json};

use super::{
    provider::{Fake, Say},
    recheck::{begun, known, signed_in_with},
    *,
};
use crate::{domain::login::PAUSE, service::sign_in::judged::OTHERS};

fn gives(token: &str) -> Value {
    json!({"refresh_token": token})
}

/// Another sign-in of hers, with this refresh token; a minute later.
async fn and(scene: &Scene, fake: &Fake, token: &str) -> Tokens {
    let tokens = signed_in_with(scene, fake, &gives(token)).await;
    scene.hand.turn(PAUSE);
    tokens
}

const OVER: &str = "your session at the identity provider is over";
const NO: &str = "the identity provider does not let you in";

#[tokio::test]
async fn whoever_is_still_let_in_elsewhere_loses_the_old_session_and_nothing_else() {
    let (scene, fake, old) = begun().await;
    let live = and(&scene, &fake, "live").await;
    fake.says_no();
    fake.says_who(&json!({}), scene.hand.now(), &gives("live 2"));
    assert!(why(scene.refresh(&old).await).starts_with(OVER));
    assert_eq!(fake.was_asked(), ["r0", "live"]);
    assert!(!scene.is_good(&old).await && scene.is_good(&live).await);
    assert_ne!(known(&scene, &live).await.proven_at, Timestamp::UNIX_EPOCH);
    assert!(why(scene.refresh(&old).await).starts_with("the device token is unknown"));
    // What the provider gave last is what it is asked with next.
    scene.hand.turn(PAUSE);
    fake.says_who(&json!({}), scene.hand.now(), &json!({}));
    scene.refresh(&live).await.unwrap();
    assert_eq!(fake.was_asked(), ["live 2"]);
}

#[tokio::test]
async fn a_leaver_is_out_everywhere_with_the_first_no() {
    let (scene, fake, first) = begun().await;
    let second = and(&scene, &fake, "second").await;
    // One about which nobody can be asked, as that is not a yes.
    let third = signed_in_with(&scene, &fake, &json!({})).await;
    fake.says_no();
    fake.says_no();
    assert!(why(scene.refresh(&second).await).starts_with(NO));
    assert_eq!(fake.was_asked(), ["second", "r0"]);
    assert!(!scene.is_good(&first).await && !scene.is_good(&second).await);
    assert_eq!(known(&scene, &third).await.proven_at, Timestamp::UNIX_EPOCH);
    assert!(why(scene.refresh(&third).await).starts_with("it is time to sign in again"));
}

#[tokio::test]
async fn what_is_no_yes_saves_nobody() {
    for is_for_another in [true, false] {
        let (scene, fake, old) = begun().await;
        let other = and(&scene, &fake, "other").await;
        fake.says_no();
        if is_for_another {
            fake.says_who(&json!({"aud": "another"}), scene.hand.now(), &json!({}));
        } else {
            fake.says(Say::This(401, json!({"error": "invalid_client"})));
        }
        assert!(why(scene.refresh(&old).await).starts_with(NO));
        assert_eq!(known(&scene, &other).await.proven_at, Timestamp::UNIX_EPOCH);
    }
    // Nor one that speaks of another, which ends.
    let (scene, fake, old) = begun().await;
    let other = and(&scene, &fake, "other").await;
    fake.says_no();
    fake.says_who(&json!({"sub": "2"}), scene.hand.now(), &json!({}));
    assert!(why(scene.refresh(&old).await).starts_with(NO));
    assert!(!scene.is_good(&other).await);
    // Nor one that is over by the provider's own word, which is not asked about.
    let (scene, fake, old) = begun().await;
    let brief = json!({"refresh_token": "brief", "refresh_expires_in": PAUSE});
    signed_in_with(&scene, &fake, &brief).await;
    scene.hand.turn(PAUSE);
    fake.says_no();
    assert!(why(scene.refresh(&old).await).starts_with(NO));
    assert_eq!(fake.was_asked(), ["r0"]);
}

#[tokio::test]
async fn while_the_provider_does_not_say_whoever_goes_on_is_told_to_come_again_and_is_asked_about_again() {
    for says in [Say::This(503, json!({})), Say::This(429, json!({})), Say::Lost] {
        let (scene, fake, old) = begun().await;
        let live = and(&scene, &fake, "live").await;
        fake.says_no();
        fake.says(says);
        assert!(matches!(scene.refresh(&old).await, Err(Denied::Failure(Failure::Unavailable(_)))));
        assert_eq!(fake.was_asked(), ["r0", "live"]);
        assert!(scene.is_good(&old).await && scene.is_good(&live).await, "nothing has ended");
        // At once, and not in a minute: until then nobody goes on by it.
        fake.says_no();
        fake.says_who(&json!({}), scene.hand.now(), &json!({}));
        assert!(why(scene.refresh(&old).await).starts_with(OVER));
        assert!(scene.is_good(&live).await);
    }
}

#[tokio::test]
async fn of_many_sign_ins_those_are_asked_about_that_were_used_last() {
    let (scene, fake, old) = begun().await;
    let mut last = None;
    for number in 0..OTHERS + 2 {
        scene.hand.turn(1);
        last = Some(signed_in_with(&scene, &fake, &gives(&format!("r{}", number + 1))).await);
    }
    scene.hand.turn(PAUSE);
    for _ in 0..=OTHERS {
        fake.says_no();
    }
    assert!(why(scene.refresh(&old).await).starts_with(NO));
    let asked: Vec<String> = (3..OTHERS + 3).rev().map(|number| format!("r{number}")).collect();
    assert_eq!(fake.was_asked(), [vec!["r0".to_owned()], asked].concat());
    assert!(!scene.is_good(&last.unwrap()).await);
}

#[tokio::test]
async fn a_sign_in_that_is_asked_about_at_this_moment_is_left_to_whoever_asks() {
    let (scene, fake, old) = begun().await;
    let live = and(&scene, &fake, "live").await;
    let asked = known(&scene, &live).await.login;
    assert!(scene.sign_in.ledger.ask_provider(&asked, scene.hand.now()).await.unwrap());
    fake.says_no();
    assert!(matches!(scene.refresh(&old).await, Err(Denied::Failure(Failure::Unavailable(_)))));
    assert_eq!(fake.was_asked(), ["r0"], "its token is not shown a second time");
    assert!(scene.is_good(&old).await && scene.is_good(&live).await);
    // Whoever asked has died.
    scene.hand.turn(PAUSE);
    fake.says_no();
    fake.says_who(&json!({}), scene.hand.now(), &json!({}));
    assert!(why(scene.refresh(&old).await).starts_with(OVER));
}
