//! Logins that are bound to a key, and those that are not.

use super::*;
use crate::{
    domain::refusal::Code,
    service::possession::{Possession, tests::proven},
};

fn unproven(denied: Result<Tokens, Denied>) -> Code {
    match denied {
        Err(Denied::Proof(refusal)) => refusal.code,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("tokens were given"),
    }
}

#[tokio::test]
async fn a_login_that_is_bound_to_a_key_goes_on_by_that_key_alone_and_its_device_token_stays() {
    let scene = Scene::new().await;
    let mut drawn = 0;
    let mut proof = |seed: u8| {
        drawn += 1;
        let made = (scene.hand.now().as_second(), format!("{drawn}"));
        proven(seed, ("POST", "/oauth2/token"), None, (made.0, &made.1))
    };
    let code = scene.code().await;
    let exchange = async |possession: Option<&Possession>| {
        let grant = Grant::Code { code: &code, redirect_uri: REDIRECT, verifier: VERIFIER };
        scene.sign_in.give("usher", grant, possession).await
    };
    let late = proven(1, ("POST", "/oauth2/token"), None, (scene.hand.now().as_second() - 61, "late"));
    assert_eq!(unproven(exchange(Some(&late)).await), Code::ProofStale);
    let elsewhere = proven(1, ("POST", "/oauth2/revoke"), None, (scene.hand.now().as_second(), "elsewhere"));
    let elsewhere = Possession::new(elsewhere.proof().to_owned(), "POST".into(), "/oauth2/token".into());
    assert_eq!(unproven(exchange(Some(&elsewhere)).await), Code::ProofInvalid);
    let tokens = exchange(Some(&proof(1))).await.unwrap();
    assert_eq!(tokens.token_type, "DPoP", "the code was not spent by what proved nothing");

    let refresh = async |possession: Option<&Possession>| {
        scene.sign_in.give("usher", Grant::DeviceToken(&tokens.refresh_token), possession).await
    };
    assert_eq!(unproven(refresh(None).await), Code::ProofMissing);
    assert_eq!(unproven(refresh(Some(&proof(2))).await), Code::ProofInvalid);
    let used = proof(1);
    let next = refresh(Some(&used)).await.unwrap();
    assert_eq!((&next.refresh_token, next.token_type), (&tokens.refresh_token, "DPoP"));
    assert!(scene.is_good(&next).await && !scene.is_good(&tokens).await, "one access token at a time");
    let again = Possession::new(used.proof().to_owned(), "POST".into(), "/oauth2/token".into());
    assert_eq!(unproven(refresh(Some(&again)).await), Code::ProofInvalid, "each proof is good once");
    for _ in 0..3 {
        refresh(Some(&proof(1))).await.unwrap();
    }
}

#[tokio::test]
async fn a_login_that_is_bound_to_no_key_goes_on_as_before() {
    let scene = Scene::new().await;
    let tokens = scene.exchange(&scene.code().await).await.unwrap();
    assert_eq!(tokens.token_type, "Bearer");
    let proof = proven(1, ("POST", "/oauth2/token"), None, (scene.hand.now().as_second(), "1"));
    let grant = Grant::DeviceToken(&tokens.refresh_token);
    let next = scene.sign_in.give("usher", grant, Some(&proof)).await.unwrap();
    assert_eq!(next.token_type, "Bearer");
    assert_ne!(next.refresh_token, tokens.refresh_token);
    scene.refresh(&next).await.unwrap();
}
