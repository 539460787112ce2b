//! What is somebody's, as they see it.

use axum::response::Html;
use jiff::Timestamp;
use maud::{Markup, html};

use super::page;
use crate::{
    domain::{
        license::{Key, Phase, Validity},
        principal::Principal,
        terms::Terms,
        text::Product,
    },
    service::{
        activations::{Device, Mine, MyDevice, MyLicense, MySession, Place, SHOWN},
        sign_in::ME,
    },
};

/// What is theirs. `token` is that of the forms; `done` is what they have just done.
pub(in crate::http::signin) fn mine(
    who: &Principal,
    mine: &Mine,
    token: &str,
    done: Option<&str>,
) -> Html<String> {
    let has_devices = mine.licenses.iter().any(|license| !license.devices.is_empty());
    page(
        "My licenses",
        &html! {
            @if let Some(done) = done { p class="done" role="status" tabindex="-1" autofocus { (done) } }
            (signed_in(who, token))
            @if mine.licenses.is_empty() { (nothing(who, &mine.open)) }
            @for (number, license) in mine.licenses.iter().enumerate() { (of_license(license, number, token)) }
            @if !mine.open.is_empty() { (open(&mine.open, token)) }
            @if mine.has_more { p { "You have more than the first " (SHOWN) " of each that are shown here." } }
            @if has_devices {
                p class="less" {
                    "Devices are called what programs on them have said. A device that you end must be activated again before it can use the license."
                }
            }
        },
    )
}

fn signed_in(who: &Principal, token: &str) -> Markup {
    let email = who.email.as_ref().ok().map(ToString::to_string);
    let called = if who.name.is_empty() {
        email.as_deref().unwrap_or_else(|| who.subject.as_str())
    } else {
        &who.name
    };
    html! {
        form method="post" action="/me/sign-out" class="beside" {
            input type="hidden" name="form" value=(token);
            p {
                "You are " strong { (called) }
                @if let Some(email) = email.as_deref().filter(|email| *email != called) { ", " (email) }
                "."
            }
            button type="submit" class="other" { "Sign out" }
        }
    }
}

/// Nothing is theirs.
fn nothing(who: &Principal, open: &[(Key, Product)]) -> Markup {
    html! {
        p { "You have no license here." }
        @match &who.email {
            Ok(_) if !open.is_empty() => {},
            Ok(email) => p {
                "Ask whoever looks after licenses in your company, or your platform team, for a seat of " strong { (email) } "."
            },
            Err(why) => p class="wrong" {
                "No seat of an e-mail address can be yours: " (why) ". Ask your platform team."
            },
        }
    }
}

/// Of what they may have a seat.
fn open(licenses: &[(Key, Product)], token: &str) -> Markup {
    html! {
        section aria-labelledby="open" {
            h2 id="open" { "You can ask for a seat" }
            ul role="list" {
                @for (key, product) in licenses {
                    li {
                        form method="post" action="/me/licenses" class="beside" {
                            input type="hidden" name="form" value=(token);
                            input type="hidden" name="license" value=(key);
                            p { strong { (product) } " " span class="less" { (key) } }
                            button type="submit" class="other" aria-label={ "Ask for a seat of " (product) ", " (key) } { "Ask for a seat" }
                        }
                    }
                }
            }
            p class="less" { "If none is free, you wait in the queue. You give it up by not signing in for a while." }
        }
    }
}

fn of_license(license: &MyLicense, number: usize, token: &str) -> Markup {
    let heading = format!("license-{number}");
    let terms = license.contract.as_ref().map(|contract| &contract.license.terms);
    html! {
        section aria-labelledby=(heading) {
            h2 id=(heading) {
                @if let Some(product) = license.product() { (product) " " }
                span class="less" { (license.key) }
            }
            p { (standing(license)) }
            @if license.place == Place::Seat || !license.devices.is_empty() {
                (devices(&license.devices, terms.and_then(|terms| terms.devices_per_seat), token))
                (sessions(&license.sessions, terms))
            }
        }
    }
}

