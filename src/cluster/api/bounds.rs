//! Numbers and durations with their bounds, which the API server enforces.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::domain::{
    duration::{DurationText, Ttl},
    text::InvalidText,
};

/// A count from `MIN` to a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Count<const MIN: u32>(pub u32);

impl<const MIN: u32> JsonSchema for Count<MIN> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // `int32`, not schemars' `uint32`, which the API server does not know and warns about.
        json_schema!({"type": "integer", "format": "int32", "minimum": MIN, "maximum": 1_000_000})
    }
}

/// How long documents are good: from 5m to a year, or `Contract`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TtlText(String, Ttl);

/// How long after the lease documents are accepted: up to a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GraceText(String, i64);

const TTL_SECONDS: std::ops::RangeInclusive<i64> = 300..=31_536_000;
const GRACE_SECONDS: std::ops::RangeInclusive<i64> = 0..=31_536_000;
const TTL_BOUNDS: &str = "must be from 5m to 8760h, or Contract for the end of validity";
const GRACE_BOUNDS: &str = "must be from 0s to 8760h";

impl TtlText {
    /// What it means.
    #[must_use]
    pub const fn ttl(&self) -> Ttl {
        self.1
    }
}

impl GraceText {
    /// What it means, in seconds.
    #[must_use]
    pub const fn seconds(&self) -> i64 {
        self.1
    }
}

impl TryFrom<String> for TtlText {
    type Error = InvalidText;
    fn try_from(text: String) -> Result<Self, InvalidText> {
        match text.parse::<Ttl>()? {
            Ttl::Seconds(seconds) if !TTL_SECONDS.contains(&seconds) => {
                Err(InvalidText { what: "ttl", message: TTL_BOUNDS.into() })
            }
            ttl => Ok(Self(text, ttl)),
        }
    }
}

impl TryFrom<String> for GraceText {
    type Error = InvalidText;
    fn try_from(text: String) -> Result<Self, InvalidText> {
        let seconds = text.parse::<DurationText>()?.seconds();
        if GRACE_SECONDS.contains(&seconds) {
            Ok(Self(text, seconds))
        } else {
            Err(InvalidText { what: "offlineGrace", message: GRACE_BOUNDS.into() })
        }
    }
}

impl From<TtlText> for String {
    fn from(text: TtlText) -> Self {
        text.0
    }
}

impl From<GraceText> for String {
    fn from(text: GraceText) -> Self {
        text.0
    }
}

impl JsonSchema for TtlText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Ttl".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": 32, "x-kubernetes-validations": [
            {"rule": "self == 'Contract' || self.matches(r'^([0-9]{1,9}[hms])+$')",
             "message": "ttl must be a Go duration in h, m and s, such as 24h, or Contract for the end of validity"},
            {"rule": "self == 'Contract' || !self.matches(r'^([0-9]{1,9}[hms])+$') || (duration(self) >= duration('5m') && duration(self) <= duration('8760h'))",
             "message": format!("ttl {TTL_BOUNDS}")},
        ]})
    }
}

impl JsonSchema for GraceText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Grace".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": 32, "x-kubernetes-validations": [
            {"rule": "self.matches(r'^([0-9]{1,9}[hms])+$')",
             "message": "offlineGrace must be a Go duration in h, m and s, such as 72h"},
            {"rule": "!self.matches(r'^([0-9]{1,9}[hms])+$') || duration(self) <= duration('8760h')",
             "message": format!("offlineGrace {GRACE_BOUNDS}")},
        ]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_has_bounds_and_a_contract_has_none() {
        assert!(TtlText::try_from("5m".to_owned()).is_ok());
        assert!(TtlText::try_from("8760h".to_owned()).is_ok());
        assert_eq!(TtlText::try_from("Contract".to_owned()).unwrap().ttl(), Ttl::Contract);
        assert_eq!(
            TtlText::try_from("299s".to_owned()).unwrap_err().to_string(),
            format!("ttl {TTL_BOUNDS}")
        );
        assert!(TtlText::try_from("8761h".to_owned()).is_err());
    }

    #[test]
    fn a_grace_may_be_nothing_but_not_more_than_a_year() {
        assert_eq!(GraceText::try_from("0s".to_owned()).unwrap().seconds(), 0);
        assert!(GraceText::try_from("8761h".to_owned()).is_err());
    }
}
