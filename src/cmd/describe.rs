//! What a document says, in words for people. Pure: the time is an argument.
//!
//! Whoever wrote the document chose its texts, so they are escaped before they reach a terminal.

use anstyle::{AnsiColor, Style};
use usher_license::{Claims, Feature, Holder, Limits, State, User};

use crate::cmd;

pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The mean year of the Gregorian calendar.
const YEAR: u64 = 31_556_952;

pub(super) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// One line of what is known: a label, and what is to be said.
pub(super) type Row = (&'static str, String);

/// The rows below one another, their texts in one column.
pub(super) fn columns(rows: &[Row]) -> String {
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    rows.iter().map(|(label, text)| format!("  {FAINT}{label:width$}{FAINT:#}  {text}\n")).collect()
}

/// `seat/design/cy may use cad`, or why it may not.
pub(super) fn headline(claims: &Claims) -> String {
    let (sub, aud) = (printable(&claims.sub), printable(&claims.aud));
    match claims.state {
        State::Active => format!("{sub} may use {aud}"),
        State::Suspended => format!("{sub} may not use {aud}: the license is suspended"),
        State::Expired => format!("{sub} may not use {aud}: the license has expired"),
    }
}

/// Who may use what until when, and by whom it is signed.
pub(super) fn essentials(claims: &Claims, kid: &str, now: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(claims.holder.as_ref().map(|by| ("holder", holder(by))));
    rows.extend(claims.device.as_ref().map(|on| ("device", format!("{}, and no other", printable(&on.id)))));
    rows.push(("features", features(&claims.features)));
    rows.push(("until", until(claims, now)));
    rows.push(("issuer", printable(&claims.iss)));
    rows.push(("key", printable(kid)));
    rows
}

/// The same and the rest.
pub(super) fn everything(claims: &Claims, kid: &str, now: u64) -> Vec<Row> {
    let of = &claims.license;
    let edition =
        of.edition.as_ref().map_or_else(String::new, |edition| format!(", {} edition", printable(edition)));
    let license = format!("{}/{}{edition}", printable(&of.namespace), printable(&of.name));
    let mut rows = vec![
        ("license", license),
        ("customer", printable(&of.customer)),
        ("product", printable(&claims.aud)),
        ("state", state(claims, now)),
    ];
    rows.extend(essentials(claims, kid, now));
    rows.push(("limits", limits(&claims.limits)));
    rows.push(("begins", instant(claims.nbf, now)));
    rows.push(("renewal", instant(claims.lease.renew_at, now)));
    rows.push(("issued", instant(claims.iat, now)));
    rows.push(("serial", printable(&claims.jti)));
    rows.extend(claims.activation.as_ref().map(|id| ("activation", printable(id))));
    rows
}

fn until(claims: &Claims, now: u64) -> String {
    let renewed = claims.lease.until;
    let overdue = if renewed <= now { styled(DOUBTFUL, ", overdue") } else { String::new() };
    format!("{}, renew by {}{overdue}", instant(claims.exp, now), instant(renewed, now))
}

fn state(claims: &Claims, now: u64) -> String {
    match claims.state {
        State::Suspended => styled(BAD, "suspended"),
        State::Expired => styled(BAD, "expired"),
        State::Active if claims.exp <= now => styled(BAD, "active, but this document is over"),
        State::Active if now < claims.nbf => styled(DOUBTFUL, "active, but not yet"),
        State::Active => styled(GOOD, "active"),
    }
}

fn holder(holder: &Holder) -> String {
    match holder {
        Holder::User(User::Email { email }) => printable(email),
        Holder::User(User::Identity { issuer, subject }) => {
            format!("{} at {}", printable(subject), printable(issuer))
        }
        Holder::Device(device) => match &device.name {
            Some(name) => format!("device {} ({})", printable(name), printable(&device.id)),
            None => format!("device {}", printable(&device.id)),
        },
    }
}

fn features(features: &[Feature]) -> String {
    let one = |feature: &Feature| {
        let pool = feature.pool.map(|pool| format!("{pool} at once"));
        let quota =
            feature.quota.as_ref().map(|quota| format!("{} per {}", quota.limit, printable(&quota.per)));
        let limits: Vec<String> = pool.into_iter().chain(quota).collect();
        let name = printable(&feature.name);
        if limits.is_empty() { name } else { format!("{name} ({})", limits.join(", ")) }
    };
    listed(features.iter().map(one), "none")
}

fn limits(limits: &Limits) -> String {
    let Limits { seats, devices_per_seat, sessions_per_user } = limits;
    let all = [
        (seats, "seat", "seats"),
        (devices_per_seat, "device per seat", "devices per seat"),
        (sessions_per_user, "session per user", "sessions per user"),
    ];
    let said = all.into_iter().filter_map(|(limit, one, many)| match limit {
        Some(1) => Some(format!("1 {one}")),
        Some(limit) => Some(format!("{limit} {many}")),
        None => None,
    });
    listed(said, "none: as many as you like")
}

fn listed(items: impl Iterator<Item = String>, none: &str) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

/// `2027-01-15T08:00:00Z (in 3 days)`. The first part can be given to `--at`.
pub(super) fn instant(seconds: u64, now: u64) -> String {
    cmd::instant(seconds)
        .map_or_else(|| "after the year 9999".to_owned(), |at| format!("{at} ({})", relative(seconds, now)))
}

fn relative(seconds: u64, now: u64) -> String {
    let apart = seconds.abs_diff(now);
    let units = [(YEAR, "years"), (DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")];
    let coarse = units.into_iter().find(|(unit, _)| apart >= 2 * unit);
    let length = match (apart, coarse) {
        (0, _) => return "now".to_owned(),
        (1, _) => "1 second".to_owned(),
        (_, Some((unit, name))) => format!("{} {name}", apart / unit),
        (_, None) => format!("{apart} seconds"),
    };
    if seconds > now { format!("in {length}") } else { format!("{length} ago") }
}

/// What steers a terminal, or turns the direction of writing around, shown as `\u{…}`.
pub(super) fn printable(untrusted: &str) -> String {
    let shown = |char: char| if steers(char) { char.escape_unicode().to_string() } else { char.to_string() };
    untrusted.chars().map(shown).collect()
}

/// As [`printable`] for JSON text, and still the same JSON: there such characters occur in strings only.
pub(super) fn printable_json(json: &str) -> String {
    let shown = |char: char| {
        if steers(char) && char != '\n' { format!("\\u{:04x}", u32::from(char)) } else { char.to_string() }
    };
    json.chars().map(shown).collect()
}

/// Control characters and the marks of the Unicode bidirectional algorithm (UAX 9), all below U+FFFF.
fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use usher_license::License;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    /// The claims of the vector, changed.
    fn claims(change: impl FnOnce(&mut Value)) -> Claims {
        let document = include_bytes!("../../tests/vectors/license.jws");
        let mut payload =
            serde_json::from_slice(License::parse(document).unwrap().unverified_payload()).unwrap();
        change(&mut payload);
        serde_json::from_value(payload).unwrap()
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_document_is_described_line_by_line_in_one_column() {
        let text = plain(&columns(&everything(&claims(|_| ()), "aVBt", NOW)));
        let expected = "  license     design/cad, standard edition
  customer    acme
  product     cad
  state       active
  holder      cy@acme.example
  device      lab-3, and no other
  features    render, simulate (5 at once), exports (100 per Day)
  until       2100-01-01T00:00:00Z (in 72 years), renew by 2027-01-16T07:00:00Z (in 23 hours)
  issuer      https://usher.acme.example/a/default
  key         aVBt
  limits      2 seats, 2 devices per seat, 1 session per user
  begins      2026-01-01T00:00:00Z (379 days ago)
  renewal     2027-01-15T21:00:00Z (in 13 hours)
  issued      2026-01-01T00:00:00Z (379 days ago)
  serial      42
  activation  a-7
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_state_in_which_nothing_may_be_used_shows_in_the_headline() {
        assert_eq!(headline(&claims(|_| ())), "seat/design/cy may use cad");
        let suspended = claims(|payload| payload["state"] = "suspended".into());
        assert_eq!(headline(&suspended), "seat/design/cy may not use cad: the license is suspended");
        let expired = claims(|payload| payload["state"] = "expired".into());
        assert_eq!(headline(&expired), "seat/design/cy may not use cad: the license has expired");
    }

    #[test]
    fn an_active_document_before_and_after_its_time_is_told_from_one_within_it() {
        let claims = claims(|_| ());
        assert_eq!(plain(&state(&claims, claims.nbf - 1)), "active, but not yet");
        assert_eq!(plain(&state(&claims, claims.nbf)), "active");
        assert_eq!(plain(&state(&claims, claims.exp - 1)), "active");
        assert_eq!(plain(&state(&claims, claims.exp)), "active, but this document is over");
    }

    #[test]
    fn a_lease_that_is_over_is_overdue() {
        let claims = claims(|_| ());
        assert!(plain(&until(&claims, claims.lease.until)).ends_with("(now), overdue"));
        assert!(!plain(&until(&claims, claims.lease.until - 1)).contains("overdue"));
    }

    #[test]
    fn every_kind_of_holder_has_its_words() {
        let said = |holder: Value| super::holder(&serde_json::from_value(holder).unwrap());
        assert_eq!(
            said(json!({"user": {"issuer": "https://idp.example", "subject": "7"}})),
            "7 at https://idp.example"
        );
        assert_eq!(said(json!({"device": {"id": "9f86"}})), "device 9f86");
        assert_eq!(said(json!({"device": {"id": "9f86", "name": "Lab 3"}})), "device Lab 3 (9f86)");
    }

    #[test]
    fn what_is_not_limited_is_said_to_be_so() {
        assert_eq!(limits(&Limits::default()), "none: as many as you like");
        assert_eq!(features(&[]), "none");
    }

    #[test]
    fn distances_in_time_are_told_in_the_unit_that_suits_them() {
        for (seconds, expected) in [
            (NOW, "now"),
            (NOW + 1, "in 1 second"),
            (NOW - 119, "119 seconds ago"),
            (NOW + 120, "in 2 minutes"),
            (NOW + 3 * DAY, "in 3 days"),
            (NOW + 2 * DAY - 1, "in 47 hours"),
            (NOW - 400 * DAY, "400 days ago"),
            (NOW + 10 * YEAR, "in 10 years"),
        ] {
            assert_eq!(relative(seconds, NOW), expected);
        }
    }

    #[test]
    fn an_instant_that_no_calendar_has_is_told_as_such() {
        assert_eq!(instant(0, NOW), "1970-01-01T00:00:00Z (57 years ago)");
        assert_eq!(instant(u64::MAX, NOW), "after the year 9999");
    }

    #[test]
    fn a_document_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\u{9b}\u{202e}é"), "a\\u{1b}[2J\\u{9b}\\u{202e}é");
        let claims = claims(|payload| {
            for pointer in [
                "/iss",
                "/sub",
                "/aud",
                "/jti",
                "/license/customer",
                "/holder/user/email",
                "/features/0/name",
            ] {
                *payload.pointer_mut(pointer).unwrap() = "\u{1b}[2J".into();
            }
        });
        let shown = format!("{}{}", headline(&claims), columns(&everything(&claims, "\u{1b}[2J", NOW)));
        assert!(!shown.contains("\u{1b}[2J"), "{shown:?}");
        let json = printable_json("{\n\"a\": \"\u{9b}\u{202e}\"}");
        assert_eq!(json, "{\n\"a\": \"\\u009b\\u202e\"}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!({"a": "\u{9b}\u{202e}"}));
    }
}
