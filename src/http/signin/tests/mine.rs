//! What somebody sees in their own browser, and what they do there.

use super::*;
use crate::{
    domain::{
        chain::State,
        login::{BROWSER_IDLE, BROWSER_LIFE},
    },
    service::sign_in::Errand,
};

const ANN: &str = "email:ann@acme.example";

impl Usher {
    /// What the browser is told that shows this session.
    async fn me(&self, session: &str, path: &str) -> Told {
        let cookie = format!("__Host-usher-session={session}");
        self.ask(Request::get(path).header(header::COOKIE, cookie), String::new()).await
    }

    async fn does(&self, path: &str, session: &str, origin: &str, fields: &[(&str, &str)]) -> Told {
        let request = Request::post(path)
            .header(header::COOKIE, format!("__Host-usher-session={session}"))
            .header(header::ORIGIN, origin)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        self.ask(request, pairs.collect::<Vec<_>>().join("&")).await
    }

    async fn ends(&self, session: &str, origin: &str, form: &str, activation: &str) -> Told {
        self.does("/me/devices", session, origin, &[("form", form), ("activation", activation)]).await
    }
}

/// The session that a browser is given, which shows this one until then.
async fn enters(usher: &Usher, browser: &str, shows: &str) -> (Told, String) {
    usher.0.is_asked_about(browser, Errand::Browser).await;
    let request = Request::post("/signin/continue")
        .header(header::COOKIE, format!("{}; __Host-usher-session={shows}", cookies(browser)))
        .header(header::ORIGIN, ORIGIN)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let told =
        usher.ask(request, format!("form={}&of={}&answer=yes", form_token(browser), Tag::of(browser))).await;
    let set = told.headers.get_all(header::SET_COOKIE).iter().map(|set| set.to_str().unwrap());
    let mut given = set.filter_map(|set| set.strip_prefix("__Host-usher-session=")?.split(';').next());
    let session = given.next().unwrap_or_default().to_owned();
    (told, session)
}

fn is_inside(told: &Told) -> bool {
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    let inside = told.body.contains("<h1>My licenses</h1>");
    assert!(inside || told.body.contains("<h1>Sign in</h1>"), "{}", told.body);
    inside
}

fn number(activation: u8) -> String {
    format!("{activation:032x}")
}

