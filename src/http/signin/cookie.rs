//! The cookie by which a browser is known while somebody signs in.
//!
//! `__Host-` keeps it to this very host and to TLS; `Lax` brings it along when the provider sends the browser back, and with no form of another
//! site's. It says nothing of anybody, and ends with the sign-in.

use axum::http::{HeaderMap, HeaderValue, header};

const NAME: &str = "__Host-usher-signin";
/// 256 bits in base64url.
const LENGTH: usize = 43;

/// As what this browser is known, if it is one that we have named.
pub(super) fn browser(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    let mut named = all
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().strip_prefix(NAME)?.strip_prefix('='));
    let is_ours = |value: &&str| {
        value.len() == LENGTH
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    named.next().filter(is_ours)
}

/// What gives it this name.
pub(super) fn named(browser: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{NAME}={browser}; Path=/; Secure; HttpOnly; SameSite=Lax")).ok()
}

/// What takes the name away.
pub(super) fn forgotten() -> HeaderValue {
    HeaderValue::from_static("__Host-usher-signin=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
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
}
