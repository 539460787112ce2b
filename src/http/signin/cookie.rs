//! The cookie by which a browser is known while somebody signs in.
//!
//! `__Host-` keeps it to this very host and to TLS; `Lax` brings it along when the provider sends the browser back, and with no form of another
//! site's. It says nothing of anybody, and ends with the sign-in.
//!
//! What a provider of SAML says is brought by a form of its page, with which only a `None` cookie comes along. So there is a second one, for that
//! alone: it holds the handle of one request, and is taken away where the browser lands.
//!
//! Whoever is signed in in the browser itself is known by another one, which they are given when they say yes and not before; it has an end of its
//! own in the ledger.
//!
//! The code that somebody has typed for a device is shown to them again before they say yes. The ledger has only its hash, so meanwhile it is here.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::domain::device::UserCode;

const NAME: &str = "__Host-usher-signin";
const HANDLE: &str = "__Host-usher-saml";
const SESSION: &str = "__Host-usher-session";
const TYPED: &str = "__Host-usher-code";
/// 256 bits in base64url.
const LENGTH: usize = 43;

/// As what this browser is known, if it is one that we have named.
pub(super) fn browser(headers: &HeaderMap) -> Option<&str> {
    value(headers, NAME).filter(|value| is_ours(value))
}

/// The handle of the request from which it comes back, by SAML.
pub(super) fn handle(headers: &HeaderMap) -> Option<&str> {
    value(headers, HANDLE).filter(|value| is_ours(value))
}

/// As what whoever is signed in in it is known.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    value(headers, SESSION).filter(|value| is_ours(value))
}

/// The code that was typed in it.
pub(super) fn code(headers: &HeaderMap) -> Option<UserCode> {
    value(headers, TYPED)?.parse().ok()
}

fn is_ours(value: &str) -> bool {
    value.len() == LENGTH && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    let mut named = all
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='));
    named.next()
}

/// What gives it this name.
pub(super) fn named(browser: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{NAME}={browser}; Path=/; Secure; HttpOnly; SameSite=Lax")).ok()
}

/// What takes the name away.
pub(super) fn forgotten() -> HeaderValue {
    HeaderValue::from_static("__Host-usher-signin=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// What gives it this handle.
pub(super) fn handled(handle: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{HANDLE}={handle}; Path=/; Secure; HttpOnly; SameSite=None")).ok()
}

/// What takes the handle away.
pub(super) fn let_go() -> HeaderValue {
    HeaderValue::from_static("__Host-usher-saml=; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=0")
}

/// What signs somebody in in it.
pub(super) fn signed_in(session: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{SESSION}={session}; Path=/; Secure; HttpOnly; SameSite=Lax")).ok()
}

/// What signs them out.
pub(super) fn signed_out() -> HeaderValue {
    HeaderValue::from_static("__Host-usher-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// What keeps the code that was typed.
pub(super) fn typed(code: &UserCode) -> Option<HeaderValue> {
    let code = code.plain();
    HeaderValue::from_str(&format!("{TYPED}={code}; Path=/; Secure; HttpOnly; SameSite=Lax")).ok()
}

/// What takes it away.
pub(super) fn typed_no_more() -> HeaderValue {
    HeaderValue::from_static("__Host-usher-code=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_known_by_the_name_that_we_gave_it_and_by_no_other_text() {
        let name = "A".repeat(LENGTH);
        let known = |cookie: &str| {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookie).unwrap())]);
            browser(&headers).map(str::to_owned)
        };
        assert_eq!(known(&format!("a=b; {NAME}={name}; c=d")), Some(name.clone()));
        for other in [
            String::new(),
            format!("usher-signin={name}"),
            format!("{NAME}={name}A"),
            format!("{NAME}={}", "<".repeat(LENGTH)),
            format!("{NAME}x={name}"),
        ] {
            assert_eq!(known(&other), None, "{other}");
        }
        assert!(forgotten().to_str().unwrap().starts_with(NAME));
        let set = named(&name).unwrap();
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(set.to_str().unwrap().contains(attribute), "{attribute}");
        }
    }

    #[test]
    fn the_handle_comes_along_with_another_sites_form_and_the_browsers_name_does_not() {
        let handle = "B".repeat(LENGTH);
        let set = handled(&handle).unwrap();
        for attribute in ["__Host-", "Path=/", "Secure", "HttpOnly", "SameSite=None"] {
            assert!(set.to_str().unwrap().contains(attribute), "{attribute}");
        }
        let headers = HeaderMap::from_iter([(header::COOKIE, set)]);
        assert_eq!(super::handle(&headers), Some(handle.as_str()));
        assert_eq!(browser(&headers), None);
        assert!(let_go().to_str().unwrap().starts_with(HANDLE));
        let set = signed_in(&handle).unwrap();
        for attribute in ["__Host-", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(set.to_str().unwrap().contains(attribute), "{attribute}");
        }
        assert!(!set.to_str().unwrap().contains("Max-Age"), "it goes with the browser");
        assert!(signed_out().to_str().unwrap().starts_with(SESSION));
        assert!(named(&handle).unwrap().to_str().unwrap().contains("SameSite=Lax"));
    }
}
