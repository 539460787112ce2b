//! The cookies by which a browser is known while somebody signs in.
//!
//! `__Host-` keeps each to this very host and to TLS; `Lax` brings it along when the provider sends the browser back, and with no form of another
//! site's. None says anything of anybody.
//!
//! Whoever is signed in in the browser itself is known by another one, which they are given when they say yes and not before; it has an end of its
//! own in the ledger.
//!
//! The browser's own name is for the forms of its pages, and for what it goes away with. All else is of one sign-in, so that those in several tabs do
//! not end each other: see [`Kind`]. There are few at once, and each ends with its sign-in, or by itself.

use std::{fmt, str::FromStr};

use axum::http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;

use crate::domain::{self, device::UserCode, login::PATIENCE};

const NAME: &str = "__Host-usher-signin";
const SESSION: &str = "__Host-usher-session";
/// 256 bits in base64url.
const LENGTH: usize = 43;
/// So many sign-ins of one browser are under way at once. With one more, the oldest is not.
const AT_ONCE: usize = 4;

/// What there is of one sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Under what somebody is asked whether a program may go on as them: it was drawn after they had come back.
    Asked,
    /// The handle of one request by SAML. What a provider says is brought by a form of its page, with which only a `None` cookie comes along: this
    /// one, which is good for nothing else, and is taken away where the browser lands.
    Handle,
    /// The code that somebody has typed for a device. It is shown to them again before they say yes, and the ledger has only its hash.
    Code,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Asked => "__Host-usher-asked-",
            Self::Handle => "__Host-usher-saml-",
            Self::Code => "__Host-usher-code-",
        }
    }

    const fn same_site(self) -> &'static str {
        match self {
            Self::Handle => "None",
            Self::Asked | Self::Code => "Lax",
        }
    }
}

/// Tells the cookies of one sign-in from those of another: a short hash of what comes back with it. It opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Tag(String);

/// It is no tag.
#[derive(Debug, thiserror::Error)]
#[error("must be eight hexadecimal digits")]
pub(super) struct NoTag;

impl Tag {
    pub(super) fn of(text: &str) -> Self {
        Self(domain::hex(&domain::digest(["tag", text])).chars().take(8).collect())
    }
}

impl FromStr for Tag {
    type Err = NoTag;

    fn from_str(text: &str) -> Result<Self, NoTag> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 8 && text.bytes().all(is_hex) { Ok(Self(text.to_owned())) } else { Err(NoTag) }
    }
}

impl TryFrom<String> for Tag {
    type Error = NoTag;

    fn try_from(text: String) -> Result<Self, NoTag> {
        text.parse()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As what this browser is known, if it is one that we have named.
pub(super) fn browser(headers: &HeaderMap) -> Option<&str> {
    called(headers, NAME)
}

/// Under what somebody is asked, in this sign-in.
pub(super) fn asked<'h>(headers: &'h HeaderMap, of: &Tag) -> Option<&'h str> {
    value(headers, Kind::Asked, of).filter(|value| is_ours(value))
}

/// The handle of the request from which it comes back, by SAML.
pub(super) fn handle<'h>(headers: &'h HeaderMap, of: &Tag) -> Option<&'h str> {
    value(headers, Kind::Handle, of).filter(|value| is_ours(value))
}

/// As what whoever is signed in in it is known.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    called(headers, SESSION)
}

/// The codes that were typed in it.
pub(super) fn codes(headers: &HeaderMap) -> impl Iterator<Item = UserCode> {
    all_of(headers, Kind::Code).filter_map(|(_, value)| value.parse().ok())
}

fn is_ours(value: &str) -> bool {
    value.len() == LENGTH && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn called<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = all(headers).filter_map(|(found, value)| (found == name).then_some(value));
    values.next().filter(|value| is_ours(value))
}

/// All that the browser brings along: the oldest first (RFC 6265, section 5.4).
fn all(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    lines.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='))
}

fn all_of(headers: &HeaderMap, kind: Kind) -> impl Iterator<Item = (Tag, &str)> {
    all(headers)
        .filter_map(move |(name, value)| Some((name.strip_prefix(kind.prefix())?.parse().ok()?, value)))
}

fn value<'h>(headers: &'h HeaderMap, kind: Kind, of: &Tag) -> Option<&'h str> {
    all_of(headers, kind).find_map(|(tag, value)| (tag == *of).then_some(value))
}

/// What gives it this name.
pub(super) fn named(browser: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{NAME}={browser}; Path=/; Secure; HttpOnly; SameSite=Lax")).ok()
}

/// Keeps `value` of this sign-in, beside those that the browser has brought along.
pub(super) fn keep(told: &mut HeaderMap, brought: &HeaderMap, kind: Kind, of: &Tag, value: &str) {
    let others: Vec<Tag> = all_of(brought, kind).filter_map(|(tag, _)| (tag != *of).then_some(tag)).collect();
    for oldest in others.iter().take((others.len() + 1).saturating_sub(AT_ONCE)) {
        forget(told, kind, oldest);
    }
    set(told, kind, of, value, PATIENCE);
}

