//! A device without a browser, and whoever would like to have its tokens.

use super::*;
use crate::domain::device::{LIFE, NotYet, PAUSE, UserCode};

impl Scene {
    async fn waits(&self) -> Codes {
        self.sign_in.wait("usher", "Lab 3", "192.0.2.7").await.unwrap()
    }

    async fn fetch(&self, codes: &Codes) -> Result<Tokens, Denied> {
        self.sign_in.give("usher", Grant::DeviceCode(&codes.device_code), None).await
    }

    /// Ann, who has typed the code and signed in, is asked in `browser`.
    async fn comes_for(&self, codes: &Codes, browser: &str) {
        let device = self.sign_in.find(&codes.user_code.parse().unwrap()).await.unwrap();
        self.is_asked_about(browser, Errand::Device(device)).await;
    }
}

fn not_yet(told: Result<Tokens, Denied>) -> NotYet {
    match told {
        Err(Denied::NotYet(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("tokens were given"),
    }
}

#[tokio::test]
async fn a_device_is_given_tokens_once_somebody_has_said_yes_and_shown_again_its_code_ends_them() {
    let scene = Scene::with_devices().await;
    let codes = scene.waits().await;
    assert_eq!((codes.expires_in, codes.interval), (LIFE, PAUSE));
    assert_eq!(codes.verification_uri.as_str(), "https://usher.acme.example/device");
    assert_eq!(not_yet(scene.fetch(&codes).await), NotYet::Pending);
    scene.comes_for(&codes, "mine").await;
    scene.hand.turn(PAUSE);
    assert_eq!(
        not_yet(scene.fetch(&codes).await),
        NotYet::Pending,
        "to have signed in is not to have said yes"
    );
    let answered = scene.sign_in.agree("mine").await.unwrap();
    assert!(
        matches!(answered, Answered::Fetched(device) if device.claims.name.as_ref().unwrap().as_str() == "Lab 3")
    );
    scene.hand.turn(PAUSE);
    let tokens = scene.fetch(&codes).await.unwrap();
    assert!(scene.is_good(&tokens).await);
    let access = token::hash(&tokens.access_token);
    let who = scene.sign_in.ledger.signed_in(&access, scene.hand.now()).await.unwrap().unwrap();
    assert_eq!(who.login.device, "Lab 3");
    scene.hand.turn(PAUSE);
    assert!(why(scene.fetch(&codes).await).starts_with("the code is unknown, was used"));
    assert!(!scene.is_good(&tokens).await, "two have the code, and whoever was first may be the wrong one");
}

#[tokio::test]
async fn whoever_says_no_lets_no_device_in() {
    let scene = Scene::with_devices().await;
    let codes = scene.waits().await;
    scene.comes_for(&codes, "mine").await;
    scene.sign_in.decline("mine").await.unwrap();
    for _ in 0..2 {
        assert_eq!(not_yet(scene.fetch(&codes).await), NotYet::Denied);
        scene.hand.turn(PAUSE);
    }
}

#[tokio::test]
async fn a_device_that_asks_too_soon_is_held_up_even_if_the_answer_is_yes() {
    let scene = Scene::with_devices().await;
    let codes = scene.waits().await;
    assert_eq!(not_yet(scene.fetch(&codes).await), NotYet::Pending);
    scene.comes_for(&codes, "mine").await;
    scene.sign_in.agree("mine").await.unwrap();
    scene.hand.turn(PAUSE - 1);
    assert_eq!(not_yet(scene.fetch(&codes).await), NotYet::SlowDown);
    scene.hand.turn(PAUSE);
    assert_eq!(not_yet(scene.fetch(&codes).await), NotYet::SlowDown, "it was told to wait for longer");
    scene.hand.turn(PAUSE + 10);
    assert!(scene.fetch(&codes).await.is_ok());
}

#[tokio::test]
async fn a_code_that_is_too_old_lets_nobody_in() {
    let scene = Scene::with_devices().await;
    let codes = scene.waits().await;
    scene.hand.turn(LIFE);
    scene.comes_for(&codes, "in time").await;
    scene.comes_for(&codes, "late").await;
    scene.hand.turn(1);
    let late = scene.sign_in.agree("late").await;
    assert!(matches!(late, Err(Failure::Refused(Why::UnknownCode))), "{late:?}");
    assert_eq!(not_yet(scene.fetch(&codes).await), NotYet::Expired);
    let typed = scene.sign_in.find(&codes.user_code.parse().unwrap()).await;
    assert!(matches!(typed, Err(Failure::Refused(Why::UnknownCode))), "{typed:?}");
    scene.hand.turn(-1);
    assert!(scene.sign_in.agree("in time").await.is_ok());
}

#[tokio::test]
async fn of_two_who_answer_for_a_device_the_first_one_does() {
    let scene = Scene::with_devices().await;
    let codes = scene.waits().await;
    scene.comes_for(&codes, "first").await;
    scene.comes_for(&codes, "second").await;
    scene.sign_in.decline("first").await.unwrap();
    let second = scene.sign_in.agree("second").await;
    assert!(matches!(second, Err(Failure::Refused(Why::UnknownCode))), "{second:?}");
    assert_eq!(not_yet(scene.fetch(&codes).await), NotYet::Denied);
}

#[tokio::test]
async fn no_code_is_good_for_what_another_kind_of_code_is_for() {
    let scene = Scene::with_devices().await;
    let codes = scene.waits().await;
    scene.comes_for(&codes, "mine").await;
    scene.sign_in.agree("mine").await.unwrap();
    for shown in [&codes.user_code, &codes.user_code.replace('-', ""), &"usher_wait_other".to_owned()] {
        let told = scene.sign_in.give("usher", Grant::DeviceCode(shown), None).await;
        assert!(why(told).starts_with("the code is unknown"), "{shown}");
    }
    let code = &codes.device_code;
    let told =
        scene.sign_in.give("usher", Grant::Code { code, redirect_uri: REDIRECT, verifier: VERIFIER }, None);
    assert!(why(told.await).starts_with("the code is unknown"), "what was never bound to a verifier");
    let code = scene.code().await;
    let told = scene.sign_in.give("usher", Grant::DeviceCode(&code), None).await;
    assert!(why(told).starts_with("the code is unknown"), "without its verifier");
    let told = scene.sign_in.give("other", Grant::DeviceCode(&codes.device_code), None).await;
    assert!(matches!(told, Err(Denied::Client)));
    assert!(scene.fetch(&codes).await.is_ok() && scene.exchange(&code).await.is_ok(), "each is for its own");
}

#[tokio::test]
async fn devices_are_signed_in_only_at_providers_that_allow_it() {
    let scene = Scene::with_devices().await;
    let codes = scene.waits().await;
    let device = scene.sign_in.find(&codes.user_code.parse().unwrap()).await.unwrap();
    let depart = async || {
        let errand = Errand::Device(device.clone());
        scene.sign_in.depart(errand, "mine", "ann@acme.example").await.unwrap_err()
    };
    assert!(matches!(depart().await, Failure::Refused(Why::Provider(Refused::Away(_)))), "it is gone to");
    scene.providers.replace([provider("acme", "acme.example"), with_device_codes("b", "b.acme.example")], []);
    assert!(matches!(depart().await, Failure::Refused(Why::NoDevices)));
    scene.providers.replace([provider("acme", "acme.example")], []);
    let none = scene.sign_in.wait("usher", "", "").await.unwrap_err();
    assert!(matches!(none, Denied::NoDevices) && !scene.sign_in.knows_devices());
    let program = Errand::Program(asked().verified().unwrap());
    let program = scene.sign_in.depart(program, "mine", "ann@acme.example").await.unwrap_err();
    assert!(matches!(program, Failure::Refused(Why::Provider(Refused::Away(_)))), "in a browser as ever");
}

#[tokio::test]
async fn a_device_is_of_our_client_and_calls_itself_by_a_name_or_by_none() {
    let scene = Scene::with_devices().await;
    let tried = async |client, name| scene.sign_in.wait(client, name, "192.0.2.7").await;
    assert!(matches!(tried("other", "Lab 3").await, Err(Denied::Client)));
    assert!(matches!(tried("usher", "<b>Your bank</b>").await, Err(Denied::DeviceName)));
    assert!(tried("usher", "Lab 3").await.is_ok());
    let nameless: UserCode = tried("usher", "").await.unwrap().user_code.parse().unwrap();
    let device = scene.sign_in.find(&nameless).await.unwrap();
    assert_eq!((device.claims.name.as_ref(), device.claims.address.as_str()), (None, "192.0.2.7"));
    assert!(device.shows(&nameless) && !device.shows(&UserCode::of([9; 8])));
}

#[tokio::test]
async fn what_is_in_the_ledger_opens_nothing() {
    let scene = Scene::with_devices().await;
    let codes = scene.waits().await;
    scene.comes_for(&codes, "mine").await;
    let files = std::fs::read_dir(scene.directory.path()).unwrap();
    let files: Vec<u8> = files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    let has = |text: &str| files.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has(&token::hash(&codes.device_code)), "it would be found");
    assert!(!has(&codes.device_code) && !has(&codes.user_code) && !has(&codes.user_code.replace('-', "")));
}