#[tokio::test]
async fn somebody_signs_in_in_their_browser_and_is_given_a_session_of_which_nobody_knew() {
    let usher = Usher::new().await;
    let home = usher.me("", "/").await;
    assert_eq!((home.status, home.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/me"));
    let asked = usher.me("", "/me").await;
    assert!(!is_inside(&asked) && asked.body.contains("Your work e-mail address"));
    let browser = asked.cookie();
    let typed = [("form", &*form_token(&browser)), ("login", "ann@other.example")];
    let mistyped = usher.send("/me", &browser, ORIGIN, &typed).await;
    assert!(mistyped.body.contains("Nobody signs in here with addresses of other.example."));
    assert_eq!(
        usher.send("/me", &browser, "https://evil.example", &typed).await.status,
        StatusCode::FORBIDDEN
    );

    // Whoever put a session into the browser before does not know the one that counts.
    let planted = "P".repeat(43);
    let looks = "L".repeat(43);
    usher.0.is_asked_about(&looks, Errand::Browser).await;
    let consent = usher.consent(&looks).await;
    assert!(consent.body.contains("Continue as Ann Example in this browser?"), "{}", consent.body);
    let (told, session) = enters(&usher, &browser, &planted).await;
    assert_eq!((told.status, told.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/me"));
    assert!(session.len() == 43 && session != planted && session != browser);
    assert!(is_inside(&usher.me(&session, "/me").await));
    for other in [&*planted, &browser, "", &session[1..]] {
        assert!(!is_inside(&usher.me(other, "/me").await), "{other}");
    }
    // Whoever signs in after them in the same browser ends what was there.
    let (_, next) = enters(&usher, &"B".repeat(43), &session).await;
    assert!(!is_inside(&usher.me(&session, "/me").await) && is_inside(&usher.me(&next, "/me").await));
}

#[tokio::test]
async fn a_browser_is_signed_out_after_half_an_hour_and_after_a_working_day() {
    let usher = Usher::new().await;
    let (_, idle) = enters(&usher, &"A".repeat(43), "").await;
    usher.2.turn(BROWSER_IDLE - 1);
    assert!(is_inside(&usher.me(&idle, "/me").await));
    usher.2.turn(BROWSER_IDLE);
    assert!(!is_inside(&usher.me(&idle, "/me").await));
    let (_, used) = enters(&usher, &"A".repeat(43), "").await;
    for _ in 0..BROWSER_LIFE / 1_000 {
        assert!(is_inside(&usher.me(&used, "/me").await));
        usher.2.turn(1_000);
    }
    usher.2.turn(BROWSER_LIFE % 1_000);
    assert!(!is_inside(&usher.me(&used, "/me").await));
}

#[tokio::test]
async fn a_device_is_ended_by_its_holder_on_our_own_page_and_by_nobody_else() {
    let usher = Usher::new().await;
    let scene = &usher.0;
    scene.license("cad", &[ANN, "email:bob@acme.example"], |_| {}).await;
    scene.active("cad", ANN, 1, "Lab 3", "1").await;
    scene.active("cad", "email:bob@acme.example", 2, "Bob's own", "2").await;
    let (_, session) = enters(&usher, &"A".repeat(43), "").await;
    let page = usher.me(&session, "/me").await;
    assert!(page.body.contains("Lab 3") && page.body.contains(&number(1)), "{}", page.body);
    assert!(!page.body.contains("Bob's own") && !page.body.contains(&number(2)));
    let (form, other) = (form_token(&session), "B".repeat(43));
    for (session, origin, token) in [
        (&*session, "https://evil.example", &*form),
        (&session, "null", &form),
        (&session, "", &form),
        (&session, ORIGIN, ""),
        (&session, ORIGIN, &form_token(&other)),
        (&other, ORIGIN, &form),
        ("", ORIGIN, &form),
    ] {
        let ended = usher.ends(session, origin, token, &number(1)).await;
        assert_eq!(ended.status, StatusCode::FORBIDDEN, "{session} {origin} {token}");
        let left = usher.does("/me/sign-out", session, origin, &[("form", token)]).await;
        assert_eq!(left.status, StatusCode::FORBIDDEN, "{session} {origin} {token}");
    }
    // A form that would be good, but nobody is signed in by it.
    let nobody = usher.ends(&other, ORIGIN, &form_token(&other), &number(1)).await;
    assert_eq!((nobody.status, nobody.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/me"));
    let anothers = usher.ends(&session, ORIGIN, &form, &number(2)).await;
    assert_eq!(anothers.header(header::LOCATION), "/me?gone");
    assert!(usher.me(&session, "/me?gone").await.body.contains("This was no device of yours"));
    assert_eq!((scene.state(1).await, scene.state(2).await), (State::Active, State::Active));

    let ended = usher.ends(&session, ORIGIN, &form, &number(1)).await;
    assert_eq!((ended.status, ended.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/me?ended"));
    let page = usher.me(&session, "/me?ended").await;
    assert!(page.body.contains("The device is ended") && !page.body.contains("Lab 3"), "{}", page.body);
    assert!(matches!(scene.state(1).await, State::Ended(_)) && scene.state(2).await == State::Active);
    assert!(
        !usher.me(&session, "/me?%3Cscript%3E").await.body.contains("script"),
        "nothing of the URL is said"
    );
}

#[tokio::test]
async fn a_seat_is_asked_for_on_our_own_page_and_where_none_is_given_that_is_said() {
    let usher = Usher::new().await;
    usher.0.license("named", &[], |_| {}).await;
    usher.0.quiet.opens("open");
    let (_, session) = enters(&usher, &"A".repeat(43), "").await;
    let page = usher.me(&session, "/me").await;
    assert!(
        page.body.contains("You can ask for a seat") && page.body.contains("design/open"),
        "{}",
        page.body
    );
    let form = form_token(&session);
    for (origin, token) in
        [("https://evil.example", &*form), ("", &form), (ORIGIN, ""), (ORIGIN, &form_token("other"))]
    {
        let asked = usher
            .does("/me/licenses", &session, origin, &[("form", token), ("license", "design/named")])
            .await;
        assert_eq!(asked.status, StatusCode::FORBIDDEN, "{origin} {token}");
    }
    let asked =
        usher.does("/me/licenses", &session, ORIGIN, &[("form", &form), ("license", "design/named")]).await;
    assert_eq!((asked.status, asked.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/me?closed"));
    assert!(usher.me(&session, "/me?closed").await.body.contains("gives no seat to whoever asks"));
    let other = "B".repeat(43);
    let nobody = [("form", &*form_token(&other)), ("license", "design/named")];
    assert_eq!(usher.does("/me/licenses", &other, ORIGIN, &nobody).await.header(header::LOCATION), "/me");
}

#[tokio::test]
async fn whoever_signs_out_is_out_and_the_cookie_goes() {
    let usher = Usher::new().await;
    let (_, session) = enters(&usher, &"A".repeat(43), "").await;
    let (_, other) = enters(&usher, &"B".repeat(43), "").await;
    let left = usher.does("/me/sign-out", &session, ORIGIN, &[("form", &form_token(&session))]).await;
    assert!(left.status == StatusCode::OK && left.body.contains("You are signed out"), "{}", left.body);
    assert!(left.header(header::SET_COOKIE).starts_with("__Host-usher-session=;"));
    assert!(!is_inside(&usher.me(&session, "/me").await) && is_inside(&usher.me(&other, "/me").await));
}

#[tokio::test]
async fn whoever_says_no_in_their_browser_is_told_so_and_is_not_inside() {
    let usher = Usher::new().await;
    let browser = "A".repeat(43);
    usher.0.is_asked_about(&browser, Errand::Browser).await;
    let told = usher.answer(&browser, ORIGIN, &form_token(&browser), "no").await;
    assert!(told.status == StatusCode::OK && told.body.contains("You are not signed in"));
    assert!(!is_inside(&usher.me(&browser, "/me").await));
}
