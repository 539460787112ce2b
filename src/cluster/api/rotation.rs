//! How the signing keys of an Authority follow each other.

use std::borrow::Cow;

use jiff::SignedDuration;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::domain::{duration::DurationText, text::InvalidText};

/// How signing keys follow each other.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new("!has(self.overlap) || self.every == 'Never' || !self.every.matches(r'^([0-9]{1,9}[hms])+$') || !self.overlap.matches(r'^([0-9]{1,9}[hms])+$') || duration(self.overlap) <= duration(self.every)").message("overlap must not be longer than every"))]
#[schemars(inline)]
pub struct RotationSpec {
    /// How long a key signs before its successor does, or `Never`: then only when asked. If `rotation` is not given: 2160h (90 days), with a root kept outside `Never`.
    pub every: EveryText,
    /// How long the successor is published before it signs; 168h (a week) if not given, or `every` if that is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<OverlapText>,
}

/// How long a key signs: from a day to ten years, or `Never`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EveryText(String, Option<SignedDuration>);

/// How long a key is published before it signs: up to a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OverlapText(String, SignedDuration);

const NEVER: &str = "Never";
const EVERY_SECONDS: std::ops::RangeInclusive<i64> = 86_400..=315_360_000;
const OVERLAP_SECONDS: std::ops::RangeInclusive<i64> = 0..=31_536_000;
const EVERY_BOUNDS: &str = "must be from 24h to 87600h, or Never for when somebody asks";
const OVERLAP_BOUNDS: &str = "must be from 0s to 8760h";

/// 90 days: long enough for people to be calm about it, short enough that the way is well trodden when a key leaks.
const DEFAULT_EVERY: SignedDuration = SignedDuration::from_hours(2_160);
/// A week: JWK sets are commonly cached for hours, and a program that is looked after by hand is looked after weekly.
const DEFAULT_OVERLAP: SignedDuration = SignedDuration::from_hours(168);

/// How long a key signs (absent: until somebody asks), and how long it is published before, as declared or by default. With a
/// root kept outside somebody would have to sign each time, so that is only done for who says so.
pub(crate) fn schedule(
    spec: Option<&RotationSpec>,
    root_is_outside: bool,
) -> (Option<SignedDuration>, SignedDuration) {
    let Some(spec) = spec else {
        return ((!root_is_outside).then_some(DEFAULT_EVERY), DEFAULT_OVERLAP);
    };
    let every = spec.every.1;
    let overlap = spec.overlap.as_ref().map_or(DEFAULT_OVERLAP, |overlap| overlap.1);
    (every, every.map_or(overlap, |every| overlap.min(every)))
}

impl TryFrom<String> for EveryText {
    type Error = InvalidText;
    fn try_from(text: String) -> Result<Self, InvalidText> {
        if text == NEVER {
            return Ok(Self(text, None));
        }
        let seconds = text.parse::<DurationText>()?.seconds();
        if EVERY_SECONDS.contains(&seconds) {
            Ok(Self(text, Some(SignedDuration::from_secs(seconds))))
        } else {
            Err(InvalidText { what: "every", message: EVERY_BOUNDS.into() })
        }
    }
}

impl TryFrom<String> for OverlapText {
    type Error = InvalidText;
    fn try_from(text: String) -> Result<Self, InvalidText> {
        let seconds = text.parse::<DurationText>()?.seconds();
        if OVERLAP_SECONDS.contains(&seconds) {
            Ok(Self(text, SignedDuration::from_secs(seconds)))
        } else {
            Err(InvalidText { what: "overlap", message: OVERLAP_BOUNDS.into() })
        }
    }
}

impl From<EveryText> for String {
    fn from(text: EveryText) -> Self {
        text.0
    }
}

impl From<OverlapText> for String {
    fn from(text: OverlapText) -> Self {
        text.0
    }
}

impl JsonSchema for EveryText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Every".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": 32, "x-kubernetes-validations": [
            {"rule": "self == 'Never' || self.matches(r'^([0-9]{1,9}[hms])+$')",
             "message": "every must be a Go duration in h, m and s, such as 2160h, or Never for when somebody asks"},
            {"rule": "self == 'Never' || !self.matches(r'^([0-9]{1,9}[hms])+$') || (duration(self) >= duration('24h') && duration(self) <= duration('87600h'))",
             "message": format!("every {EVERY_BOUNDS}")},
        ]})
    }
}

impl JsonSchema for OverlapText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Overlap".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": 32, "x-kubernetes-validations": [
            {"rule": "self.matches(r'^([0-9]{1,9}[hms])+$')",
             "message": "overlap must be a Go duration in h, m and s, such as 168h"},
            {"rule": "!self.matches(r'^([0-9]{1,9}[hms])+$') || duration(self) <= duration('8760h')",
             "message": format!("overlap {OVERLAP_BOUNDS}")},
        ]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(hours: i64) -> SignedDuration {
        SignedDuration::from_hours(hours)
    }

    fn spec(every: &str, overlap: Option<&str>) -> RotationSpec {
        let overlap = overlap.map(|overlap| OverlapText::try_from(overlap.to_owned()).unwrap());
        RotationSpec { every: EveryText::try_from(every.to_owned()).unwrap(), overlap }
    }

    #[test]
    fn who_says_nothing_gets_a_new_key_every_ninety_days_unless_the_root_is_outside() {
        assert_eq!(schedule(None, false), (Some(hours(2_160)), hours(168)));
        assert_eq!(schedule(None, true), (None, hours(168)));
    }

    #[test]
    fn an_overlap_is_a_week_and_never_longer_than_the_life_of_a_key() {
        assert_eq!(schedule(Some(&spec("720h", None)), true), (Some(hours(720)), hours(168)));
        assert_eq!(schedule(Some(&spec("24h", None)), false), (Some(hours(24)), hours(24)));
        assert_eq!(schedule(Some(&spec("Never", Some("0s"))), false), (None, hours(0)));
    }

    #[test]
    fn a_life_has_bounds_and_never_is_one() {
        for (text, fine) in
            [("24h", true), ("23h", false), ("87600h", true), ("87601h", false), ("never", false)]
        {
            assert_eq!(EveryText::try_from(text.to_owned()).is_ok(), fine, "{text}");
        }
        assert!(OverlapText::try_from("8761h".to_owned()).is_err());
    }
}
