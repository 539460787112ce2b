//! Somebody is signed in in their browser itself.

use super::*;
use crate::domain::login::{BROWSER_IDLE, BROWSER_LIFE, BROWSER_NOTED};

impl Scene {
    /// Ann has said yes in `browser`: what it shows from then on.
    pub(crate) async fn enters(&self, browser: &str) -> String {
        self.is_asked_about(browser, Errand::Browser).await;
        let Answered::Here(Some(session)) = self.sign_in.agree(browser).await.unwrap() else { panic!() };
        session.to_string()
    }

    pub(crate) async fn is_inside(&self, session: &str) -> bool {
        self.sign_in.inside(session).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn whoever_says_yes_is_inside_under_a_name_that_nobody_had_before_and_nobody_else_is() {
    let scene = Scene::new().await;
    let (mine, other) = (scene.enters("mine").await, scene.enters("other").await);
    assert!(mine != other && mine != "mine" && mine.len() == 43);
    assert!(scene.is_inside(&mine).await && scene.is_inside(&other).await);
    assert_eq!(scene.sign_in.inside(&mine).await.unwrap().unwrap().principal.name, "Ann Example");
    assert!(!scene.is_inside("mine").await, "the name from before the provider");
    assert!(matches!(scene.sign_in.agree("mine").await, Err(Failure::Refused(Why::Elsewhere))), "once");
    scene.is_asked_about("no", Errand::Browser).await;
    assert!(matches!(scene.sign_in.decline("no").await.unwrap(), Answered::Here(None)));
    assert!(matches!(scene.sign_in.agree("no").await, Err(Failure::Refused(Why::Elsewhere))));
    scene.sign_in.leave(&mine).await.unwrap();
    assert!(!scene.is_inside(&mine).await && scene.is_inside(&other).await);
}

#[tokio::test]
async fn it_ends_after_half_an_hour_without_use_and_after_a_working_day_in_any_case() {
    let scene = Scene::new().await;
    let idle = scene.enters("a").await;
    scene.hand.turn(BROWSER_IDLE - 1);
    assert!(scene.is_inside(&idle).await, "and that is use");
    scene.hand.turn(BROWSER_IDLE - 1);
    assert!(scene.is_inside(&idle).await);
    scene.hand.turn(BROWSER_IDLE);
    assert!(!scene.is_inside(&idle).await);

    let used = scene.enters("a").await;
    let step = BROWSER_IDLE - BROWSER_NOTED;
    for _ in 0..(BROWSER_LIFE - 1) / step {
        scene.hand.turn(step);
        assert!(scene.is_inside(&used).await);
    }
    scene.hand.turn((BROWSER_LIFE - 1) % step);
    assert!(scene.is_inside(&used).await, "its last second");
    scene.hand.turn(1);
    assert!(!scene.is_inside(&used).await);
}

#[tokio::test]
async fn what_ends_logins_ends_it_too() {
    let scene = Scene::new().await;
    let session = scene.enters("a").await;
    let login = scene.sign_in.inside(&session).await.unwrap().unwrap().login;
    assert!(scene.sign_in.ledger.end_login(&login.id).await.unwrap());
    assert!(!scene.is_inside(&session).await);
    let session = scene.enters("b").await;
    let ann = ["email:ann@acme.example".to_owned()];
    assert_eq!(crate::ledger::Audit::erase(&scene.sign_in.ledger, &ann, scene.hand.now()).await.unwrap(), 1);
    assert!(!scene.is_inside(&session).await, "she is forgotten");

    // The provider is asked again in time, and is still there.
    let session = scene.enters("c").await;
    scene.providers.replace([provider("acme", "other.example")], []);
    assert!(!scene.is_inside(&session).await);
    scene.providers.replace([], ["acme".to_owned()]);
    assert!(matches!(scene.sign_in.inside(&session).await, Err(Failure::Unavailable(_))), "it may be back");
    let strict = Arc::into_inner(provider("acme", "acme.example")).unwrap();
    let soon =
        crate::service::providers::Provider { reauthenticate_after: SignedDuration::from_secs(90), ..strict };
    scene.providers.replace([Arc::new(soon)], []);
    assert!(scene.is_inside(&session).await);
    scene.hand.turn(91);
    assert!(!scene.is_inside(&session).await);
}

#[tokio::test]
async fn a_browser_has_no_token_and_no_token_opens_a_browser() {
    let scene = Scene::new().await;
    let session = scene.enters("a").await;
    assert!(
        scene.sign_in.ledger.signed_in(&token::hash(&session), scene.hand.now()).await.unwrap().is_none()
    );
    assert!(scene.sign_in.give("usher", Grant::DeviceToken(&session), None).await.is_err());
    let tokens = scene.exchange(&scene.code().await).await.unwrap();
    for token in [&tokens.access_token, &tokens.refresh_token] {
        assert!(!scene.is_inside(token).await);
    }
    assert!(scene.is_inside(&session).await && scene.is_good(&tokens).await);
    // What is kept of it opens nothing.
    let login = scene.sign_in.inside(&session).await.unwrap().unwrap().login;
    for kept in [&login.id, &login.family, &login.current, &login.access] {
        assert!(!kept.contains(&session) && !scene.is_inside(kept).await);
    }
}
