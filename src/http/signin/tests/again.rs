//! A program goes on, and the provider is asked again.

use serde_json::json;

use super::*;
use crate::{
    domain::login::PAUSE,
    service::sign_in::tests::recheck::{begun, until, until_asked},
};

#[tokio::test]
async fn whoever_hangs_up_does_not_stop_the_provider_from_being_asked() {
    let (scene, fake, tokens) = begun().await;
    let usher = Usher::of(scene);
    let Usher(scene, _, hand) = &usher;
    let fields = [
        ("client_id", "usher"),
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens.refresh_token.as_str()),
    ];
    let goes_on = async || usher.send("/oauth2/token", "", ORIGIN, &fields).await;
    hand.turn(PAUSE);
    fake.answers(0);
    fake.says_who(&json!({}), hand.now(), &json!({"refresh_token": "r1"}));
    tokio::select! {
        told = goes_on() => panic!("{}", told.body),
        () = until_asked(&fake) => {}
    }
    fake.answers(1);
    // Its own access token is good until others are given, which nobody has taken.
    until(async || !scene.is_good(&tokens).await).await;
    hand.turn(PAUSE);
    fake.answers(1);
    fake.says_who(&json!({}), hand.now(), &json!({}));
    assert_eq!(goes_on().await.status, StatusCode::OK);
    assert_eq!(fake.was_asked(), ["r1"], "what it gave is kept");
}
