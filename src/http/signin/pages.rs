//! The pages. Whatever is put into one is text: maud escapes it.

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use maud::{Markup, html};

use crate::{
    domain::authorization::Unverified,
    http::page,
    service::sign_in::{Consent, Why},
};

pub(super) async fn style() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, include_str!("style.css"))
}

fn page(title: &str, content: &Markup) -> Html<String> {
    let body = html! { main { h1 { (title) } (content) } };
    Html(page::page(&format!("{title} · Usher"), "/signin/style.css", &body).into_string())
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
                label for="login" { "Your work e-mail address, or its domain" }
                input id="login" name="login" type="text" inputmode="email" autocomplete="email" autocapitalize="none"
                    spellcheck="false" maxlength="254" required autofocus value=(typed)
                    aria-describedby="hint" aria-invalid=[why.map(|_| "true")];
                @if let Some(why) = why {
                    p id="hint" class="wrong" role="alert" { (why) " " (why.next()) }
                } @else {
                    p id="hint" { "Your company's own sign-in takes over. Usher never sees your password." }
                }
                button type="submit" { "Continue" }
            }
        },
    )
}

/// Is it them, and is it their program?
pub(super) fn consent(consent: &Consent, token: &str) -> Html<String> {
    let device = consent.authorization.device.as_ref().map(ToString::to_string);
    let where_to = device.map_or_else(|| "on this machine".to_owned(), |device| format!("on {device}"));
    page(
        &format!("Continue as {} {where_to}?", consent.called),
        &html! {
            @if let Some(email) = &consent.email {
                p { "You have signed in as " strong { (email) } "." }
            } @else if let Some(why) = consent.why_no_email {
                p class="wrong" { "No seat of an e-mail address can be yours: " (why) "." }
            }
            p { "A program on this machine has asked for it. Go on only if you have just begun to sign in there yourself." }
            form method="post" action="/signin/continue" {
                input type="hidden" name="form" value=(token);
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
    page(
        "You are not signed in",
        &html! {
            p role="alert" { (why) }
            p { (next) }
        },
    )
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
        for page in [ask(&asked, "t", hostile, Some(&Why::NoAddress)), refused(hostile, hostile)] {
            assert!(!page.0.contains("<script") && page.0.contains("&lt;script"), "{}", page.0);
        }
        let response = go_on("https://idp.acme.example/?a=b&c=d", hostile);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::REFRESH], "0; url=https://idp.acme.example/?a=b&c=d");
    }

    #[test]
    fn no_page_brings_a_style_or_a_script_or_anything_from_elsewhere() {
        let page = ask(&Unverified::default(), "t", "", None).0;
        for inline in [" style=", "<style", "<script", "http://", "https://", "onclick", "<img"] {
            assert!(!page.contains(inline), "{inline}");
        }
        assert!(page.contains("/signin/style.css") && page.contains("lang=\"en\""));
        let style = include_str!("style.css");
        assert!(!style.contains("url(") && !style.contains("@import"));
    }
}