/// How they stand, in a sentence or two.
fn standing(license: &MyLicense) -> Markup {
    let validity = license.contract.as_ref().map_or_else(Validity::default, |it| it.license.validity);
    match (license.place, license.phase) {
        (Place::Anothers, _) => html! {
            "The seat of your address is somebody's who had the address before you. Ask your platform team to decide whose it is."
        },
        (Place::Waits(_), Phase::Expired) => html! { "This license has ended. Nobody is given a seat." },
        (Place::Waits(_), Phase::Suspended) => html! {
            "You wait for a seat. The license is suspended, and nobody is given one meanwhile."
        },
        (Place::Waits(position), _) => html! {
            "You wait for a seat"
            @if let Some(position) = position { ", " strong { "at place " (position) } }
            ". You are given one as soon as it is your turn; ask whoever looks after licenses in your company if it takes too long."
        },
        (Place::Rests, _) => {
            html! { "Your seat rests: it grants nothing until your platform team lets it go on." }
        }
        (Place::Seat, Phase::Suspended) => {
            html! { "You have a seat. The license is suspended, and grants nothing meanwhile." }
        }
        (Place::Seat, Phase::Expired) => html! {
            "This license ended" @if let Some(until) = validity.until { " on " (moment(until)) } ". Your seat grants nothing any more."
        },
        (Place::Seat, Phase::Overdue) => html! {
            "You have a seat. This license was to end" @if let Some(until) = validity.until { " on " (moment(until)) } ", and goes on for now."
        },
        (Place::Seat, Phase::NotYetValid) => html! {
            "You have a seat" @if let Some(from) = validity.from { ", from " (moment(from)) " on" } "."
        },
        (Place::Seat, Phase::Active) => html! {
            "You have a seat" @if let Some(until) = validity.until { ", until " (moment(until)) } "."
        },
    }
}

fn devices(devices: &[MyDevice], most: Option<u32>, token: &str) -> Markup {
    html! {
        h3 { "Devices" (of(devices.len(), most)) }
        @if devices.is_empty() { p class="less" { "It is active on no device." } } @else {
            ul role="list" {
                @for device in devices {
                    li {
                        form method="post" action="/me/devices" class="beside" {
                            input type="hidden" name="form" value=(token);
                            input type="hidden" name="activation" value=(device.id);
                            p {
                                (name(&device.device)) br;
                                span class="less" { "since " (moment(device.since)) br; "last heard of " (moment(device.heard_at)) }
                            }
                            button type="submit" class="other" aria-label={ "End this one: " (called(&device.device)) } { "End this one" }
                        }
                    }
                }
            }
        }
    }
}

fn sessions(sessions: &[MySession], terms: Option<&Terms>) -> Markup {
    let most = terms.and_then(|terms| terms.sessions.per_user);
    html! {
        @if most.is_some() || !sessions.is_empty() {
            h3 { "In use now" (of(sessions.len(), most)) }
            @if sessions.is_empty() { p class="less" { "No session is open." } } @else {
                ul role="list" {
                    @for session in sessions {
                        li { (name(&session.device)) br; span class="less" { "since " (moment(session.since)) } }
                    }
                }
            }
        }
    }
}

/// How many there are, of how many there may be.
fn of(there: usize, most: Option<u32>) -> Markup {
    html! {
        @match most {
            Some(most) => { ": " (there) " of " (most) },
            None if there > 0 => { ": " (there) },
            None => {},
        }
    }
}

/// What a device is called, as programs on it have said.
fn called(device: &Device) -> String {
    let name = device.name.as_ref().or(device.hostname.as_ref());
    name.map_or_else(|| format!("a device without a name ({})", device.id), ToString::to_string)
}

fn name(device: &Device) -> Markup {
    html! { strong { (called(device)) } }
}

fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at.strftime("%-d %B %Y, %H:%M UTC")) } }
}

/// They have signed out.
pub(in crate::http::signin) fn left() -> Html<String> {
    page(
        "You are signed out",
        &html! {
            p role="status" { "Nobody is signed in at Usher in this browser any more. At your company's own sign-in you may still be." }
            p { a href=(ME) { "Sign in again" } }
        },
    )
}

#[cfg(test)]
pub(in crate::http::signin) mod tests;
