//! Who was not signed in, and why, is told to the audit: the first of each caller and reason, then how many more.

use super::*;
use crate::{
    ledger::{Trail as _, audit::Entry},
    service::activations::Runtime,
};

/// What the audit was told of it: why, and how many more.
async fn told(scene: &Scene, runtime: &Runtime<Sqlite>) -> Vec<(String, u64)> {
    runtime.telling_of_refusals(async {}).await;
    let links = scene.ledger().audit(0, 100).await.unwrap();
    let entries = links.iter().flat_map(|link| serde_json::from_str::<Vec<Entry>>(&link.entries).unwrap());
    let told = entries.filter_map(|entry| match entry {
        Entry::Refuse { call, code, license, activation, .. } => {
            assert_eq!((call.as_str(), license, activation), ("signIn", None, None));
            Some((code, 0))
        }
        Entry::RefuseMore { code, more, .. } => Some((code, more)),
        _ => None,
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    told
}

#[tokio::test]
async fn who_was_not_signed_in_is_in_the_audit_and_who_mistyped_is_not() {
    let scene = Scene::new().await;
    let (hand, runtime) = (scene.hand.clone(), scene.runtime());
    let router = router::<Sqlite>(scene.sign_in.clone(), runtime.clone(), hand.clone());
    let usher = Usher(scene, router, hand);
    let browser = "B".repeat(43);
    let typed = async |login: &str, origin: &str| {
        let fields = [("form", &*form_token(&browser)), ("login", login)];
        usher.send("/me", &browser, origin, &fields).await.status
    };
    assert_eq!(typed("not an address", ORIGIN).await, StatusCode::BAD_REQUEST);
    // Their provider does not answer: nobody was denied anything.
    assert_eq!(typed("ann@acme.example", ORIGIN).await, StatusCode::BAD_GATEWAY);
    assert_eq!(told(&usher.0, &runtime).await, []);

    for _ in 0..3 {
        assert_eq!(typed("ann@other.example", ORIGIN).await, StatusCode::BAD_REQUEST);
    }
    assert_eq!(typed("ann@acme.example", "https://evil.example").await, StatusCode::FORBIDDEN);
    let refused = usher.get("/signin/callback?state=s&code=c", &browser).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let fields = [("client_id", "usher"), ("grant_type", "refresh_token"), ("refresh_token", "usher_dev_x")];
    assert_eq!(usher.send("/oauth2/token", "", ORIGIN, &fields).await.status, StatusCode::BAD_REQUEST);
    let words = ["another-browser", "forged-form", "grant-unknown", "no-provider"];
    let mut wanted: Vec<_> = words.map(|word| (word.to_owned(), 0)).into();
    wanted.push(("no-provider".to_owned(), 2));
    assert_eq!(told(&usher.0, &runtime).await, wanted);
    let links = usher.0.ledger().audit(0, 100).await.unwrap();
    assert!(links.iter().all(|link| !link.entries.contains("example")), "nobody is named");
}
