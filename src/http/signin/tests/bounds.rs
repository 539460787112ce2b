//! What strangers may cost.

use super::*;

#[tokio::test]
async fn one_network_is_held_up_however_many_addresses_it_has_and_sooner_where_it_leaves_something_behind() {
    let usher = Usher::new().await;
    let asked = async |request: request::Builder, address: String| {
        let peer = ConnectInfo(SocketAddr::new(address.parse().unwrap(), 443));
        usher.ask(request.extension(peer), String::new()).await.status
    };
    let styled = async |address| asked(Request::get("/signin/style.css"), address).await;
    for n in 0..PACE.at_once {
        assert_eq!(styled(format!("2001:db8::{n:x}")).await, StatusCode::OK, "{n}");
    }
    assert_eq!(styled("2001:db8::ffff:1".into()).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(styled("2001:db8:0:1::1".into()).await, StatusCode::OK, "another network");

    let departs = async |address: &str| asked(Request::post("/signin"), address.into()).await;
    for _ in 0..DEPARTURES.at_once {
        assert_eq!(departs("192.0.2.1").await, StatusCode::FORBIDDEN, "no form of ours, and let in");
    }
    usher.2.turn(5);
    for _ in 0..5 * DEPARTURES.a_second {
        assert_eq!(departs("192.0.2.1").await, StatusCode::FORBIDDEN);
    }
    assert_eq!(departs("192.0.2.1").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(styled("192.0.2.1".into()).await, StatusCode::OK, "whoever only looks is let in");
    assert_eq!(departs("192.0.2.2").await, StatusCode::FORBIDDEN);
}

/// A form that begins and never ends.
fn endless() -> Body {
    let begun = futures::stream::iter([Ok::<_, std::io::Error>("SAMLResponse=")]);
    Body::from_stream(futures::StreamExt::chain(begun, futures::stream::pending()))
}

#[tokio::test]
async fn a_form_that_does_not_come_to_its_end_is_not_waited_for() {
    let scene = Scene::new().await;
    let bounds = Bounds { form: Duration::from_millis(1), ..Bounds::default() };
    let router =
        router_within::<Sqlite>(bounds, scene.sign_in.clone(), scene.runtime(), Arc::new(Hand::default()));
    for path in [
        "/signin",
        "/device",
        "/signin/saml",
        "/signin/continue",
        "/me",
        "/me/devices",
        "/me/sign-out",
        "/oauth2/token",
        "/oauth2/revoke",
        "/oauth2/device_authorization",
    ] {
        let told = router.clone().oneshot(Request::post(path).body(endless()).unwrap()).await.unwrap();
        assert_eq!(told.status(), StatusCode::REQUEST_TIMEOUT, "{path}");
        let whole = Request::post(path).body(Body::from("SAMLResponse=")).unwrap();
        let told = router.clone().oneshot(whole).await.unwrap();
        assert!(!told.status().is_server_error() && told.status() != StatusCode::REQUEST_TIMEOUT, "{path}");
    }
    let large = Request::post("/signin/saml").body(Body::from(vec![b'a'; LARGEST_RESPONSE + 1])).unwrap();
    let told = router.oneshot(large).await.unwrap();
    assert_eq!(told.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn so_many_forms_are_under_way_and_one_network_has_a_part_of_them() {
    let scene = Scene::new().await;
    let bounds = Bounds { under_way: 2, of_network: 1, ..Bounds::default() };
    let router =
        router_within::<Sqlite>(bounds, scene.sign_in.clone(), scene.runtime(), Arc::new(Hand::default()));
    let asked = |address: &str, body: Body| {
        let peer = ConnectInfo(SocketAddr::new(address.parse().unwrap(), 443));
        Box::pin(router.clone().oneshot(Request::post("/signin").extension(peer).body(body).unwrap()))
    };
    let mut first = asked("192.0.2.1", endless());
    let mut second = asked("192.0.2.1", Body::empty());
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none(), "it waits for the first one");
    let other = asked("192.0.2.2", Body::empty()).await.unwrap();
    assert_eq!(other.status(), StatusCode::FORBIDDEN, "and nobody else does");
    let mut third = asked("192.0.2.3", endless());
    assert!((&mut third).now_or_never().is_none());
    let other = asked("192.0.2.2", Body::empty()).await.unwrap();
    assert_eq!(other.status(), StatusCode::SERVICE_UNAVAILABLE, "two are under way");
    drop((first, third));
    assert_eq!(second.await.unwrap().status(), StatusCode::FORBIDDEN);
}
