//! The pages. Whatever is put into one is text: maud escapes it.

mod mine;

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::cookie::Tag;
use crate::{
    domain::{authorization::Unverified, device::UserCode, text::DeviceName},
    http::page,
    service::sign_in::{Claims, Consent, Errand, ME, Why},
};

pub(super) use mine::{left, mine};

pub(super) async fn style() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, include_str!("style.css"))
}

fn page(title: &str, content: &Markup) -> Html<String> {
    let body = html! { main { h1 { (title) } (content) } };
    Html(page::page(&format!("{title} · Usher"), "/signin/style.css", &body).into_string())
}

/// Who signs in in this browser? `token` is the form's.
pub(super) fn enter(token: &str, typed: &str, why: Option<&Why>) -> Html<String> {
    page(
        "Sign in",
        &html! {
            p { "Here you see your licenses, and where they are in use." }
            form method="post" action=(ME) {
                input type="hidden" name="form" value=(token);
                (address(typed, why, true))
                button type="submit" { "Continue" }
            }
        },
    )
}

/// Who signs in? `token` is the form's.
pub(super) fn ask(asked: &Unverified, token: &str, typed: &str, why: Option<&Why>) -> Html<String> {
    let hidden = [
        ("form", token),
        ("response_type", &asked.response_type),
        ("client_id", &asked.client_id),
        ("redirect_uri", &asked.redirect_uri),
        ("state", &asked.state),
        ("code_challenge", &asked.code_challenge),
        ("code_challenge_method", &asked.code_challenge_method),
        ("device_name", &asked.device_name),
    ];
    page(
        "Sign in",
        &html! {
            form method="post" action="/signin" {
                @for (name, value) in hidden { input type="hidden" name=(name) value=(value); }
                (address(typed, why, true))
                button type="submit" { "Continue" }
            }
        },
    )
}

/// Their address, and what is wrong with it.
fn address(typed: &str, why: Option<&Why>, is_first: bool) -> Markup {
    html! {
        label for="login" { "Your work e-mail address, or its domain" }
        input id="login" name="login" type="text" inputmode="email" autocomplete="email" autocapitalize="none"
            spellcheck="false" maxlength="254" required autofocus[is_first] value=(typed)
            aria-describedby="hint" aria-invalid=[why.map(|_| "true")];
        @if let Some(why) = why {
            p id="hint" class="wrong" role="alert" { (why) " " (why.next()) }
        } @else {
            p id="hint" { "Your company's own sign-in takes over. Usher never sees your password." }
        }
    }
}

/// Which device, and who signs in for it? `token` is the form's.
pub(super) fn device(token: &str, code: &str, login: &str, why: Option<&Why>) -> Html<String> {
    let (of_code, of_address) = match why {
        Some(Why::NoCode | Why::UnknownCode | Why::TooOften) => (why, None),
        _ => (None, why),
    };
    page(
        "Sign in for a device",
        &html! {
            form method="post" action="/device" {
                input type="hidden" name="form" value=(token);
                label for="code" { "The code that your device shows" }
                input id="code" class="code" name="code" type="text" autocomplete="off" autocapitalize="characters" spellcheck="false"
                    maxlength="32" placeholder="XXXX-XXXX" required autofocus[of_address.is_none()] value=(code)
                    aria-describedby="code-hint" aria-invalid=[of_code.map(|_| "true")];
                @if let Some(why) = of_code {
                    p id="code-hint" class="wrong" role="alert" { (why) " " (why.next()) }
                } @else {
                    p id="code-hint" {
                        "Only a code from a device in front of you. Whoever has sent you one, in a message or a call, wants to sign in as you."
                    }
                }
                (address(login, of_address, of_address.is_some()))
                button type="submit" { "Continue" }
            }
        },
    )
}

/// A program on the machine of this browser asks.
pub(super) fn of_program() -> Markup {
    html! {
        p { "A program on this machine has asked for it. Go on only if you have just begun to sign in there yourself." }
    }
}

/// The browser itself asks.
pub(super) fn of_browser() -> Markup {
    html! {
        p { "You see your licenses here. You are signed out after half an hour without use." }
    }
}

/// They said no.
pub(super) fn not_here() -> Html<String> {
    page("You are not signed in", &html! { p { "You can close this page." } })
}

