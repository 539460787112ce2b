//! Numbers and durations with their bounds, which the API server enforces.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::domain::{
    duration::{DurationText, Ttl},
    text::InvalidText,
};

/// A count from `MIN` to `MAX`: a million, if not said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Count<const MIN: u32, const MAX: u32 = 1_000_000>(pub u32);

impl<const MIN: u32, const MAX: u32> JsonSchema for Count<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // `int32`, not schemars' `uint32`, which the API server does not know and warns about.
        json_schema!({"type": "integer", "format": "int32", "minimum": MIN, "maximum": MAX})
    }
}

/// Declares a Go duration with bounds, of which the refusals of our parser and of the API server speak in the same words.
/// With `or`, a word stands for a duration that something else gives.
macro_rules! period {
    ($(#[$doc:meta])* $name:ident, $what:literal, $min:literal = $least:literal, to $max:literal = $most:literal,
     example $example:literal $(, or $word:literal $meaning:literal)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String, Option<i64>);

        impl $name {
            const FORM: &str =
                concat!("must be a Go duration in h, m and s, such as ", $example $(, ", or ", $word, " ", $meaning)?);
            const BOUNDS: &str = concat!("must be from ", $min, " to ", $max $(, ", or ", $word, " ", $meaning)?);

            /// Its length in seconds; nothing for the word that may stand for it.
            #[must_use]
            pub const fn seconds(&self) -> Option<i64> {
                self.1
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;
            fn try_from(text: String) -> Result<Self, InvalidText> {
                $(if text == $word {
                    return Ok(Self(text, None));
                })?
                let refused = |message: &'static str| InvalidText { what: $what, message: message.into() };
                let seconds = text.parse::<DurationText>().map_err(|_| refused(Self::FORM))?.seconds();
                if ($least..=$most).contains(&seconds) {
                    Ok(Self(text, Some(seconds)))
                } else {
                    Err(refused(Self::BOUNDS))
                }
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let form = concat!("self.matches(r'^([0-9]{1,9}[hms])+$')" $(, " || self == '", $word, "'")?);
                let bounds = concat!(
                    "!self.matches(r'^([0-9]{1,9}[hms])+$') || (duration(self) >= duration('", $min,
                    "') && duration(self) <= duration('", $max, "'))"
                );
                json_schema!({"type": "string", "minLength": 1, "maxLength": 32, "x-kubernetes-validations": [
                    {"rule": form, "message": format!("{} {}", $what, Self::FORM)},
                    {"rule": bounds, "message": format!("{} {}", $what, Self::BOUNDS)},
                ]})
            }
        }
    };
}

period! {
    /// How long documents are good: from 5m to a year, or `Contract`.
    TtlText, "ttl", "5m" = 300, to "8760h" = 31_536_000, example "24h", or "Contract" "for the end of validity"
}
period! {
    /// How long after the lease documents are accepted: up to a year.
    GraceText, "offlineGrace", "0s" = 0, to "8760h" = 31_536_000, example "72h"
}
period! {
    /// How long a session lasts without a heartbeat.
    SessionTtl, "sessions.ttl", "30s" = 30, to "24h" = 86_400, example "5m"
}
period! {
    /// The window in which recoveries are counted.
    RecoveryWindow, "recoveries.per", "1h" = 3_600, to "8760h" = 31_536_000, example "720h"
}
period! {
    /// How long somebody whom nothing else has confirmed stays signed in: up to 90 days, as long as a device may.
    ReauthenticateText, "reauthenticateAfter", "15m" = 900, to "2160h" = 7_776_000, example "24h"
}
period! {
    /// How long a freed seat cools: up to a year, or `Lease`.
    ReassignText, "reassignAfter", "0s" = 0, to "8760h" = 31_536_000, example "24h", or "Lease" "for the end of the last document"
}

impl TtlText {
    /// What it means.
    #[must_use]
    pub fn ttl(&self) -> Ttl {
        self.seconds().map_or(Ttl::Contract, Ttl::Seconds)
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
        assert_eq!(TtlText::try_from("24h".to_owned()).unwrap().ttl(), Ttl::Seconds(86_400));
        assert_eq!(
            TtlText::try_from("299s".to_owned()).unwrap_err().to_string(),
            "ttl must be from 5m to 8760h, or Contract for the end of validity"
        );
        assert_eq!(
            TtlText::try_from("contract".to_owned()).unwrap_err().to_string(),
            "ttl must be a Go duration in h, m and s, such as 24h, or Contract for the end of validity"
        );
        assert!(TtlText::try_from("8761h".to_owned()).is_err());
    }

    #[test]
    fn a_grace_may_be_nothing_but_not_more_than_a_year() {
        assert_eq!(GraceText::try_from("0s".to_owned()).unwrap().seconds(), Some(0));
        assert_eq!(
            GraceText::try_from("8761h".to_owned()).unwrap_err().to_string(),
            "offlineGrace must be from 0s to 8760h"
        );
    }
}
