//! A provider is asked again, over real TLS, about whoever goes on.

use serde_json::{Value, json};

use super::{
    provider::{Fake, Say},
    *,
};
use crate::{
    domain::login::PAUSE,
    ledger::people::{Login, SignedIn},
    service::sign_in::recheck::under_way,
};

const HOURS: i64 = 3_600;

/// Ann has signed in at `fake`, with the refresh token `r0`.
async fn signed_in(scene: &Scene, fake: &Fake) -> Tokens {
    signed_in_with(scene, fake, &json!({"refresh_token": "r0"})).await
}

pub(super) async fn signed_in_with(scene: &Scene, fake: &Fake, refresh: &Value) -> Tokens {
    scene.providers.replace([fake.declared()], []);
    let errand = Errand::Program(asked().verified().unwrap());
    let away = scene.sign_in.depart(errand, "mine", "ann@acme.example").await.unwrap();
    let param = |url: &Url, name: &str| {
        let found = url.query_pairs().find(|(found, _)| found == name);
        found.map(|(_, value)| value.into_owned()).unwrap()
    };
    fake.says_who(&json!({"nonce": param(&away.url, "nonce")}), scene.hand.now(), refresh);
    let callback =
        Callback { state: param(&away.url, "state"), code: Some("c".into()), ..Callback::default() };
    let renewed = scene.sign_in.arrive("mine", &callback).await.unwrap();
    let Answered::Back(url) = scene.sign_in.agree(&renewed).await.unwrap() else {
        panic!("a program listens")
    };
    fake.was_asked();
    scene.exchange(&param(&url, "code")).await.unwrap()
}

/// Years after the beginning of all time.
async fn today(scene: Scene) -> (Scene, Fake) {
    scene.hand.turn(1_800_000_000);
    (scene, Fake::start().await)
}

pub(crate) async fn begun() -> (Scene, Fake, Tokens) {
    let (scene, fake) = today(Scene::new().await).await;
    let tokens = signed_in(&scene, &fake).await;
    (scene, fake, tokens)
}

/// What the ledger has of whoever has these.
pub(super) async fn known(scene: &Scene, tokens: &Tokens) -> SignedIn {
    let hash = token::hash(&tokens.access_token);
    scene.sign_in.ledger.signed_in(&hash, scene.hand.now()).await.unwrap().unwrap()
}

#[tokio::test]
async fn whoever_is_still_there_goes_on_and_the_provider_is_asked_once_a_minute_with_what_it_gave_last() {
    let (scene, fake, tokens) = begun().await;
    let tokens = scene.refresh(&tokens).await.unwrap();
    assert!(fake.was_asked().is_empty(), "they have just signed in");
    for (number, gives) in [json!({"refresh_token": "r1"}), json!({}), json!({})].iter().enumerate() {
        scene.hand.turn(PAUSE);
        fake.says_who(&json!({}), scene.hand.now(), gives);
        let next = scene.refresh(&tokens).await;
        // The reply is lost each time: the program comes again with what it has.
        assert!(next.is_ok(), "{number}: {next:?}");
        let asked = fake.was_asked();
        assert_eq!(asked, [if number == 0 { "r0" } else { "r1" }]);
        let again = scene.refresh(&tokens).await.unwrap();
        assert!(scene.is_good(&again).await && fake.was_asked().is_empty());
    }
}

#[tokio::test]
async fn a_provider_that_knows_usher_by_another_name_is_not_asked_with_what_it_gave_under_the_former_one() {
    let (scene, fake, tokens) = begun().await;
    scene.providers.replace([fake.declared_to("another")], []);
    scene.hand.turn(PAUSE);
    let tokens = scene.refresh(&tokens).await.unwrap();
    assert!(fake.was_asked().is_empty() && scene.is_good(&tokens).await);
}

#[tokio::test]
async fn a_refresh_token_is_sealed_in_the_ledger_from_its_first_second_on() {
    let (scene, _fake, tokens) = begun().await;
    let sealed = known(&scene, &tokens).await.login.again.unwrap();
    assert!(sealed.len() > 60);
    let file = std::fs::read(scene.directory.path().join("ledger.db")).unwrap();
    let log = std::fs::read(scene.directory.path().join("ledger.db-wal")).unwrap_or_default();
    for bytes in [file, log] {
        assert!(!String::from_utf8_lossy(&bytes).contains("\"r0\""));
    }
}

