//! Strict JSON: what two parsers cannot read differently.
//!
//! RFC 8259 leaves open what a member that occurs twice means, and implementations disagree (RFC 7515 §4 and RFC 7519 §4 let
//! a reader refuse it). So the text is walked once before anything is read from it: an object that names a member twice, at
//! any depth and however its name is escaped, is refused, and so is nesting deeper than [`MAX_DEPTH`].

use std::collections::BTreeSet;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{Error, quoted};

/// The deepest nesting that is read. A document of schema 1 has four levels; the rest is room for members to come.
pub const MAX_DEPTH: usize = 16;

/// JSON text that has been walked and found strict.
pub(crate) struct Strict<'a> {
    what: &'static str,
    text: &'a [u8],
}

impl<'a> Strict<'a> {
    /// Walks `text`; `what` names it in refusals.
    pub(crate) fn check(what: &'static str, text: &'a [u8]) -> Result<Self, Error> {
        let mut refusal = None;
        let mut json = serde_json::Deserializer::from_slice(text);
        Walk { what, depth: 0, refusal: &mut refusal }
            .deserialize(&mut json)
            .and_then(|()| json.end())
            .map_err(|error| refusal.unwrap_or_else(|| Error::malformed(what, error)))?;
        Ok(Self { what, text })
    }

    /// Reads it as a `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.text).map_err(|error| Error::malformed(self.what, error))
    }
}

/// One step of the walk; the precise refusal is left in `refusal`, as serde's errors are only text.
struct Walk<'r> {
    what: &'static str,
    depth: usize,
    refusal: &'r mut Option<Error>,
}

impl Walk<'_> {
    fn refuse<E: serde::de::Error>(&mut self, refusal: Error) -> E {
        let error = E::custom(&refusal);
        *self.refusal = Some(refusal);
        error
    }

    fn deeper<E: serde::de::Error>(&mut self) -> Result<Walk<'_>, E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.refuse(Error::TooDeep { what: self.what, limit: MAX_DEPTH }));
        }
        Ok(Walk { what: self.what, depth: self.depth + 1, refusal: self.refusal })
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        let mut below = self.deeper()?;
        while let Some(member) = map.next_key::<String>()? {
            if seen.contains(&member) {
                let what = below.what;
                return Err(below.refuse(Error::DuplicateMember { what, member: quoted(&member) }));
            }
            seen.insert(member);
            map.next_value_seed(below.again())?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let mut below = self.deeper()?;
        while seq.next_element_seed(below.again())?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

impl Walk<'_> {
    /// The same step for the next sibling.
    fn again(&mut self) -> Walk<'_> {
        Walk { what: self.what, depth: self.depth, refusal: self.refusal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<&'static str> {
        Strict::check("text", text.as_bytes()).err().map(|error| error.code())
    }

    #[test]
    fn a_member_that_occurs_twice_is_refused_at_any_depth_and_however_it_is_escaped() {
        assert_eq!(refusal(r#"{"a": 1, "b": {"a": [1, -1, 1.5, null, true, "x"]}}"#), None);
        assert_eq!(refusal(r#"{"a": 1, "a": 1}"#), Some("duplicate-member"));
        assert_eq!(refusal(r#"[{"b": [{"a": 1, "\u0061": 2}]}]"#), Some("duplicate-member"));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(refusal(&nested(MAX_DEPTH)), None);
        assert_eq!(refusal(&nested(MAX_DEPTH + 1)), Some("too-deep"));
        assert_eq!(refusal(&nested(30_000)), Some("too-deep"));
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for text in ["", "{", "{} {}", "{\"a\": 01}", "{\"a\": 1e999}", "\"\\ud800\"", "nul"] {
            assert_eq!(refusal(text), Some("malformed"), "{text}");
        }
        assert!(Strict::check("text", b"\"\xff\"").is_err());
    }
}
