//! Attacks on the gate. Each is minted fresh, signed by a key that is made here, and stands beside a twin that is let through: what is refused is
//! refused for its own reason, and not because nothing would be let through.

mod claims;
mod described;
mod forged;
mod mint;
mod wrapped;

use mint::{Mint, NOW, at};

use super::{
    Refusal,
    gate::{Expected, Proven, judge},
};

/// What becomes of `xml` where `mint` is the provider's.
fn judged(mint: &Mint, xml: &str) -> Result<Proven, Refusal> {
    judge(xml.as_bytes(), &expected(mint))
}

fn expected(mint: &Mint) -> Expected {
    Expected {
        entity_id: mint::IDP.into(),
        certificates: vec![mint.certificate.clone()],
        audience: mint::USHER.into(),
        consumer: mint::CONSUMER.into(),
        request: mint::REQUEST.into(),
        format: None,
        now: at(NOW),
    }
}

/// Whether this is Ann, as the twin says.
fn is_ann(proven: &Result<Proven, Refusal>) -> bool {
    proven.as_ref().is_ok_and(|proven| proven.name_id == "ann")
}