#[tokio::test]
async fn whoever_is_not_let_in_any_more_is_out_at_once_and_what_their_provider_said_counts_no_more() {
    let (scene, fake, tokens) = begun().await;
    let other = signed_in_with(&scene, &fake, &json!({})).await;
    scene.hand.turn(PAUSE);
    fake.says_no();
    assert!(why(scene.refresh(&tokens).await).starts_with("the identity provider does not let you in"));
    assert!(!scene.is_good(&tokens).await);
    assert!(why(scene.refresh(&tokens).await).starts_with("the device token is unknown"));
    assert_eq!(known(&scene, &other).await.proven_at, Timestamp::UNIX_EPOCH);
    assert!(why(scene.refresh(&other).await).starts_with("it is time to sign in again"), "on another device");
    // They may have signed out there, and no more: then they come again.
    let tokens = signed_in(&scene, &fake).await;
    assert_eq!(known(&scene, &tokens).await.proven_at, scene.hand.now());
    scene.refresh(&other).await.unwrap();
}

#[tokio::test]
async fn a_no_does_not_undo_what_the_provider_has_said_since_it_was_asked() {
    let (scene, fake, tokens) = begun().await;
    let other = signed_in_with(&scene, &fake, &json!({})).await;
    scene.hand.turn(PAUSE);
    fake.answers(0);
    fake.says_no();
    let (denied, proven) = tokio::join!(scene.refresh(&tokens), async {
        until_asked(&fake).await;
        scene.hand.turn(1);
        let mut ann = known(&scene, &tokens).await.principal;
        ann.name = "Ann B.".into();
        scene.sign_in.meet(&ann).await.unwrap();
        fake.answers(1);
        scene.hand.now()
    });
    assert!(why(denied).starts_with("the identity provider does not let you in"));
    assert_eq!(known(&scene, &other).await.proven_at, proven);
}

/// Longer than anything here takes; whoever waits so long is stuck.
const STUCK: Duration = Duration::from_secs(20);