/// A device elsewhere asks: `code` was typed, in a browser at `here`.
pub(super) fn of_device(code: &UserCode, claims: &Claims, here: &str, now: Timestamp) -> Markup {
    let name = claims.name.as_ref().map_or("nothing", DeviceName::as_str);
    let minutes = now.duration_since(claims.since).as_mins();
    html! {
        p { "A device asks for it. Nobody has proven what it says of itself:" }
        dl {
            dt { "It shows the code" } dd class="code" { (code) }
            dt { "It calls itself" } dd { (name) }
            dt { "It asks from" }
            dd {
                (claims.address)
                @if claims.address == here { " (this browser, too)" } @else { " (this browser: " (here) ")" }
            }
            dt { "It asked" }
            dd {
                @match minutes {
                    ..1 => "less than a minute ago",
                    1 => "1 minute ago",
                    more => { (more) " minutes ago" }
                }
            }
        }
        p {
            "Go on only if you see this very code on a device in front of you, and have just begun to sign in there yourself. "
            "If somebody has sent you the code, say no: they would go on as you."
        }
    }
}

/// A device fetches what they have said.
pub(super) fn answered(name: Option<&DeviceName>, is_yes: bool) -> Html<String> {
    let name = name.map_or("The device", DeviceName::as_str);
    if is_yes {
        let next = html! { p { (name) " goes on in a few seconds. You can close this page." } };
        page("You are signed in", &next)
    } else {
        let next = html! {
            p { (name) " is told so. You can close this page." }
            p { "If somebody else has sent you the code, tell your platform team." }
        };
        page("You are not signed in", &next)
    }
}

/// Is it them, and is it theirs, of which this is to be said?
pub(super) fn consent(consent: &Consent, about: &Markup, token: &str, of: &Tag) -> Html<String> {
    let where_to = match (consent.errand.device_name(), &consent.errand) {
        (Some(device), _) => format!("on {device}"),
        (None, Errand::Program(_)) => "on this machine".to_owned(),
        (None, Errand::Device(_)) => "on a device".to_owned(),
        (None, Errand::Browser) => "in this browser".to_owned(),
    };
    page(
        &format!("Continue as {} {where_to}?", consent.called),
        &html! {
            @if let Some(email) = &consent.email {
                p { "You have signed in as " strong { (email) } "." }
            } @else if let Some(why) = consent.why_no_email {
                p class="wrong" { "No seat of an e-mail address can be yours: " (why) "." }
            }
            (about)
            form method="post" action="/signin/continue" {
                input type="hidden" name="form" value=(token);
                input type="hidden" name="of" value=(of.to_string());
                button type="submit" name="answer" value="yes" { "Continue as " (consent.called) }
                button type="submit" name="answer" value="no" class="other" { "No, stop" }
            }
        },
    )
}

/// Somewhere else they are expected.
pub(super) fn go_on(url: &str, said: &str) -> Response {
    let mut page = page(
        "One moment",
        &html! {
            p { (said) }
            p { a href=(url) { "Go on" } " if nothing happens." }
        },
    )
    .into_response();
    if let Ok(refresh) = HeaderValue::from_str(&format!("0; url={url}")) {
        page.headers_mut().insert(header::REFRESH, refresh);
    }
    page
}

/// It does not go, and what to do.
pub(super) fn refused(why: &str, next: &str) -> Html<String> {
    alert("You are not signed in", why, next)
}

fn alert(title: &str, why: &str, next: &str) -> Html<String> {
    page(
        title,
        &html! {
            p role="alert" { (why) }
            p { (next) }
        },
    )
}

/// Nobody can be answered.
pub(super) fn away() -> Html<String> {
    let next = "Try again in a minute. If it stays so, tell your platform team.";
    alert("Usher cannot answer", "Usher cannot answer at this moment.", next)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn whatever_is_put_into_a_page_is_text() {
        let hostile = "\"><script>alert(1)</script>";
        let asked =
            Unverified { state: hostile.into(), device_name: hostile.into(), ..Unverified::default() };
        for page in [
            ask(&asked, "t", hostile, Some(&Why::NoAddress)),
            device("t", hostile, hostile, Some(&Why::NoCode)),
            refused(hostile, hostile),
            enter("t", hostile, Some(&Why::NoAddress)),
        ] {
            assert!(!page.0.contains("<script") && page.0.contains("&lt;script"), "{}", page.0);
        }
        let response = go_on("https://idp.acme.example/?a=b&c=d", hostile);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::REFRESH], "0; url=https://idp.acme.example/?a=b&c=d");
    }

    #[test]
    fn no_page_brings_a_style_or_a_script_or_anything_from_elsewhere() {
        let page = ask(&Unverified::default(), "t", "", None).0
            + &device("t", "", "", None).0
            + &enter("t", "", None).0
            + &mine::tests::all();
        for inline in [" style=", "<style", "<script", "http://", "https://", "onclick", "<img"] {
            assert!(!page.contains(inline), "{inline}");
        }
        assert!(page.contains("/signin/style.css") && page.contains("lang=\"en\""));
        let style = include_str!("style.css");
        assert!(!style.contains("url(") && !style.contains("@import"));
    }
}