/// Takes it away.
pub(super) fn forget(told: &mut HeaderMap, kind: Kind, of: &Tag) {
    set(told, kind, of, "", 0);
}

/// What signs somebody in in it.
pub(super) fn signed_in(session: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{SESSION}={session}; Path=/; Secure; HttpOnly; SameSite=Lax")).ok()
}

/// What signs them out.
pub(super) fn signed_out() -> HeaderValue {
    HeaderValue::from_static("__Host-usher-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

fn set(told: &mut HeaderMap, kind: Kind, of: &Tag, value: &str, seconds: i64) {
    let (prefix, same_site) = (kind.prefix(), kind.same_site());
    let cookie =
        format!("{prefix}{of}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={seconds}");
    // A value that is none is kept by nobody.
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        told.append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bringing(cookies: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(cookies).unwrap())])
    }

    /// What is told to a browser that brings this along, when `value` of the sign-in `of` is kept.
    fn told(brought: &HeaderMap, kind: Kind, of: &str, value: &str) -> Vec<String> {
        let mut told = HeaderMap::new();
        keep(&mut told, brought, kind, &Tag::of(of), value);
        told.get_all(header::SET_COOKIE).iter().map(|set| set.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_browser_is_known_by_the_name_that_we_gave_it_and_by_no_other_text() {
        let name = "A".repeat(LENGTH);
        let known = |cookie: &str| browser(&bringing(cookie)).map(str::to_owned);
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
        let set = named(&name).unwrap();
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(set.to_str().unwrap().contains(attribute), "{attribute}");
        }
    }

    #[test]
    fn the_handle_comes_along_with_another_sites_form_and_the_browsers_name_does_not() {
        let value = "B".repeat(LENGTH);
        let [set] = &told(&HeaderMap::new(), Kind::Handle, "relay", &value)[..] else { panic!() };
        for attribute in ["__Host-", "Path=/", "Secure", "HttpOnly", "SameSite=None", "Max-Age=600"] {
            assert!(set.contains(attribute), "{attribute}");
        }
        let headers = bringing(set);
        assert_eq!(handle(&headers, &Tag::of("relay")), Some(value.as_str()));
        assert_eq!(handle(&headers, &Tag::of("other")), None, "it is of one request");
        assert_eq!((browser(&headers), asked(&headers, &Tag::of("relay"))), (None, None));
        assert!(named(&value).unwrap().to_str().unwrap().contains("SameSite=Lax"));
        assert!(told(&HeaderMap::new(), Kind::Asked, "a", &value)[0].contains("SameSite=Lax"));
    }

    #[test]
    fn of_one_browser_four_sign_ins_are_under_way_and_the_oldest_goes() {
        let of = |n: usize| format!("{}{}={n}", Kind::Handle.prefix(), Tag::of(&n.to_string()));
        let brought = |count: usize| {
            let own: Vec<String> = (0..count).map(of).collect();
            // What is of another kind, or nobody's, takes no place.
            bringing(&format!("__Host-usher-asked-00000000=a; __Host-usher-saml-x=a; {}", own.join("; ")))
        };
        let gone = |count, of: &str| {
            let told = told(&brought(count), Kind::Handle, of, "new");
            assert!(told.last().unwrap().contains("=new; "), "{told:?}");
            told[..told.len() - 1]
                .iter()
                .inspect(|set| assert!(set.ends_with("Max-Age=0"), "{set}"))
                .map(|set| set.split('=').next().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let name = |n: usize| of(n).split('=').next().unwrap().to_owned();
        assert_eq!(gone(3, "new"), [""; 0]);
        assert_eq!(gone(4, "new"), [name(0)]);
        assert_eq!(gone(6, "new"), [name(0), name(1), name(2)]);
        assert_eq!(gone(4, "3"), [""; 0], "it has its place already");
    }

    #[test]
    fn nothing_but_a_tag_is_put_into_the_name_of_a_cookie() {
        assert_eq!(Tag::of("a").to_string().parse::<Tag>().unwrap(), Tag::of("a"));
        for other in ["", "0123456", "012345678", "0123456G", "a=b; c=d", "0123456;"] {
            assert!(other.parse::<Tag>().is_err(), "{other}");
        }
    }

    #[test]
    fn whoever_is_signed_in_in_the_browser_itself_is_known_by_a_cookie_that_goes_with_it() {
        let set = signed_in(&"B".repeat(LENGTH)).unwrap();
        for attribute in ["__Host-", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(set.to_str().unwrap().contains(attribute), "{attribute}");
        }
        assert!(!set.to_str().unwrap().contains("Max-Age"), "it goes with the browser");
        assert!(signed_out().to_str().unwrap().starts_with(SESSION));
    }
}