/// Until it is so.
pub(crate) async fn until(mut is: impl AsyncFnMut() -> bool) {
    let waits = async {
        while !is().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(STUCK, waits).await.expect("in time");
}

pub(crate) async fn until_asked(fake: &Fake) {
    until(async || !fake.was_asked().is_empty()).await;
}

#[tokio::test]
async fn a_provider_that_says_nothing_that_counts_signs_nobody_out_until_it_is_time_to_sign_in_again() {
    let (scene, fake, mut tokens) = begun().await;
    let says = [
        Say::This(503, json!({"error": "invalid_grant"})),
        Say::This(429, json!({})),
        Say::This(500, json!("<html>")),
        Say::This(400, json!({"error": "temporarily_unavailable"})),
        Say::This(401, json!({"error": "invalid_client"})),
        Say::This(400, json!("what?")),
        Say::This(200, json!({"access_token": 1})),
        Say::Lost,
        Say::This(200, json!({"access_token": "a", "token_type": "Bearer"})),
    ];
    let proven_at = known(&scene, &tokens).await.proven_at;
    for say in says {
        scene.hand.turn(PAUSE);
        fake.says(say);
        tokens = scene.refresh(&tokens).await.unwrap();
        assert_eq!(fake.was_asked(), ["r0"]);
        assert_eq!(known(&scene, &tokens).await.proven_at, proven_at, "nothing is proven by that");
    }
    scene.hand.turn(8 * HOURS);
    fake.says(Say::This(503, json!({})));
    assert!(why(scene.refresh(&tokens).await).starts_with("it is time to sign in again"));
    // It answers again: whoever is there needs not sign in.
    scene.hand.turn(PAUSE);
    fake.says_who(&json!({}), scene.hand.now(), &json!({}));
    scene.refresh(&tokens).await.unwrap();
}

#[tokio::test]
async fn an_id_token_that_does_not_hold_proves_nobody_and_what_comes_with_it_is_kept() {
    let (scene, fake, mut tokens) = begun().await;
    let proven_at = known(&scene, &tokens).await.proven_at;
    let stale = scene.hand.now();
    for (number, claims) in
        [json!({"aud": "other"}), json!({"nonce": "another"}), json!({"exp": 1, "iat": 1})].iter().enumerate()
    {
        scene.hand.turn(PAUSE);
        fake.says_who(claims, stale, &json!({"refresh_token": format!("r{}", number + 1)}));
        tokens = scene.refresh(&tokens).await.unwrap();
        assert_eq!(fake.was_asked(), [format!("r{number}")], "{claims}");
        assert_eq!(known(&scene, &tokens).await.proven_at, proven_at);
    }
}

#[tokio::test]
async fn a_provider_that_speaks_of_another_ends_the_login_and_proves_nobody() {
    for claims in [json!({"sub": "2"}), json!({"iss": "https://other.acme.example"})] {
        let (scene, fake, tokens) = begun().await;
        scene.hand.turn(PAUSE);
        fake.says_who(&claims, scene.hand.now(), &json!({"refresh_token": "r1"}));
        assert!(why(scene.refresh(&tokens).await).starts_with("the identity provider does not let you in"));
        assert!(!scene.is_good(&tokens).await);
    }
}

#[tokio::test]
async fn who_somebody_is_today_is_kept_as_at_a_sign_in_and_the_same_as_before_once_in_a_while() {
    let (scene, fake, mut tokens) = begun().await;
    for (hours, groups, proven) in
        [(1, "cad-users", false), (1, "cad-users", true), (0, "staff", true), (1, "staff", false)]
    {
        scene.hand.turn(hours * HOURS + PAUSE);
        fake.says_who(&json!({"groups": [groups]}), scene.hand.now(), &json!({}));
        tokens = scene.refresh(&tokens).await.unwrap();
        let SignedIn { principal, proven_at, .. } = known(&scene, &tokens).await;
        assert_eq!(proven_at == scene.hand.now(), proven, "{groups} after {hours} h");
        assert_eq!(principal.groups, [groups.parse().unwrap()].into());
    }
}

#[tokio::test]
async fn a_no_after_an_answer_that_was_lost_may_only_say_that_the_token_was_used_up() {
    let (scene, fake, tokens) = begun().await;
    scene.hand.turn(PAUSE);
    fake.says(Say::Lost);
    let tokens = scene.refresh(&tokens).await.unwrap();
    assert!(known(&scene, &tokens).await.login.in_doubt);
    // One that never came leaves that as it is.
    scene.hand.turn(PAUSE);
    fake.says(Say::This(503, json!({})));
    let tokens = scene.refresh(&tokens).await.unwrap();
    scene.hand.turn(PAUSE);
    fake.says_no();
    let tokens = scene.refresh(&tokens).await.unwrap();
    let SignedIn { login, .. } = known(&scene, &tokens).await;
    assert_eq!((login.again, login.in_doubt), (None, false), "as if there were none");
    fake.was_asked();
    scene.hand.turn(8 * HOURS);
    assert!(why(scene.refresh(&tokens).await).starts_with("it is time to sign in again"));
    assert!(fake.was_asked().is_empty());

    // A gateway that fails may have done it after the provider did what it was asked for.
    let (scene, fake, tokens) = begun().await;
    scene.hand.turn(PAUSE);
    fake.says(Say::This(502, json!({})));
    let tokens = scene.refresh(&tokens).await.unwrap();
    scene.hand.turn(PAUSE);
    fake.says_no();
    let tokens = scene.refresh(&tokens).await.unwrap();
    assert_eq!(known(&scene, &tokens).await.login.again, None);

    // A yes takes the doubt away.
    let (scene, fake, tokens) = begun().await;
    scene.hand.turn(PAUSE);
    fake.says(Say::Lost);
    let tokens = scene.refresh(&tokens).await.unwrap();
    scene.hand.turn(PAUSE);
    fake.says_who(&json!({}), scene.hand.now(), &json!({}));
    let tokens = scene.refresh(&tokens).await.unwrap();
    scene.hand.turn(PAUSE);
    fake.says_no();
    assert!(why(scene.refresh(&tokens).await).starts_with("the identity provider does not let you in"));
}

#[tokio::test]
async fn of_two_who_go_on_at_once_one_asks_and_the_other_one_does_not_wait_and_is_not_overtaken() {
    let (scene, fake, tokens) = begun().await;
    scene.hand.turn(PAUSE);
    fake.answers(0);
    fake.says_who(&json!({}), scene.hand.now(), &json!({"refresh_token": "r1"}));
    let (slow, quick) = tokio::join!(scene.refresh(&tokens), async {
        until_asked(&fake).await;
        let quick = scene.refresh(&tokens).await.unwrap();
        let next = scene.refresh(&quick).await.unwrap();
        assert!(fake.was_asked().is_empty(), "one asks");
        fake.answers(1);
        next
    });
    assert!(matches!(slow, Err(Denied::Failure(_))), "nobody is signed out by having been slow");
    assert!(scene.is_good(&quick).await);
    scene.hand.turn(PAUSE);
    fake.answers(1);
    fake.says_who(&json!({}), scene.hand.now(), &json!({}));
    scene.refresh(&quick).await.unwrap();
    assert_eq!(fake.was_asked(), ["r1"], "what the slow one was given is kept");
}

#[tokio::test]
async fn whoever_signs_out_while_the_provider_is_asked_stays_out() {
    let (scene, fake, tokens) = begun().await;
    let other = signed_in_with(&scene, &fake, &json!({})).await;
    scene.hand.turn(PAUSE);
    fake.answers(0);
    fake.says_who(&json!({"name": "Ann B."}), scene.hand.now(), &json!({"refresh_token": "r1"}));
    let (refreshed, ()) = tokio::join!(scene.refresh(&tokens), async {
        until_asked(&fake).await;
        scene.sign_in.revoke(&tokens.refresh_token).await.unwrap();
        fake.answers(1);
    });
    assert!(why(refreshed).starts_with("the device token is unknown"));
    assert_eq!(known(&scene, &other).await.principal.name, "Ann Example");
}

#[tokio::test]
async fn what_has_ended_by_the_providers_own_word_is_not_asked_with_and_takes_nothing_else_away() {
    let (scene, fake) = today(Scene::new().await).await;
    let gives = |seconds: Value| json!({"refresh_token": "r0", "refresh_expires_in": seconds});
    let tokens = signed_in_with(&scene, &fake, &gives(json!(1_800))).await;
    scene.hand.turn(1_799);
    fake.says_who(&json!({}), scene.hand.now(), &gives(json!(1_800)));
    let tokens = scene.refresh(&tokens).await.unwrap();
    fake.was_asked();
    scene.hand.turn(1_800);
    assert!(why(scene.refresh(&tokens).await).starts_with("your session at the identity provider is over"));
    assert!(fake.was_asked().is_empty());
    // Keycloak says 0 of one that does not end; others say nothing of use.
    for seconds in [json!(0), json!("soon"), json!(null), json!(-1)] {
        let tokens = signed_in_with(&scene, &fake, &gives(seconds)).await;
        scene.hand.turn(8 * HOURS - 1);
        fake.says_who(&json!({}), scene.hand.now(), &json!({}));
        scene.refresh(&tokens).await.unwrap();
        assert_eq!(fake.was_asked(), ["r0"]);
    }
}

#[tokio::test]
async fn where_nothing_is_there_to_ask_with_it_is_as_if_the_provider_gave_nothing() {
    let (scene, fake, other) = begun().await;
    let login = known(&scene, &other).await.login;
    let sealed = login.again.unwrap();
    let text = scene.sign_in.nonces.get().unwrap().open(&login.id, &sealed).unwrap();
    let by_another_key = |id: &str| {
        let keys = NonceKeys::new(NonceKey::from_secret([8; 32]), Vec::new());
        keys.seal(id, &text, &[0; 32]).unwrap()
    };
    for what in ["none", "another key's", "another login's", "no seal"] {
        let tokens = signed_in(&scene, &fake).await;
        let login = known(&scene, &tokens).await.login;
        let again = match what {
            "none" => None,
            "another key's" => Some(by_another_key(&login.id)),
            "another login's" => Some(sealed.clone()),
            what => Some(what.to_owned()),
        };
        scene.sign_in.ledger.told(&Login { again, ..login }, None, scene.hand.now()).await.unwrap();
        scene.hand.turn(8 * HOURS);
        let tokens = scene.refresh(&tokens).await.unwrap();
        scene.hand.turn(1);
        assert!(why(scene.refresh(&tokens).await).starts_with("it is time to sign in again"), "{what}");
        assert!(fake.was_asked().is_empty(), "{what}");
    }
    // What is under way is of one person, and of no login.
    let login = known(&scene, &signed_in(&scene, &fake).await).await.login;
    let sealer = scene.sign_in.sealer();
    assert!(sealer.open(&login.id, login.again.as_deref().unwrap()).is_some());
    assert!(sealer.open(&under_way(&login.issuer, &login.subject), &sealed).is_none());
}

#[tokio::test]
async fn while_the_key_is_not_there_people_sign_in_all_the_same() {
    let (scene, fake) = today(Scene::without_keys().await).await;
    let tokens = signed_in(&scene, &fake).await;
    assert_eq!(known(&scene, &tokens).await.login.again, None);
    scene.hand.turn(8 * HOURS);
    scene.refresh(&tokens).await.unwrap();
    assert!(fake.was_asked().is_empty());
}
